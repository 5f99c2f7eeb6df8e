"""``autodenoise import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autodenoise.cli.tables import network_facts, plain_console, print_layers

__all__ = ["import_"]


def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="A .keras file, or an .h5 file that holds a whole model."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The .onnx file to write.", show_default="next to MODEL"
        ),
    ] = None,
    name: Annotated[
        str, typer.Option(help="The model's name.", show_default="that of the file")
    ] = "",
    input_range: Annotated[
        tuple[float, float],
        typer.Option(
            metavar="LOW HIGH", help="The values of black and white in the network's input."
        ),
    ] = (0.0, 1.0),
    output_range: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH",
            help="The values of black and white in the network's output.",
            show_default="the input range",
        ),
    ] = None,
) -> None:
    """Convert a Keras model into a model file."""
    from autodenoise.files import printable, quoted
    from autodenoise.runs.imports import import_keras

    made = import_keras(
        source, output, name=name, input_range=input_range, output_range=output_range
    )
    card, summary = made.card, made.summary
    console = plain_console()
    console.print(f"{card.name}: {card.source}", style="bold")
    multiple = card.size_multiple if card.size is None else None
    console.print("\n".join(network_facts(summary, multiple, card.halo)), end="\n\n")
    print_layers(console, summary)
    for warning in made.warnings:
        console.print(f"\n{warning}")
    path = printable(str(made.path))
    typer.echo(f"\nmodel file: {path}")
    typer.echo(f"try it: autodenoise denoise IMAGE --model {quoted(made.path)}")
