"""``autodenoise tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autodenoise.cli.options import Device, Epochs, Seed, Settings

__all__ = ["tune"]


def tune(
    recipe: Annotated[
        str,
        typer.Argument(
            help="The name of a built-in recipe or a .toml file, with a [search] table."
        ),
    ],
    trials: Annotated[int, typer.Option(help="The total number of trials.")] = 30,
    out: Annotated[
        Path | None,
        typer.Option(help="The study folder to create or continue.", show_default="tune/RECIPE"),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Where to store the study: a URL such as sqlite:///search.db, or a .journal file.",
            show_default="a journal in the study folder",
        ),
    ] = None,
    settings: Settings = None,
    epochs: Epochs = None,
    seed: Seed = None,
    device: Device = None,
) -> None:
    """Search a recipe's settings for the lowest validation loss.

    Running the same command again continues the search; running it twice at once shares the work.
    Values from --set are not searched. The test images are never used.
    """
    from rich.console import Console

    from autodenoise.cli.progress import Downloads, SearchProgress
    from autodenoise.files import quoted
    from autodenoise.metrics import loss_text
    from autodenoise.runs import TENSORBOARD_NAME
    from autodenoise.tuning import search

    console = Console()
    with Downloads(console) as downloads, SearchProgress(console) as progress:
        found = search.tune(
            recipe,
            out,
            trials=trials,
            storage=storage,
            settings=settings or (),
            epochs=epochs,
            seed=seed,
            device=device,
            report=progress,
            on_bytes=downloads,
        )
    best = found.best
    if best is not None and best.value is not None:
        typer.echo(f"best: trial {best.number}, val_loss {loss_text(best.value)}")
        for key, value in best.values.items():
            typer.echo(f"  {key} = {value}")
        typer.echo("train the best settings on all training images with:")
        typer.echo(f"  autodenoise train {quoted(found.folder / search.BEST_NAME)}")
    typer.echo(f"the trials and their figures are in {found.folder}; compare them with:")
    typer.echo(f"  tensorboard --logdir {quoted(found.folder / TENSORBOARD_NAME)}")
