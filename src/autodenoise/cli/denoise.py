"""``autodenoise denoise``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["denoise"]


def denoise(
    image: Annotated[Path, typer.Argument(help="The noisy picture.")],
    model: Annotated[Path, typer.Option(help="A model file, or a run folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The clean picture to write.")],
) -> None:
    """Clean a picture with a trained model."""
    import time

    from autodenoise import runtime

    begun = time.perf_counter()
    loaded = runtime.load(model)
    runtime.denoise_file(loaded, image, output)
    took = time.perf_counter() - begun
    typer.echo(f"{image} -> {output} with {loaded.card.name}, {took:.2f} s")
