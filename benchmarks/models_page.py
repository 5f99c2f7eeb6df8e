"""Write docs/models.md: the card of each model that comes with autodenoise, and its scores.

    python benchmarks/models_page.py
    python benchmarks/models_page.py --check    # exits with 1 if the page is out of date

The facts come from the model files and from ``results/scores-*.json`` and
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
MAX_LOSS = 0.05
"""In dB."""
MAX_TOTAL_SIZE = 25
"""Of all shipped files, in megabytes."""

_INTRODUCTION = """\
<!-- Written by: python benchmarks/models_page.py -->

# Models that come with autodenoise

The package contains these model files, each with a card that describes it. `autodenoise denoise`
uses **{default}** unless `--model` names another model; `autodenoise models` lists them all.

They were trained on 400 photos of BSDS500 (Arbelaez et al. 2011), none of them from its test
images. BSDS500 is published for non-commercial research and education. The package does not contain
the photos, only the trained weights. If these terms do not suit your use, train your own model on
your own images with one of the built-in recipes.

The columns show the PSNR in dB on the 32 photos of bsds-val32, which no model was trained on: with
white noise by the published protocol, and *clean*, the PSNR between a clean photo and its output.
These scores guided every choice of model. The test sets ([results](results.md)) were scored eight
times: before and after the third training session of the models for white noise, after the fourth,
fifth and sixth, when photo-balanced-gray was added, after the second session of
photo-balanced-color, and after its third together with the seventh of photo-fast-gray.

| model | file | parameters | images | sigma 15 | sigma 25 | sigma 50 | clean |
| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |
"""

_INT8 = """
## 8-bit models

The loss of PSNR in dB on bsds-val32 when `autodenoise quantize` converts a model, and its
speedup on a CPU with VNNI ({machine}; median and range of alternating runs). An 8-bit model is
shipped if it loses at most {most:g} dB at every sigma and fits into the package. You can make the
others with that command.

| model | sigma 15 | sigma 25 | sigma 50 | speedup | shipped |
| --- | ---: | ---: | ---: | ---: | --- |
"""


def page() -> str:
    """Return the page."""
    models = {name: runtime.load(name) for name in weights.FILES}
    lines = [_INTRODUCTION.format(default=next(iter(models)))]
    for name, model in models.items():
        card, scores = model.card, model.card.scores
        cells = [
            f"[{name}](#{name})",
            f"{model.path.stat().st_size / 1e6:.1f} MB",
            f"{card.parameters:,}",
            {1: "gray", 3: "color"}[card.channels],
            *(f"{scores[f'psnr_{sigma}']:.2f}" for sigma in SIGMAS),
            f"{scores['psnr_clean']:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |\n")
    lines.append(int8_section())
    lines += [section(name, model.card) for name, model in models.items()]
    return "".join(lines)


def int8_section() -> str:
    """Return the section with the loss and the speedup of each 8-bit model."""
    result = json.loads((RESULTS / "eight-bits.json").read_text("utf-8"))
    lines = [_INT8.format(most=MAX_LOSS, machine=result["environment"]["processor"])]
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
    """Return whether the 8-bit variant of a model is shipped, and if not, why."""
    if f"{row['model']}-int8" in weights.FILES:
        return "yes"
    if max(row["lost_db"].values()) > MAX_LOSS:
        return f"no: it loses more than {MAX_LOSS:g} dB"
    total = sum(runtime.load(name).path.stat().st_size for name in weights.FILES) / 1e6
    total += row["megabytes"]
    if total < MAX_TOTAL_SIZE:
        raise ValueError(f"{row['model']}-int8 loses little and fits into the package: ship it")
    return f"no: all files together would have {total:.1f} MB, of at most {MAX_TOTAL_SIZE} MB"


def section(name: str, card: Card) -> str:
    """Return the section about one model."""
    recipe = recipes.load(name.removesuffix("-int8"))
    preset, deep = card.arguments["preset"], card.arguments.get("deep")
    deepest = f" and {deep} feature maps at 1/16 of the resolution" if deep else ""
    facts = {
        "what": recipe.title,
        "data": description.data(recipe),
        "noise": "<br>".join(description.noise(part) for part in recipe.noise),
        "network": f"`{card.network}`, {preset}{deepest}; halo {card.halo} pixels",
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
    """Return the PSNR of a model on each test set, from the results."""
    scores = []
    for path in sorted(RESULTS.glob("scores-*.json")):
        result = json.loads(path.read_text("utf-8"))
        psnr = {one["noise"]: one["psnr"] for one in result["scores"] if one["denoiser"] == name}
        if all(f"gaussian:{sigma}" in psnr for sigma in SIGMAS):
            values = "/".join(f"{psnr[f'gaussian:{sigma}']:.2f}" for sigma in SIGMAS)
            scores.append(f"{result['set']} {values} dB at sigma 15/25/50")
    return scores


def main() -> int:
    """Write the page, or check that it is up to date."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        PAGE.write_text(page(), "utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text("utf-8") == page():
        return 0
    print(f"{PAGE.name} is out of date; update it with: python benchmarks/models_page.py")
    return 1


if __name__ == "__main__":
    sys.exit(main())
