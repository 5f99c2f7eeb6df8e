"""``autodenoise train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["train"]


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(help="A built-in recipe's name (see: autodenoise recipes) or a .toml file."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with this run folder instead, exactly where it stopped."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Start from this model's weights: a shipped model, a model file or a run folder.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder to make.", show_default="runs/RECIPE")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change one value of the recipe, such as noise.sigma=0.5. Can be repeated.",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs for each phase.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="Train for so long instead; the learning rate follows the clock."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="What every random choice follows from.")] = (
        None
    ),
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda.", show_default="cuda where there is one")
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write curves and pictures for TensorBoard.")
    ] = False,
) -> None:
    """Train a denoising autoencoder. Ctrl-C stops it and keeps what was learnt."""
    import json

    from rich.console import Console

    from autodenoise import runs
    from autodenoise.cli.progress import Downloads, TrainingProgress
    from autodenoise.errors import UsageError
    from autodenoise.runs import report

    if (recipe is None) == (resume is None):
        raise UsageError("name either a recipe, as in: autodenoise train conv-mnist, or --resume")
    changes = (start, out, settings, epochs, minutes, seed)
    if resume is not None and any(change is not None for change in changes):
        raise UsageError(
            "--resume goes on with the run's own recipe and folder; leave out --from, --out, "
            "--set, --epochs, --minutes and --seed"
        )
    console = Console()
    with Downloads(console) as downloads, TrainingProgress(console) as progress:
        if resume is not None:
            run = runs.resume(
                resume,
                device=device,
                tensorboard=tensorboard,
                report=progress,
                on_bytes=downloads,
            )
        else:
            run = runs.train(
                str(recipe),
                out,
                settings=[
                    *(settings or ()),
                    *([] if start is None else [f"start={json.dumps(start)}"]),
                ],
                epochs=epochs,
                minutes=minutes,
                seed=seed,
                device=device,
                tensorboard=tensorboard,
                report=progress,
                on_bytes=downloads,
            )
    tracked = run.folder / runs.TENSORBOARD_NAME
    if tracked.is_dir():
        typer.echo(f"see how it went with:\n  tensorboard --logdir {tracked}")
    typer.echo(
        f"{run.folder} holds the model file, and {report.REPORT_NAME} to look at; score it with:"
    )
    typer.echo(f"  autodenoise evaluate {run.folder}")
