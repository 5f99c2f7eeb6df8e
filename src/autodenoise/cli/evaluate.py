"""``autodenoise evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from autodenoise.benchmark import ResultAverage
    from autodenoise.evaluation.scores import Scores
    from autodenoise.noise_estimation.estimate import QualityEstimate

__all__ = ["evaluate"]

_RUN, _TABLE = "A run on its own test images", "A table over pictures whose clean version is known"


def evaluate(
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="A run folder that train has made.")
    ] = None,
    classifier: Annotated[
        bool,
        typer.Option(
            "--classifier",
            help="Train a classifier on clean images: what does it recognise on noisy and on "
            "denoised ones?",
            rich_help_panel=_RUN,
        ),
    ] = False,
    outliers: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Tell this data set's images from the run's own by their reconstruction error.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METHOD...",
            help="Score these on the same noise: pca, a recipe (trained on this run's data and "
            "noise), a run folder or a model file.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SET",
            help="Score on set12, bsd68, cbsd68, bsds-val32, or a folder of clean pictures.",
            rich_help_panel=_TABLE,
        ),
    ] = None,
    noise: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND:STRENGTH...",
            help="What is added to them: gaussian:25, with sigma of 255, or poisson:30, with the "
            "photons of white.",
            rich_help_panel=_TABLE,
        ),
    ] = None,
    pairs: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="NOISY CLEAN",
            help="Score on two folders: real noise, and references of the same names.",
            rich_help_panel=_TABLE,
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME...",
            help="Models, model files, run folders, or all that autodenoise models lists.",
            show_default="all",
            rich_help_panel=_TABLE,
        ),
    ] = None,
    baselines: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME...",
            help="Classical denoisers: bilateral, tv, wavelet, nlm, opencv-nlm, pca, bm3d (its "
            "licence is for non-commercial use only), or all. The input, a median and a blur come "
            "by themselves.",
            rich_help_panel=_TABLE,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="Where the table goes, and where one that was stopped is gone on with.",
            show_default="report",
            rich_help_panel=_TABLE,
        ),
    ] = None,
) -> None:
    """Score a run on its own test images, or denoisers on pictures whose clean version is known.

    Where a run's data hold no clean images, it tells how good the run is likely to be.

    A table that was stopped goes on when the same command is given again.
    """
    from autodenoise.errors import UsageError

    asked_of_run = run or classifier or outliers or against
    asked_of_table = data or pairs or noise or models or baselines or output
    if asked_of_run and asked_of_table:
        raise UsageError(
            "a run is scored on its own test images; to have it in a table over other pictures, "
            "leave out RUN and its options and name it with --models"
        )
    if run is not None:
        _evaluate_run(run, outliers, against or [], classifier=classifier)
    elif bool(data) == bool(pairs):
        raise UsageError(
            "name either a run folder, or what to score on: --data SET --noise gaussian:25, or "
            "--pairs NOISY CLEAN"
        )
    else:
        _tabulate(
            data,
            pairs,
            noise or [],
            ["all"] if models is None else models,
            baselines or [],
            output or Path("report"),
        )


def _evaluate_run(run: Path, outliers: str | None, against: list[str], *, classifier: bool) -> None:
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
            rows = (("noisy", None, result.noisy), ("denoised", None, result.denoised))
            _print_scores(console, rows)
            numbers = results.EVALUATION_NAME
        else:
            _print_estimate(console, runs.estimate(run, on_bytes=downloads))
            numbers = results.ESTIMATE_NAME
        typer.echo(f"scores: {run / numbers}\npicture: {figures / 'denoised.png'}")
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
                table = runs.compare(run, against, report=progress, on_bytes=downloads)
            console.print("\non the same noise")
            _print_scores(console, ((row.name, row.parameters, row.scores) for row in table.rows))
        typer.echo(f"report: {run / report.REPORT_NAME}")


def _tabulate(
    data: str | None,
    pairs: tuple[Path, Path] | None,
    noises: list[str],
    models: list[str],
    baselines: list[str],
    output: Path,
) -> None:
    from rich.console import Console

    from autodenoise.benchmark import AddedNoise, BenchmarkDataset, run_benchmark
    from autodenoise.cli.progress import TableProgress

    added = [AddedNoise.parse(noise) for noise in noises]
    if pairs is not None:
        dataset = BenchmarkDataset.open_pairs(*pairs)
    else:
        dataset = BenchmarkDataset.open(data or "")
    console = Console(highlight=False, markup=False, emoji=False)
    with TableProgress(console) as progress:
        table = run_benchmark(
            dataset, output, models=models, baselines=baselines, noises=added, on_row=progress
        )
    for noise in dict.fromkeys(one.noise for one in table.averages):
        console.print(f"\n{dataset.name}, {len(dataset.images):,} images, {noise}")
        _print_averages(console, [one for one in table.averages if one.noise == noise])
    for note in table.notes:
        console.print(f"\n{note}", soft_wrap=True)
    typer.echo("\n" + "\n".join(str(file) for file in table.files))


def _print_averages(console: Console, averages: list[ResultAverage]) -> None:
    from rich.table import Table

    from autodenoise.benchmark.baselines import INPUT

    table = Table(box=None, pad_edge=False)
    for heading in ("", "PSNR dB", "SSIM", "noise level", "s an image", "MP/s"):
        table.add_column(heading, justify="right" if heading else "left", overflow="fold")
    for one in averages:
        times = f"{one.seconds:.3f}", f"{one.mp_per_s:.3g}"
        table.add_row(
            one.denoiser,
            f"{one.psnr:.2f}",
            "-" if one.ssim is None else f"{one.ssim:.4f}",
            one.noise_level or "-",
            *(("-", "-") if one.denoiser == INPUT else times),
        )
    console.print(table)


def _print_estimate(console: Console, estimate: QualityEstimate) -> None:
    from rich.table import Table

    from autodenoise.noise_estimation import summary as verdict

    said = [verdict.headline(estimate)]
    if estimate.worth != "none":
        table = Table(box=None, pad_edge=False)
        for heading in (f"{estimate.images:,} noisy images", "error, % of white", "PSNR dB"):
            table.add_column(heading, justify="right" if table.columns else "left")
        for name, *numbers in verdict.parts(estimate):
            table.add_row(name, *("-" if value is None else f"{value:.2f}" for value in numbers))
        console.print(table)
        said += [verdict.assumption(estimate), verdict.taken_out(estimate)]
    for sentence in (*said, *verdict.cautions(estimate)):
        console.print(sentence, highlight=False, soft_wrap=True)


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
