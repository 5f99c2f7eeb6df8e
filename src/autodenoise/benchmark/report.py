"""What people read of a table: averages as JSON and as Markdown, a plot, and crops."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from autodenoise import images
from autodenoise.benchmark.baselines import BASELINES, EXTRA, INPUT
from autodenoise.benchmark.denoisers import is_model
from autodenoise.benchmark.results_table import PACKAGES, PROTOCOL, ROWS_NAME, as_json
from autodenoise.errors import MissingExtra
from autodenoise.files import write_text
from autodenoise.plots import crops

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from autodenoise.benchmark.datasets import BenchmarkDataset
    from autodenoise.benchmark.results_table import ResultAverage

__all__ = ["SUMMARY_NAME", "markdown_table", "write"]

SUMMARY_NAME = "summary.json"
_REPORT_NAME, _PLOT_NAME, _CROPS_NAME = "report.md", "speed.png", "crops.png"

_READING = """\
- **blind** is a model, which is told nothing of the noise. **told** is a baseline that is given the
  noise's true strength, which is an advantage over every blind model; **estimated** one that is
  given an estimate from the noisy image (Donoho and Johnstone 1994).
- Doing nothing, a 3x3 median and a slight blur always stand in the table: what these do as well is
  no merit.
- Seconds depend on the machine and on what else runs on it while the table is made; all denoisers
  take turns on each picture. Compare them within a table, and only roughly.
"""

_DIFFERENT = """\
The table was made in several calls, which differ in their machine or in versions: some rows are
from each. Do not compare the seconds of such rows.
"""


def write(
    folder: Path,
    references: BenchmarkDataset,
    averages: Sequence[ResultAverage],
    notes: Sequence[str],
    environments: Sequence[dict[str, Any]],
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Write the files for people into a table's folder.

    Parameters
    ----------
    folder
        Where its rows are.
    references
        The pictures.
    averages
        The best of each noise first.
    notes
        A sentence about each denoiser that was passed over.
    environments
        What the rows were computed with.

    Returns
    -------
    tuple of Path
        What was written.
    tuple of str
        The notes, and what else could not be done.
    """
    summary, report = folder / SUMMARY_NAME, folder / _REPORT_NAME
    picture, plot = folder / _CROPS_NAME, folder / _PLOT_NAME
    images.write(picture, crops.compose(folder, references.middle, averages))
    written = [summary, report, picture]
    try:
        _plot(plot, references, averages)
        written.append(plot)
    except ModuleNotFoundError as error:
        missing = MissingExtra(error.name or "matplotlib", EXTRA)
        notes = [*notes, f"no {_PLOT_NAME}: {missing}"]
    told = summary_of(references, averages, notes, environments)
    write_text(summary, json.dumps(told, indent=2) + "\n")
    page = report_of(references, averages, notes, environments, plotted=plot in written)
    write_text(report, page)
    return tuple(written), tuple(notes)


def summary_of(
    references: BenchmarkDataset,
    averages: Sequence[ResultAverage],
    notes: Sequence[str],
    environments: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """Say a table as JSON has it."""
    return {
        "set": references.name,
        "images": len(references.images),
        "channels": references.channels,
        "paired": references.paired,
        "protocol": PROTOCOL,
        "environments": list(environments),
        "notes": list(notes),
        "scores": [as_json(one) for one in averages],
    }


def report_of(
    references: BenchmarkDataset,
    averages: Sequence[ResultAverage],
    notes: Sequence[str],
    environments: Sequence[dict[str, Any]],
    *,
    plotted: bool,
) -> str:
    """Say a table in Markdown."""
    colours = "RGB" if references.channels == 3 else "grey"
    files = f"[{ROWS_NAME}]({ROWS_NAME}), this page's numbers in [{SUMMARY_NAME}]({SUMMARY_NAME})"
    place = (
        f"The middle of {references.middle.name}, which is the picture in the middle of the list: "
        f"{crops.SIDE}x{crops.SIDE} pixels, and below each what differs from the clean picture, "
        f"times {crops.GAIN}, around mid-grey.\n"
    )
    pictures = f"{len(references.images):,} pictures, {colours}; averages over all of them."
    parts = [f"# Scores on {references.name}\n\n{pictures} Every single score is in {files}.\n"]
    for noise in dict.fromkeys(one.noise for one in averages):
        own = [one for one in averages if one.noise == noise]
        parts.append(f"## {noise}\n\n{_table_of(own)}")
    if plotted:
        parts.append(
            f"## Quality against speed\n\n![PSNR against megapixels a second]({_PLOT_NAME})\n"
        )
    parts += [
        f"## What it looks like\n\n![The same part by everyone]({_CROPS_NAME})\n",
        place,
        f"## How to read it\n\n{_READING}\n{PROTOCOL}\n",
        _baselines(averages),
    ]
    if notes:
        parts.append("## Notes\n\n" + "".join(f"- {note}\n" for note in notes))
    parts.append(f"## Machine\n\n{''.join(map(_machine, environments))}")
    if len(environments) > 1:
        parts.append(_DIFFERENT)
    return "\n".join(parts)


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _table_of(averages: Sequence[ResultAverage]) -> str:
    headings = ["denoiser", "PSNR, dB", "SSIM", "noise level", "s an image", "MP/s", "parameters"]
    rows = []
    for one in averages:
        at_work = one.denoiser != INPUT
        rows.append(
            [
                one.denoiser.replace("|", "\\|"),
                f"{one.psnr:.2f}",
                "-" if one.ssim is None else f"{one.ssim:.4f}",
                one.noise_level or "-",
                f"{one.seconds:.3f}" if at_work else "-",
                f"{one.mp_per_s:.3g}" if at_work else "-",
                "-" if one.parameters is None else f"{one.parameters:,}",
            ]
        )
    return markdown_table(headings, rows)


def _baselines(averages: Sequence[ResultAverage]) -> str:
    names = dict.fromkeys(one.denoiser for one in averages if not is_model(one.identity))
    lines = [f"- {name}: {BASELINES[name].about}\n" for name in names if name in BASELINES]
    return f"## Baselines\n\n{''.join(lines)}"


def _machine(environment: dict[str, Any]) -> str:
    packages = [f"{name} {environment[name]}" for name in PACKAGES if name in environment]
    return (
        f"- {environment['cores']} cores of {environment['processor']}, {environment['system']}, "
        f"Python {environment['python']}, {', '.join(packages)}\n"
    )


def _plot(path: Path, references: BenchmarkDataset, averages: Sequence[ResultAverage]) -> None:
    from autodenoise.plots import images as figures
    from autodenoise.plots.scores import Point, quality_against_speed

    panels: dict[str, list[Point]] = {}
    for one in averages:
        if one.denoiser != INPUT:
            point = Point(one.denoiser, one.mp_per_s, one.psnr, is_model(one.identity))
            panels.setdefault(one.noise, []).append(point)
    figures.save(quality_against_speed(panels, f"Quality against speed, {references.name}"), path)
