"""Write a page for each built-in recipe: what it is, what its source prints, what was measured.

    python benchmarks/pages.py
    python benchmarks/pages.py --check    # exits with 1 if a page is out of date

All numbers of ours come from ``results/``. Seconds are given only for the recipes with an aim,
whose runs had the machine to themselves; the others may have shared it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _results import FOLDER as RESULTS
from keys_page import keys

from autodenoise import runs, weights
from autodenoise.plots import figure as figures
from autodenoise.plots.network_diagram import diagram
from autodenoise.recipes import Recipe, builtin_names, description
from autodenoise.runs import Description

PAGES = Path(__file__).parent.parent / "docs" / "recipes"

_MARK = "<!-- Written by: python benchmarks/pages.py -->\n"

# Shown where the source prints nothing, as far as there are so many.
_SOME_EPOCHS = (1, 2, 5, 10, 20, 50, 100, 200, 500)

_ABOUT_THE_TABLE = """
"printed" and "ours" are validation losses after the given number of epochs, with a range over
several seeds. Compare them only within a row, since data and noise differ between rows. "code" is
the number of values per image that the encoder passes to the decoder, including skip connections.
Networks here pool before the ReLU, which is equivalent to pooling after it. This page is written by
`python benchmarks/pages.py` from the recipes and `benchmarks/results/`.
"""


@dataclass(frozen=True)
class Result:
    """Results of a recipe, as ``reproduce.py`` writes them.

    Attributes
    ----------
    file
        Its name.
    epochs
        Of each phase, where those were fewer than the recipe's; else None.
    content
        As it was written.
    """

    file: str
    epochs: int | None
    content: dict[str, Any]

    @property
    def runs(self) -> list[dict[str, Any]]:
        """One run per seed."""
        found: list[dict[str, Any]] = self.content["runs"]
        return found

    def losses(self, phase: str, epoch: int) -> list[float]:
        """Return the validation loss after an epoch, one per seed."""
        return [
            row["val_loss"]
            for run in self.runs
            for row in run["epochs"]
            if (row["phase"], row["epoch"]) == (phase, epoch)
        ]

    def epochs_of(self, phase: str) -> list[int]:
        """Return the epochs of a phase."""
        return [row["epoch"] for row in self.runs[0]["epochs"] if row["phase"] == phase]

    @property
    def seconds(self) -> list[float]:
        """Seconds from the start of the command to its last epoch, if it ran alone."""
        last = [run["epochs"][-1] for run in self.runs]
        if "aim" not in self.content or any("seconds_since_start" not in row for row in last):
            return []
        return [row["seconds_since_start"] for row in last]


def results_of(recipe: str, folder: Path) -> list[Result]:
    """Read a recipe's results: the full schedule's first, then shorter ones."""
    found = []
    for file in folder.glob(f"{recipe}*.json"):
        match = re.fullmatch(rf"{recipe}(?:-(\d+)-epochs)?", file.stem)
        if match is not None:
            epochs = int(match[1]) if match[1] else None
            found.append(Result(file.name, epochs, json.loads(file.read_text("utf-8"))))
    return sorted(found, key=lambda result: (result.epochs is not None, -(result.epochs or 0)))


def build(results: Path = RESULTS) -> dict[str, str]:
    """Return all files of the folder by name."""
    described = [runs.describe(name) for name in builtin_names()]
    found = {one.recipe.name: results_of(one.recipe.name, results) for one in described}
    files = {"README.md": index(described, found), "keys.md": f"{_MARK}\n{keys()}"}
    for one in described:
        files[f"{one.recipe.name}.md"] = page(one, found[one.recipe.name])
        if _diagram_name(one.recipe) not in files:
            files[_diagram_name(one.recipe)] = draw(one)
    return files


def outdated(files: dict[str, str], folder: Path = PAGES) -> list[str]:
    """Return the files that are missing, differ, or do not belong to a recipe."""
    there = {path.name: path.read_text("utf-8") for path in folder.glob("*")}
    return sorted(name for name in {*files, *there} if files.get(name) != there.get(name))


def draw(one: Description) -> str:
    """Draw a recipe's network as SVG."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "diagram.svg"
        figures.save(diagram(one.summary, f"The network {one.recipe.network.name}"), file)
        return file.read_text("utf-8")


def _diagram_name(recipe: Recipe) -> str:
    # A family's sizes are different pictures; how many channels an image has hardly shows.
    arguments = recipe.network.arguments
    size = [arguments[key] for key in ("preset", "deep") if arguments.get(key)]
    return "-".join(map(str, [recipe.network.name, *size])) + ".svg"


def page(one: Description, results: list[Result]) -> str:
    """Return the page of a recipe."""
    recipe, summary = one.recipe, one.summary
    size = (
        f"{summary.parameters:,} parameters, "
        f"{summary.multiply_adds / 1e6:.2f} million multiply-adds"
    )
    facts = {
        "source": recipe.source,
        "data": description.data(recipe),
        "noise": "<br>".join(description.noise(part) for part in recipe.noise),
        **{
            f"phase {name}": " ".join(description.phase(part))
            for name, part in recipe.phase.items()
        },
        "network": f"`{recipe.network.name}`, {size} an image",
        "code": summary.code_description,
    }
    measured = [section(recipe, result) for result in results]
    if recipe.name in weights.FILES:
        measured = [f"## Measured\n\n[The shipped weights](../models.md#{recipe.name}).\n"]
    elif not measured:
        measured = ["## Measured\n\nNot yet.\n"]
        if recipe.printed:
            measured.append(f"The source reports:\n\n{losses(recipe, None)}")
    parts = [
        _MARK,
        f"# {recipe.name}\n",
        f"{recipe.title}.\n\n{recipe.about.strip()}\n",
        f"    autodenoise train {recipe.name}\n    autodenoise evaluate runs/{recipe.name}\n",
        table(["", ""], [[name, fact] for name, fact in facts.items()]),
        *measured,
        f"## Network\n\n![Layers and the shapes between them]({_diagram_name(recipe)})\n",
        "[All recipes](README.md)\n",
    ]
    return "\n".join(parts)


