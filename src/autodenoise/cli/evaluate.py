"""``autodenoise evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["evaluate"]


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder that train has made.")],
) -> None:
    """Score a run on its test images: noisy against denoised, and a picture of both."""
    from rich.console import Console
    from rich.table import Table

    from autodenoise import runs
    from autodenoise.cli.progress import Downloads
    from autodenoise.runs import drawing, scoring

    console = Console()
    with Downloads(console) as downloads:
        result = runs.evaluate(run, on_bytes=downloads)
    table = Table(box=None, pad_edge=False)
    for heading in ("", "BCE", "above floor", "PSNR dB", "SSIM"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, scores in (("noisy", result.noisy), ("denoised", result.denoised)):
        table.add_row(
            name,
            f"{scores.bce:.4f}",
            f"{scores.bce_excess:.4f}",
            "-" if scores.psnr is None else f"{scores.psnr:.2f}",
            "-" if scores.ssim is None else f"{scores.ssim:.4f}",
        )
    console.print(f"{result.images:,} test images")
    console.print(table)
    typer.echo(f"scores: {run / scoring.EVALUATION_NAME}")
    typer.echo(f"picture: {run / drawing.FIGURES_FOLDER / 'denoised.png'}")
