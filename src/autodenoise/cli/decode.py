"""``autodenoise decode``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["decode"]


def decode(
    run: Annotated[
        Path, typer.Argument(help="The run folder or model file that encoded the images.")
    ],
    codes: Annotated[Path, typer.Argument(help="A file that autodenoise encode wrote.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder for the images.")],
) -> None:
    """Turn codes back into images."""
    from autodenoise import runs

    files = runs.decode(run, codes, output)
    typer.echo(f"{len(files):,} images in {output}")
