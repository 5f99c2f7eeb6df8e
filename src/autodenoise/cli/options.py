"""The options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["AsJson", "Device", "Epochs", "Overwrite", "SampleRange", "Seed", "Settings"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing output files.")]
SampleRange = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--range",
        metavar="LOW HIGH",
        help="The sample values of black and white.",
        show_default="from the image files",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set one value of the recipe, such as noise.sigma=0.5. Can be repeated.",
    ),
]
Epochs = Annotated[
    int | None, typer.Option(help="Epochs of each phase.", show_default="those of the recipe")
]
Seed = Annotated[int | None, typer.Option(help="Random seed.", show_default="that of the recipe")]
Device = Annotated[str | None, typer.Option(help="cpu or cuda.", show_default="cuda if available")]
