"""The files of a benchmark for people and programs: averages as JSON and Markdown, plot, crops."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from autodenoise import images
from autodenoise.benchmark import crops
from autodenoise.benchmark.baselines import BASELINES, EXTRA, INPUT
from autodenoise.benchmark.denoisers import is_model
from autodenoise.benchmark.protocol import PROTOCOL
from autodenoise.benchmark.results_table import PACKAGES, ROWS_FILE
from autodenoise.errors import MissingExtra
from autodenoise.files import write_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from autodenoise.benchmark.datasets import BenchmarkDataset
    from autodenoise.benchmark.results_table import ResultAverage

__all__ = ["SUMMARY_FILE", "markdown_table", "write"]

SUMMARY_FILE = "summary.json"
_REPORT_FILE, _PLOT_FILE, _CROPS_FILE = "report.md", "speed.png", "crops.png"

_HOW_TO_READ = """\
- **Noise level** is what the denoiser knows about the noise. A model is **blind**. A baseline gets
  the true sigma where it is **known**, which is an advantage over every blind model, or else one
  **estimated** from the noisy image (Donoho and Johnstone 1994).
- The noisy input, a 3x3 median and a slight blur are in every table: a denoiser should do better.
- Seconds depend on the machine and on what else runs on it; all denoisers take turns on each image.
  Compare them within one table, and only roughly.
"""

_SEVERAL_ENVIRONMENTS = """\
The rows come from several calls on different machines or with different versions. Do not compare
the seconds of rows from different machines.
"""


def write(
    folder: Path,
    dataset: BenchmarkDataset,
    averages: Sequence[ResultAverage],
    notes: Sequence[str],
    environments: Sequence[dict[str, Any]],
) -> tuple[list[Path], list[str]]:
    """Write summary, report and figures into an output folder.

    Return the files, and the notes, plus one if the plot could not be drawn.
    """
    notes = list(notes)
    files = [folder / SUMMARY_FILE, folder / _REPORT_FILE, folder / _CROPS_FILE]
    images.write(folder / _CROPS_FILE, crops.arrange(folder, dataset.shown_image, averages))
    try:
        _plot(folder / _PLOT_FILE, dataset, averages)
        files.append(folder / _PLOT_FILE)
    except ModuleNotFoundError as error:
        missing = MissingExtra(error.name or "matplotlib", EXTRA)
        notes.append(f"no {_PLOT_FILE}: {missing}")
    summary = {
        "set": dataset.name,
        "images": len(dataset.images),
        "channels": dataset.channels,
        "paired": dataset.paired,
        "protocol": PROTOCOL,
        "environments": list(environments),
        "notes": notes,
        "scores": [one.to_json() for one in averages],
    }
    write_text(folder / SUMMARY_FILE, json.dumps(summary, indent=2) + "\n")
    write_text(folder / _REPORT_FILE, _report(dataset, averages, notes, environments, files))
    return files, notes


def _report(
    dataset: BenchmarkDataset,
    averages: Sequence[ResultAverage],
    notes: Sequence[str],
    environments: Sequence[dict[str, Any]],
    files: Sequence[Path],
) -> str:
    """Return the report as Markdown."""
    color = "RGB" if dataset.channels == 3 else "gray"
    title = (
        f"# Scores on {dataset.name}\n\nAverages over {len(dataset.images):,} {color} images. "
        f"[{ROWS_FILE}]({ROWS_FILE}) has the scores of each image, "
        f"[{SUMMARY_FILE}]({SUMMARY_FILE}) the numbers of this page.\n"
    )
    tables = [
        f"## {noise}\n\n{_table([one for one in averages if one.noise == noise])}"
        for noise in dict.fromkeys(one.noise for one in averages)
    ]
    names = dict.fromkeys(one.denoiser for one in averages if not is_model(one.identity))
    baselines = [f"- {name}: {BASELINES[name].about}\n" for name in names if name in BASELINES]
    plot = f"## PSNR against speed\n\n![PSNR against megapixels/s]({_PLOT_FILE})\n"
    place = (
        f"The center {crops.SIDE}x{crops.SIDE} pixels of {dataset.shown_image.name}, the middle "
        "image of the list. Below each crop is its difference from the clean image, times "
        f"{crops.GAIN}, on mid-gray.\n"
    )
    parts = [
        *(title, *tables),
        *(plot for file in files if file.name == _PLOT_FILE),
        f"## Crops\n\n![The same crop from each denoiser]({_CROPS_FILE})\n",
        place,
        f"## How to read it\n\n{_HOW_TO_READ}\n{PROTOCOL}\n",
        f"## Baselines\n\n{''.join(baselines)}",
    ]
    if notes:
        parts.append("## Notes\n\n" + "".join(f"- {note}\n" for note in notes))
    parts.append(f"## Machine\n\n{''.join(map(_machine, environments))}")
    if len(environments) > 1:
        parts.append(_SEVERAL_ENVIRONMENTS)
    return "\n".join(parts)


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are right-aligned."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _table(averages: Sequence[ResultAverage]) -> str:
    headings = ["denoiser", "PSNR, dB", "SSIM", "noise level", "s/image", "MP/s", "parameters"]
    rows = [
        [
            one.denoiser.replace("|", "\\|"),
            f"{one.psnr:.2f}",
            "-" if one.ssim is None else f"{one.ssim:.4f}",
            one.noise_level or "-",
            f"{one.seconds:.3f}" if one.denoiser != INPUT else "-",
            f"{one.mp_per_s:.3g}" if one.denoiser != INPUT else "-",
            "-" if one.parameters is None else f"{one.parameters:,}",
        ]
        for one in averages
    ]
    return markdown_table(headings, rows)


def _machine(environment: dict[str, Any]) -> str:
    packages = [f"{name} {environment[name]}" for name in PACKAGES if name in environment]
    return (
        f"- {environment['cores']} cores of {environment['processor']}, {environment['system']}, "
        f"Python {environment['python']}, {', '.join(packages)}\n"
    )


def _plot(path: Path, dataset: BenchmarkDataset, averages: Sequence[ResultAverage]) -> None:
    from autodenoise.plots import figure as figures
    from autodenoise.plots.score_plot import Point, quality_against_speed

    panels: dict[str, list[Point]] = {}
    for one in averages:
        if one.denoiser != INPUT:
            point = Point(one.denoiser, one.mp_per_s, one.psnr, is_model(one.identity))
            panels.setdefault(one.noise, []).append(point)
    figures.save(quality_against_speed(panels, f"PSNR against speed, {dataset.name}"), path)
