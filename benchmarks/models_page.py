"""Write docs/models.md: the card of each model that comes with autodenoise, and its scores.

    python benchmarks/models_page.py
    python benchmarks/models_page.py --check    # exits with 1 if the page is out of date

Everything is read from the model files themselves and from ``results/scores-*.json`` and
``results/eight-bits.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from _results import FOLDER as RESULTS

from autodenoise import recipes, runtime, weights
from autodenoise.recipes import description
from autodenoise.runtime import Card

PAGE = Path(__file__).parent.parent / "docs" / "models.md"
SIGMAS = (15, 25, 50)
MOST = 0.05
ROOM = 25
"""Megabytes for all that ship."""

_INTRODUCTION = """\
<!-- Written by: python benchmarks/models_page.py -->

# Models that come with autodenoise

Each is a file of its own inside the package and carries its card. `autodenoise denoise` uses
**{default}** unless `--model` names another; `autodenoise models` lists them all.

They were trained on the 400 photos of BSDS500 (Arbelaez et al. 2011) that are not for
testing. Its authors give them out for non-commercial research and education. The photos are not in
this package, only numbers that were learnt from them. If your use of such weights has to rest on
other terms, train your own on your own pictures: the recipes are built in.

PSNR in dB on bsds-val32, 32 photos that nothing was trained on: with white noise by the published
protocol, and *clean*: how near a clean photo is to itself after it went through. Everything was
chosen by these. The test sets ([results](results.md)) were scored eight times: before and after the
third sitting of the models for white noise, after the fourth, the fifth and the sixth, when
balanced grey was there, after balanced colour's second, and after its third and fast grey's
seventh.

| model | file | parameters | images | sigma 15 | sigma 25 | sigma 50 | clean |
| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |
"""

_EIGHT_BITS = """
## In 8 bits

What `autodenoise quantize` makes of each: decibels lost on bsds-val32, and how many times as fast
it is on a CPU with VNNI ({machine}; median and range of runs that took turns). It may ship
where it loses at most {most:g} dB at each of these; the others anybody can make with that command.

| model | sigma 15 | sigma 25 | sigma 50 | times as fast | ships |
| --- | ---: | ---: | ---: | ---: | --- |
"""


def page() -> str:
    """Write the page."""
    found = {name: runtime.load(name) for name in weights.FILES}
    lines = [_INTRODUCTION.format(default=next(iter(found)))]
    for name, model in found.items():
        card, scores = model.card, model.card.scores
        cells = [
            f"[{name}](#{name})",
            f"{model.path.stat().st_size / 1e6:.1f} MB",
            f"{card.parameters:,}",
            {1: "grey", 3: "colour"}[card.channels],
            *(f"{scores[f'psnr_{sigma}']:.2f}" for sigma in SIGMAS),
            f"{scores['psnr_clean']:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |\n")
    lines.append(eight_bits())
    lines += [section(name, model.card) for name, model in found.items()]
    return "".join(lines)


def eight_bits() -> str:
    """Write what models lose and gain in 8 bits."""
    result = json.loads((RESULTS / "eight-bits.json").read_text("utf-8"))
    lines = [_EIGHT_BITS.format(most=MOST, machine=result["environment"]["processor"])]
    for row in result["models"]:
        low, high = row["times_as_fast"]["range"]
        cells = [
            row["model"],
            *(f"{row['lost_db'][f'{sigma}']:.3f}" for sigma in SIGMAS),
            f"{row['times_as_fast']['median']:.2f} ({low:.2f} to {high:.2f})",
            shipped(row),
        ]
        lines.append(f"| {' | '.join(cells)} |\n")
    return "".join(lines)


def shipped(row: dict[str, Any]) -> str:
    """Say whether a model's variant in 8 bits ships, or why not."""
    if f"{row['model']}-int8" in weights.FILES:
        return "yes"
    if max(row["lost_db"].values()) > MOST:
        return "no: it loses more"
    together = sum(runtime.load(name).path.stat().st_size for name in weights.FILES) / 1e6
    with_it = together + row["megabytes"]
    if with_it < ROOM:
        raise ValueError(f"{row['model']}-int8 loses little, and has room: ship it")
    return f"no: all files would be {with_it:.1f} MB, of {ROOM} at most"


def section(name: str, card: Card) -> str:
    """Write what a model's card says."""
    recipe = recipes.load(name.removesuffix("-int8"))
    size, deep = card.arguments["preset"], card.arguments.get("deep")
    below = f" and {deep} maps at 1/16" if deep else ""
    facts = {
        "what": recipe.title,
        "data": description.data(recipe),
        "noise": "<br>".join(description.noise(part) for part in recipe.noise),
        "network": f"`{card.network}`, {size}{below}; halo {card.halo} pixels",
        "training": card.compute,
        "precision": card.precision,
        **({"calibration": card.calibration} if card.calibration else {}),
        "scores": "; ".join(tested(name)) or "not on test sets",
        "limits": card.limits,
        "license": card.license,
        "made by": f"`benchmarks/weights.sh` with autodenoise {card.version}",
    }
    table = "".join(f"| {key} | {value} |\n" for key, value in facts.items())
    return f"\n## {name}\n\n|  |  |\n| --- | --- |\n{table}"


def tested(name: str) -> list[str]:
    """Give a model's PSNR on the test sets, from the results."""
    said = []
    for path in sorted(RESULTS.glob("scores-*.json")):
        result = json.loads(path.read_text("utf-8"))
        psnr = {one["noise"]: one["psnr"] for one in result["scores"] if one["denoiser"] == name}
        if all(f"gaussian:{sigma}" in psnr for sigma in SIGMAS):
            values = "/".join(f"{psnr[f'gaussian:{sigma}']:.2f}" for sigma in SIGMAS)
            said.append(f"{result['set']} {values} dB at sigma 15/25/50")
    return said


def main() -> int:
    """Write the page, or tell whether it is up to date."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        PAGE.write_text(page(), "utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text("utf-8") == page():
        return 0
    print(f"{PAGE.name} is out of date; write it with: python benchmarks/models_page.py")
    return 1


if __name__ == "__main__":
    sys.exit(main())
