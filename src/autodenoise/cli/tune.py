"""``autodenoise tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["tune"]


def tune(
    recipe: Annotated[
        str, typer.Argument(help="A built-in recipe's name, or a .toml file, with a [search].")
    ],
    trials: Annotated[int, typer.Option(help="How many trials there are to be in all.")] = 30,
    out: Annotated[
        Path | None, typer.Option(help="The study folder.", show_default="tune/RECIPE")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Where the study is kept: a URL such as sqlite:///search.db, or a .journal file.",
            show_default="a journal in the study folder",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change one value of the recipe, and do not search it. Can be repeated.",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs for each phase.")] = None,
    seed: Annotated[int | None, typer.Option(help="What every random choice follows from.")] = (
        None
    ),
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda.", show_default="cuda where there is one")
    ] = None,
) -> None:
    """Search a recipe's settings for the lowest validation loss.

    The same command goes on after a stop; started twice, it shares the work. Never sees the test
    images.
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
        typer.echo("train it on all training images, and score it on the test images, with:")
        typer.echo(f"  autodenoise train {quoted(found.folder / search.BEST_NAME)}")
    typer.echo(f"{found.folder} holds the trials and their figures; compare them with:")
    typer.echo(f"  tensorboard --logdir {quoted(found.folder / TENSORBOARD_NAME)}")
