"""Write docs/results.md: our models, the baselines measured here, and what papers publish.

    python benchmarks/results_page.py
    python benchmarks/results_page.py --check    # exits with 1 if the page is out of date

What was measured comes from ``results/scores-*.json``, which ``scores.py`` writes, what is
published from ``published.toml``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _results import FOLDER as RESULTS

from autodenoise.benchmark.baselines import BASELINES, INPUT
from autodenoise.benchmark.report import markdown_table
from autodenoise.plots import images as figures
from autodenoise.plots.scores import Point, quality_against_speed

DOCS = Path(__file__).parent.parent / "docs"
PUBLISHED = Path(__file__).with_name("published.toml")
PAGE, FIGURE = "results.md", "figures/quality-against-speed.svg"
SETS = {
    "set12": "Set12, 12 grey pictures",
    "bsd68": "BSD68, 68 grey pictures",
    "cbsd68": "CBSD68, 68 colour pictures",
    "kodak24": "Kodak24, 24 colour pictures",
    "mcmaster": "McMaster, 18 colour pictures",
}
SIGMAS = (15, 25, 50)

_MARK = "<!-- Written by: python benchmarks/results_page.py -->\n"

_INTRODUCTION = """\
PSNR in dB with white Gaussian noise of sigma 15, 25 and 50 (of 255), best at 25 first. **Ours** and
**here** were measured with `autodenoise evaluate` by the [protocol](#the-protocol) that the papers
follow; **published** is what their own tables say, ~ where it was recalled and not read. **blind**
is one denoiser for all strengths of noise, which is told nothing; **told** is one that is given the
true strength, or a network trained for that strength alone: an advantage.
"""

_WHAT_IT_DOES_NOT_SAY = """\
## What the numbers do not say

- **White Gaussian noise is not what cameras make.** Their noise depends on the brightness, goes
  through demosaicing and JPEG, and is alike in neighbouring pixels. A network that was taught white
  noise leaves much of that in, and a better score here need not be a better photograph. Where you
  have noisy pictures and references, score on those:
  `autodenoise evaluate --pairs noisy/ clean/ --baselines all`. On real noise a 3x3 median beats
  several published methods, which is why it stands in every table.
- **PSNR prefers the mean.** It rewards smoothing over what cannot be known; what looks sharper may
  score lower. SSIM is in the result files, and the crops of a report show what either number hides.
- **Small differences mean little.** Papers that drew their noise in MATLAB have other noise than
  NumPy's; expect 0.01 to 0.03 dB from that alone. The sets are small, and the Berkeley pictures
  were JPEGs once: no reference is quite clean.
- **Everybody has seen these sets.** Ours were neither trained nor tuned on them, nor were the
  baselines' settings, which were chosen on bsds-val32 (`benchmarks/baseline_settings.py`). But
  the field has compared itself on them for years, and what was kept is what did well here.
- **Speed is that of one machine**, measured while other things may have run on it, image by image
  on small pictures and without a GPU. Multiply-adds do not depend on that, but are no time either.
"""

_PROTOCOL = """\
## The protocol

For each picture anew, NumPy's `RandomState(0)` draws `normal(0, sigma/255, (H, W, C))`, which is
added to the picture in [0, 1], in RGB order. The noisy picture is neither clipped nor rounded. A
denoiser's answer is clamped to [0, 1] and rounded to 8 bits; PSNR has the peak 255, pools squared
errors over pixels and channels and leaves no border out; scores are averaged over pictures. Grey
sets are scored on their grey files, colour in RGB. The score of the noisy picture is that of the
picture as it is. To score a set of these yourself:

    autodenoise evaluate --data set12 --noise gaussian:25 --models all --baselines all -o report/
"""


@dataclass(frozen=True)
class Line:
    """A line of a set's table.

    Attributes
    ----------
    name
        Of the method.
    kind
        ``ours``, ``here`` or ``published``.
    level
        What it knew of the noise.
    psnr
        At each of `SIGMAS`.
    mark
        Before each number.
    parameters, macs, speed
        As they are shown.
    """

    name: str
    kind: str
    level: str
    psnr: tuple[float, ...]
    mark: str = ""
    parameters: str = "-"
    macs: str = "-"
    speed: str = "-"

    def cells(self) -> list[str]:
        """Write it."""
        name = f"**{self.name}**" if self.kind == "ours" else self.name
        scores = [f"{self.mark}{psnr:.2f}" for psnr in self.psnr]
        return [name, self.kind, self.level, *scores, self.parameters, self.macs, self.speed]


def measured(result: dict[str, Any]) -> list[Line]:
    """Read the lines of a result file."""
    scores: dict[str, dict[str, dict[str, Any]]] = {}
    for one in result["scores"]:
        scores.setdefault(one["denoiser"], {})[one["noise"]] = one
    lines = []
    for name, by_noise in scores.items():
        model = result["models"].get(name)
        rows = [by_noise[f"gaussian:{sigma}"] for sigma in SIGMAS]
        lines.append(
            Line(
                name=name,
                kind="ours" if model else "here",
                level=rows[0]["noise_level"] or "-",
                psnr=tuple(row["psnr"] for row in rows),
                parameters=_millions(model["parameters"]) if model else "-",
                macs=f"{model['macs_per_pixel'] / 1000:.1f}k" if model else "-",
                speed="-" if name == INPUT else f"{rows[1]['mp_per_s']:.2g}",
            )
        )
    return lines


def published(content: dict[str, Any], name: str) -> list[Line]:
    """Read the published lines of a set."""
    lines = []
    for method in content["method"]:
        recalled = method.get("recalled", [])
        if name in method:
            lines.append(
                Line(
                    name=method["name"],
                    kind="published",
                    level=method["level"],
                    psnr=tuple(method[name]),
                    mark="~" if name in recalled else "",
                    parameters=method.get("parameters", "-"),
                    macs=("~" if "macs" in recalled else "") + method.get("macs", "-"),
                )
            )
    return lines


def build(results: Path = RESULTS) -> dict[str, str]:
    """Make all files, by their place in docs/."""
    content = tomllib.loads(PUBLISHED.read_text("utf-8"))
    found = {
        name: json.loads(path.read_text("utf-8"))
        for name in SETS
        if (path := results / f"scores-{name}.json").exists()
    }
    parts = [_MARK, "# Results\n", _INTRODUCTION]
    if found:
        parts.append(
            f"![PSNR at sigma 25 against megapixels a second, here]({FIGURE})\n",
        )
    for name, title in SETS.items():
        parts.append(section(title, published(content, name), found.get(name)))
    parts += [
        without_clean(content, results / "objectives.json"),
        _WHAT_IT_DOES_NOT_SAY,
        _PROTOCOL,
        _baselines() if found else "",
        _sources(content),
    ]
    files = {PAGE: "\n".join(part for part in parts if part)}
    if found:
        files[FIGURE] = draw(found)
    return files


def section(title: str, lines: list[Line], result: dict[str, Any] | None) -> str:
    """Write the table of a set."""
    lines = lines + (measured(result) if result else [])
    lines.sort(key=lambda line: -line.psnr[SIGMAS.index(25)])
    headings = ["method", "from", "noise level", *(f"sigma {sigma}" for sigma in SIGMAS)]
    headings += ["parameters", "MAC/pixel", "MP/s here"]
    how = "Nothing is measured here yet; all of these are published.\n"
    if result:
        machines = " and ".join(
            f"{one['cores']} cores of {one['processor']}, {one['system']}, "
            f"ONNX Runtime {one['onnxruntime']}"
            for one in result["environments"]
        )
        file = f"scores-{result['set']}.json"
        how = (
            f"By `{result['command']}` on {machines}; SSIM and seconds are in "
            f"[{file}](../benchmarks/results/{file}).\n"
        )
    return f"## {title}\n\n{markdown_table(headings, [line.cells() for line in lines])}\n{how}"


def without_clean(content: dict[str, Any], file: Path) -> str:
    """Write the table of what is learnt without clean pictures."""
    rows = [
        [
            one["name"],
            "published",
            one["set"],
            f"{'~' if one.get('recalled') else ''}{one['psnr']:.2f}",
        ]
        for one in content["without_clean"]
    ]
    runs = json.loads(file.read_text("utf-8"))["runs"] if file.exists() else []
    for run in runs:
        for name, psnr in run["psnr"].items():
            rows.append(
                [f"**{run['objective']}**", "ours", SETS[name].split(",")[0], f"{psnr:.2f}"]
            )
    rows.sort(key=lambda row: (row[2], -float(row[3].strip("~"))))
    table = markdown_table(["method", "from", "set", "sigma 25"], rows)
    return f"## Learnt without clean pictures\n\n{table}{_WITHOUT_CLEAN if runs else ''}"


_WITHOUT_CLEAN = """
**Ours**: one network (the fast size), one noise (sigma 25, and for no other), and the same number
of steps on the same photos, by `python benchmarks/objectives.py`
([objectives.json](../benchmarks/results/objectives.json)); far fewer than the papers'. But for
*supervised*, no clean pixel was learnt from: each photo got its noise once, for *noise2noise*
twice, and was forgotten. *recorrupted* is told the noise. [What each of these is](objectives.md).
"""


def draw(found: dict[str, dict[str, Any]]) -> str:
    """Draw quality against speed at sigma 25 as SVG, a panel a set."""
    panels: dict[str, list[Point]] = {}
    for key, result in found.items():
        for one in result["scores"]:
            name = one["denoiser"]
            if one["noise"] == "gaussian:25" and name != INPUT:
                point = Point(name, one["mp_per_s"], one["psnr"], name in result["models"])
                panels.setdefault(SETS[key], []).append(point)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figure.svg"
        figures.save(quality_against_speed(panels, "Quality against speed at sigma 25"), file)
        return file.read_text("utf-8")


def outdated(files: dict[str, str], folder: Path = DOCS) -> list[str]:
    """List the files that are missing or differ, and a figure that is left over."""
    there = {
        name: (folder / name).read_text("utf-8")
        for name in (PAGE, FIGURE)
        if (folder / name).exists()
    }
    return sorted(name for name in {*files, *there} if files.get(name) != there.get(name))


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f} M"


def _baselines() -> str:
    lines = [f"- {name}: {one.about}\n" for name, one in BASELINES.items()]
    return f"## The baselines measured here\n\n{''.join(lines)}"


def _sources(content: dict[str, Any]) -> str:
    methods: dict[str, list[str]] = {}
    for one in [*content["method"], *content["without_clean"]]:
        names = methods.setdefault(one["source"], [])
        if one["name"] not in names:
            names.append(one["name"])
    lines = [f"- {'; '.join(names)}: {source}\n" for source, names in methods.items()]
    return f"## Where the published values are from\n\n{''.join(lines)}"


def main() -> None:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    files = build()
    if not options.check:
        for name, text in files.items():
            (DOCS / name).write_text(text, "utf-8")
    stale = outdated(files)
    if stale:
        sys.exit(f"out of date in docs: {', '.join(stale)}")


if __name__ == "__main__":
    main()