def section(recipe: Recipe, result: Result) -> str:
    """Return the section about one results file."""
    over = "" if result.epochs is None else f" over {_short(recipe, result)} epochs"
    scores = [run["test_scores"] for run in result.runs]
    rows = [
        [
            name,
            *(
                span([score[name][metric] for score in scores], digits)
                for metric, digits in (("bce", 4), ("bce_excess", 4), ("psnr", 2), ("ssim", 4))
            ),
        ]
        for name in ("noisy", "denoised")
    ]
    images = f"{scores[0]['images']:,} images"
    machine = result.content["environment"]
    seeds = ", ".join(str(run["seed"]) for run in result.runs)
    how = (
        f"By `{result.content['command']}` (seed {seeds}) on {machine['cores']} cores of "
        f"{machine['processor']}, {machine['system']}, Python {machine['python']}, torch "
        f"{machine['torch']}; every epoch is in "
        f"[{result.file}](../../benchmarks/results/{result.file})."
    )
    if "aim" in result.content:
        first = " and ".join(sorted({str(n) for n in result.content["first_epoch_below_aim"]}))
        how += f" Below {result.content['aim']} for the first time after epoch {first}."
    if result.seconds:
        how += f" From the start of the command to its last epoch: {span(result.seconds, 0)} s."
    return "\n".join(
        [
            f"## Measured{over}\n",
            losses(recipe, result),
            table([images, "cross-entropy", "above the floor", "PSNR, dB", "SSIM"], rows),
            f"{how}\n",
        ]
    )


def losses(recipe: Recipe, result: Result | None) -> str:
    """Return a table of the validation losses that the source reports and of ours."""
    rows = []
    for phase in recipe.phase:
        printed = recipe.printed.get(phase, {})
        ours = result.epochs_of(phase) if result else []
        there = printed or [epoch for epoch in _SOME_EPOCHS if epoch in ours]
        for epoch in sorted({*there, *ours[-1:]}):
            row = [phase, str(epoch)]
            if recipe.printed:
                row.append(f"{printed[epoch]:.4f}" if epoch in printed else "")
            if result:
                row.append(span(result.losses(phase, epoch), 4))
            rows.append(row)
    headings = ["phase", "epoch"]
    headings += ["printed val_loss"] if recipe.printed else []
    headings += ["our val_loss"] if result else []
    return table(headings, rows)


def index(described: list[Description], results: dict[str, list[Result]]) -> str:
    """Return the page with the table of all recipes."""
    rows = []
    for one in described:
        recipe, found = one.recipe, results[one.recipe.name]
        rows.append(
            [
                f"[{recipe.name}]({recipe.name}.md)",
                description.source(recipe.data.source),
                f"`{recipe.network.name}`",
                f"{one.summary.parameters:,}",
                f"{one.summary.code_size:,}",
                _epochs(recipe),
                _last_printed(recipe),
                _last_of_ours(recipe, found),
            ]
        )
    headings = ["recipe", "data", "network", "parameters", "code", "epochs", "printed", "ours"]
    parts = [
        _MARK,
        "# Recipes\n",
        "The recipes that `autodenoise train` includes. See also `autodenoise describe NAME`.\n",
        "[Writing a recipe](../writing-recipes.md), [all keys](keys.md).\n",
        table(headings, rows),
        _ABOUT_THE_TABLE.lstrip(),
    ]
    return "\n".join(parts)


def table(headings: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def span(values: list[float], digits: int) -> str:
    """Return one value, or the smallest and largest of several; a dash for none."""
    if not values or None in values:
        return "-"
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def _epochs(recipe: Recipe) -> str:
    return " + ".join(str(phase.epochs) for phase in recipe.phase.values())


def _short(recipe: Recipe, result: Result) -> str:
    """Return how many epochs a shorter run had, as in ``"10 of 30"``."""
    return f"{' + '.join([str(result.epochs)] * len(recipe.phase))} of {_epochs(recipe)}"


def _last_printed(recipe: Recipe) -> str:
    if not recipe.printed:
        return "-"
    name, printed = list(recipe.printed.items())[-1]
    epoch = max(printed)
    before = list(recipe.phase)[: list(recipe.phase).index(name)]
    after = [*(recipe.phase[earlier].epochs for earlier in before), epoch]
    return f"{printed[epoch]:.4f} after {' + '.join(map(str, after))}"


def _last_of_ours(recipe: Recipe, results: list[Result]) -> str:
    if recipe.name in weights.FILES:
        return "[scores](../models.md)"
    if not results:
        return "not measured yet"
    result = results[0]
    after = _epochs(recipe) if result.epochs is None else _short(recipe, result)
    return f"{span(result.content['final_val_loss'], 4)} after {after}"


def main() -> None:
    """Write the pages, or check that they are current."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    files = build()
    if not options.check:
        PAGES.mkdir(exist_ok=True)
        for name, text in files.items():
            (PAGES / name).write_text(text, "utf-8")
    stale = outdated(files)
    if stale:
        sys.exit(f"out of date, or without a recipe, in docs/recipes: {', '.join(stale)}")


if __name__ == "__main__":
    main()
