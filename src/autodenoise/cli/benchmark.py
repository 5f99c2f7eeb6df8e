"""``autodenoise benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autodenoise.cli.tables import optional, plain_console, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from autodenoise.benchmark import ResultAverage

__all__ = ["benchmark"]


def benchmark(
    dataset: Annotated[
        str | None,
        typer.Argument(help="set12, bsd68, cbsd68, bsds-val32, or a folder of clean images."),
    ] = None,
    pairs: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="NOISY CLEAN",
            help="Two folders instead of a dataset: images with real noise, and references with "
            "the same names.",
        ),
    ] = None,
    noise: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND:STRENGTH...",
            help="The noise to add: gaussian:25 (sigma, of 255) or poisson:30 (photons at white).",
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME...",
            help="Names of shipped models, model files, run folders, or all that autodenoise "
            "models lists.",
            show_default="all",
        ),
    ] = None,
    baselines: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME...",
            help="Classical denoisers: bilateral, tv, wavelet, nlm, opencv-nlm, pca, bm3d "
            "(licensed for non-commercial use only), or all. The noisy input, a median and a blur "
            "are always included.",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FOLDER", help="The folder for the results table and report."
        ),
    ] = Path("report"),
) -> None:
    """Score denoisers on images whose clean version is known.

    Running the same command again continues an interrupted benchmark.
    """
    from autodenoise.benchmark import AddedNoise, BenchmarkDataset, run_benchmark
    from autodenoise.cli.progress import BenchmarkProgress
    from autodenoise.errors import UsageError

    if bool(dataset) == bool(pairs):
        raise UsageError(
            "name what to score on: a dataset, as in autodenoise benchmark set12 --noise "
            "gaussian:25, or --pairs NOISY CLEAN"
        )
    noises = [AddedNoise.parse(text) for text in noise or []]
    images = BenchmarkDataset.open_pairs(*pairs) if pairs else BenchmarkDataset.open(dataset or "")
    console = plain_console()
    with BenchmarkProgress(console) as progress:
        table = run_benchmark(
            images,
            output,
            models=["all"] if models is None else models,
            baselines=baselines or [],
            noises=noises,
            on_row=progress,
        )
    for kind in dict.fromkeys(row.noise for row in table.averages):
        console.print(f"\n{images.name}, {len(images.images):,} images, {kind}")
        _print_averages(console, [row for row in table.averages if row.noise == kind])
    for note in table.notes:
        console.print(f"\n{note}", soft_wrap=True)
    typer.echo("\n" + "\n".join(str(file) for file in table.files))


def _print_averages(console: Console, averages: list[ResultAverage]) -> None:
    from autodenoise.benchmark.baselines import INPUT

    rows = [
        (
            row.denoiser,
            f"{row.psnr:.2f}",
            optional(row.ssim, ".4f"),
            row.noise_level or "-",
            "-" if row.denoiser == INPUT else f"{row.seconds:.3f}",
            "-" if row.denoiser == INPUT else f"{row.mp_per_s:.3g}",
        )
        for row in averages
    ]
    print_table(console, ("", "PSNR dB", "SSIM", "noise level", "s/image", "MP/s"), rows)
