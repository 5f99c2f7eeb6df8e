"""``autodenoise encode``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["encode"]


def encode(
    run: Annotated[
        Path, typer.Argument(help="A run folder or a model file whose network has a bottleneck.")
    ],
    images: Annotated[str, typer.Argument(help="A folder of images, or the name of a dataset.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .npz file to write.")],
    chart: Annotated[
        Path | None,
        typer.Option(
            "--map", help="Also draw a 2-D map of the codes, into this .png or .svg file."
        ),
    ] = None,
) -> None:
    """Write the codes of images: the output of the network's bottleneck."""
    import math

    from autodenoise import runs
    from autodenoise.cli.progress import Downloads

    with Downloads() as downloads:
        codes = runs.encode(run, images, output, chart=chart, on_bytes=downloads)
    values, numbers = math.prod(codes.image), math.prod(codes.code)
    typer.echo(
        f"{codes.count:,} images of {values:,} values -> codes of {numbers:,} numbers, "
        f"{codes.ratio:.1f} to 1"
    )
    typer.echo(
        f"in bytes: {values:,} of 8-bit pixels -> {4 * numbers:,} of 32-bit numbers per image, "
        f"{values / (4 * numbers):.1f} to 1; {output} takes {codes.file_bytes / codes.count:,.0f}"
    )
    if chart is not None:
        typer.echo(f"map: {chart}")
