"""``autodenoise evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autodenoise.cli.tables import optional, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from autodenoise.evaluation.scores import Scores
    from autodenoise.noise_estimation.estimate import QualityEstimate

__all__ = ["evaluate"]


def evaluate(
    run: Annotated[Path | None, typer.Argument(help="A run folder.", show_default=False)] = None,
    classifier: Annotated[
        bool,
        typer.Option(
            "--classifier",
            help="Also train a classifier on clean images, and report its accuracy on noisy and on "
            "denoised ones.",
        ),
    ] = False,
    outliers: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Also detect the images of this dataset as out-of-distribution, by their "
            "reconstruction error.",
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METHOD...",
            help="Also score these denoisers on the same noise: pca, a recipe (trained on this "
            "run's data and noise), a run folder or a model file.",
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(hidden=True)] = None,
    noise: Annotated[list[str] | None, typer.Option(metavar="NOISE...", hidden=True)] = None,
    pairs: Annotated[tuple[Path, Path] | None, typer.Option(hidden=True)] = None,
    models: Annotated[list[str] | None, typer.Option(metavar="NAME...", hidden=True)] = None,
    baselines: Annotated[list[str] | None, typer.Option(metavar="NAME...", hidden=True)] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", hidden=True)] = None,
) -> None:
    """Score a run on its test images.

    If its data include no clean images, estimate the quality of the run instead.
    """
    from autodenoise.errors import UsageError

    # The former spelling of `autodenoise benchmark`.
    if data or pairs or noise or models or baselines or output:
        if run or classifier or outliers or against:
            raise UsageError(
                "a run is scored on its own test images; to score it on other images, use "
                "autodenoise benchmark with --models RUN"
            )
        from autodenoise.cli.benchmark import benchmark

        typer.echo("note: evaluate --data is deprecated; use autodenoise benchmark", err=True)
        benchmark(data, pairs, noise, models, baselines, output or Path("report"))
        return
    if run is None:
        raise UsageError("name a run folder; to score denoisers on images, use benchmark")

    from rich.console import Console

    from autodenoise import runs
    from autodenoise.cli.progress import Downloads, Steps, TrainingProgress
    from autodenoise.runs import report, results
    from autodenoise.runs.run import FIGURES_FOLDER

    console = Console()
    figures = run / FIGURES_FOLDER
    with Downloads(console) as downloads:
        if runs.Run.open(run).has_clean:
            result = runs.evaluate(run, on_bytes=downloads)
            console.print(f"{result.images:,} test images")
            rows = (("noisy", result.noisy), ("denoised", result.denoised))
            cells = [(name, *_cells(scores)) for name, scores in rows]
            print_table(console, ("", *_HEADINGS), cells)
            numbers = results.EVALUATION_NAME
        else:
            _print_estimate(console, runs.estimate(run, on_bytes=downloads))
            numbers = results.ESTIMATE_NAME
        typer.echo(f"scores: {run / numbers}\nfigure: {figures / 'denoised.png'}")
        if classifier:
            with Steps(console, "training a classifier") as steps:
                accuracy = runs.classify(run, on_step=steps, on_bytes=downloads)
            typer.echo(
                f"\na classifier of clean images recognizes {accuracy.clean:.2%} of the clean, "
                f"{accuracy.noisy:.2%} of the noisy, {accuracy.denoised:.2%} of the denoised"
            )
        if outliers is not None:
            found = runs.find_outliers(run, outliers, on_bytes=downloads)
            typer.echo(
                f"\n{found.against} as outliers: ROC AUC {found.auc:.4f} by reconstruction error "
                f"({found.brightness_auc:.4f} by brightness alone)\n"
                f"figures: {figures / 'outliers.png'}, {figures / 'unfamiliar.png'}"
            )
        if against:
            with TrainingProgress(console) as progress:
                table = runs.compare(run, against, report=progress, on_bytes=downloads)
            console.print("\non the same noise")
            cells = [
                (row.name, optional(row.parameters, ","), *_cells(row.scores)) for row in table.rows
            ]
            print_table(console, ("", "parameters", *_HEADINGS), cells)
        typer.echo(f"report: {run / report.REPORT_NAME}")


def _print_estimate(console: Console, estimate: QualityEstimate) -> None:
    from autodenoise.noise_estimation import summary

    sentences = [summary.headline(estimate)]
    if estimate.worth != "none":
        headings = (f"{estimate.images:,} noisy images", "error, % of white", "PSNR dB")
        parts = summary.parts(estimate)
        rows = ([name, *(optional(value, ".2f") for value in values)] for name, *values in parts)
        print_table(console, headings, rows)
        sentences += [summary.assumption(estimate), summary.taken_out(estimate)]
    typer.echo("\n".join([*sentences, *summary.cautions(estimate)]))


_HEADINGS = ("BCE", "above floor", "PSNR dB", "SSIM")


def _cells(scores: Scores) -> tuple[str, ...]:
    return (
        f"{scores.bce:.4f}",
        f"{scores.bce_excess:.4f}",
        optional(scores.psnr, ".2f"),
        optional(scores.ssim, ".4f"),
    )
