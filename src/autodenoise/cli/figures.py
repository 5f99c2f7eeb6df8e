"""``autodenoise figures``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["figures"]


def figures(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="The figures: pairs, reconstructed, denoised, classes, triptychs, degradation, "
            "losses, diagram.",
            show_default="those of the recipe",
        ),
    ] = None,
    image: Annotated[
        list[int] | None,
        typer.Option(help="Show the test image with this index, from 0. Can be repeated."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Random seed of the choice of images.", show_default="that of the recipe"
        ),
    ] = None,
    form: Annotated[
        Literal["png", "svg"], typer.Option("--format", help="The file format.")
    ] = "png",
    show: Annotated[
        bool, typer.Option("--show", help="Open the figures in the system's viewer.")
    ] = False,
) -> None:
    """Draw figures of a run, such as those of its tutorial."""
    from autodenoise import runs
    from autodenoise.cli.progress import Downloads
    from autodenoise.errors import UsageError

    with Downloads() as downloads:
        files = runs.draw(
            run, names or (), images=image or (), seed=seed, form=form, on_bytes=downloads
        )
    for file in files:
        typer.echo(file)
    if show:
        # On Linux the viewer starts in the background, and its failure is not reported.
        displays = ("DISPLAY", "WAYLAND_DISPLAY")
        if sys.platform.startswith("linux") and not any(map(os.environ.get, displays)):
            raise UsageError("no display found; open the files yourself")
        for file in files:
            if typer.launch(str(file)) != 0:
                raise UsageError(f"no viewer could be started for {file}; open it yourself")
