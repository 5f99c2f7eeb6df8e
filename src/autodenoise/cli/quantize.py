"""``autodenoise quantize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["quantize"]


def quantize(
    model: Annotated[str, typer.Argument(help="A model in float32: a name, a file or a run.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .onnx file to make.")],
    data: Annotated[
        str,
        typer.Option(
            help="The data the model was trained on, as recipes name them; as the model's card "
            "names them by default.",
        ),
    ] = "",
) -> None:
    """Make a model's 8-bit variant: faster on CPUs with VNNI, and nearly as good."""
    from rich.console import Console

    from autodenoise import runs
    from autodenoise.cli.progress import Downloads

    with Downloads(Console()) as downloads:
        made = runs.quantize(model, output, data=data, on_bytes=downloads)
    typer.echo(
        f"on {made.calibration}, for which its ranges were chosen:\n"
        f"PSNR {made.before:.2f} dB in float32, {made.after:.2f} dB in int8\n"
        f"model file: {made.path}"
    )
