"""``autodenoise evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from autodenoise.evaluation.scores import Scores

__all__ = ["evaluate"]


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder that train has made.")],
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    classifier: Annotated[
        bool,
        typer.Option(
            "--classifier",
            help="Train a classifier on clean images: what does it recognise on noisy and on "
            "denoised ones?",
        ),
    ] = False,
    outliers: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Tell this data set's images from the run's own by their reconstruction error.",
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METHOD...",
            help="Score these on the same noise: pca, a recipe (trained on this run's data and "
            "noise), a run folder or a model file.",
        ),
    ] = None,
) -> None:
    """Score a run on its test images: noisy against denoised, and a picture of both."""
    from rich.console import Console

    from autodenoise import runs
    from autodenoise.cli.progress import Downloads, Steps, TrainingProgress
    from autodenoise.errors import UsageError
    from autodenoise.runs import report, results
    from autodenoise.runs.run import FIGURES_FOLDER

    if more and not against:
        raise UsageError(f"one run at a time; got {run} and {', '.join(more)}")
    console = Console()
    figures = run / FIGURES_FOLDER
    with Downloads(console) as downloads:
        result = runs.evaluate(run, on_bytes=downloads)
        console.print(f"{result.images:,} test images")
        rows = (("noisy", None, result.noisy), ("denoised", None, result.denoised))
        _print_scores(console, rows)
        typer.echo(f"scores: {run / results.EVALUATION_NAME}\npicture: {figures / 'denoised.png'}")
        if classifier:
            with Steps(console, "training a classifier") as steps:
                accuracy = runs.classify(run, on_step=steps, on_bytes=downloads)
            console.print(
                f"\na classifier of clean images recognises {accuracy.clean:.2%} of the clean, "
                f"{accuracy.noisy:.2%} of the noisy, {accuracy.denoised:.2%} of the denoised",
                highlight=False,
                soft_wrap=True,
            )
        if outliers is not None:
            found = runs.find_outliers(run, outliers, on_bytes=downloads)
            console.print(
                f"\n{found.against} as outliers: ROC AUC {found.auc:.4f} by reconstruction error "
                f"({found.brightness_auc:.4f} by brightness alone)",
                highlight=False,
                soft_wrap=True,
            )
            typer.echo(f"pictures: {figures / 'outliers.png'}, {figures / 'unfamiliar.png'}")
        if against:
            with TrainingProgress(console) as progress:
                table = runs.compare(
                    run, [*against, *(more or ())], report=progress, on_bytes=downloads
                )
            console.print("\non the same noise")
            _print_scores(console, ((row.name, row.parameters, row.scores) for row in table.rows))
        typer.echo(f"report: {run / report.REPORT_NAME}")


def _print_scores(console: Console, rows: Iterable[tuple[str, int | None, Scores]]) -> None:
    from rich.table import Table

    rows = list(rows)
    counted = any(parameters is not None for _, parameters, _ in rows)
    table = Table(box=None, pad_edge=False)
    for heading in ("", *(("parameters",) if counted else ()), *_HEADINGS):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, parameters, scores in rows:
        count = "-" if parameters is None else f"{parameters:,}"
        table.add_row(
            name,
            *((count,) if counted else ()),
            f"{scores.bce:.4f}",
            f"{scores.bce_excess:.4f}",
            "-" if scores.psnr is None else f"{scores.psnr:.2f}",
            "-" if scores.ssim is None else f"{scores.ssim:.4f}",
        )
    console.print(table)


_HEADINGS = ("BCE", "above floor", "PSNR dB", "SSIM")
