"""``autodenoise import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autodenoise.cli.layers import images_in_words, layers_table, size_in_words

__all__ = ["import_"]


def import_(
    source: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="A .keras file, or an .h5 file of a whole model."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The .onnx file to make; by default beside the model."),
    ] = None,
    name: Annotated[str, typer.Option(help="The model's name; by default the file's.")] = "",
    takes: Annotated[
        tuple[float, float],
        typer.Option(
            metavar="BLACK WHITE", help="The values of black and white that it was trained to take."
        ),
    ] = (0.0, 1.0),
    gives: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="BLACK WHITE", help="Those that it answers with; by default as it takes them."
        ),
    ] = None,
) -> None:
    """Make a model file of a network that was trained in Keras."""
    from rich.console import Console

    from autodenoise.files import printable, quoted
    from autodenoise.runs.imports import import_keras

    made = import_keras(source, output, name=name, takes=takes, gives=gives)
    card, summary = made.card, made.summary
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(f"{card.name}: {card.source}", style="bold")
    console.print(size_in_words(summary))
    console.print(
        images_in_words(summary, card.size_multiple if card.size is None else None, card.halo)
    )
    console.print()
    console.print(layers_table(summary))
    for doubt in made.doubts:
        console.print(f"\n{doubt}")
    path = printable(str(made.path))
    typer.echo(f"\nmodel file: {path}")
    typer.echo(f"try it: autodenoise denoise PICTURE --model {quoted(made.path)}")
