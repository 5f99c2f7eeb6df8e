"""``autodenoise compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autodenoise.cli.options import AsJson, Overwrite, SampleRange
from autodenoise.cli.tables import optional

if TYPE_CHECKING:
    from autodenoise.evaluation.comparison import Change
    from autodenoise.plots.side_by_side import Crop, SideBySide

__all__ = ["compare"]


def compare(
    before: Annotated[Path, typer.Argument(help="An image file, such as the noisy one.")],
    after: Annotated[Path, typer.Argument(help="The other version, such as the denoised one.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Write both images, their difference and an enlarged detail, side by side, to "
            "this image file.",
        ),
    ] = None,
    crop: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,SIZE",
            help="The detail: its upper left corner and its side, in pixels.",
            show_default="where the images differ most in a structured region",
        ),
    ] = None,
    intensity_range: SampleRange = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Measure and show the difference between two images of the same size."""
    import dataclasses
    import json

    from rich.console import Console

    from autodenoise.images import IntensityRange
    from autodenoise.plots import side_by_side

    with Console(stderr=True).status("comparing"):
        change, composed = side_by_side.compare_files(
            before,
            after,
            output,
            crop=None if crop is None else _crop(crop),
            intensity_range=None if intensity_range is None else IntensityRange(*intensity_range),
            overwrite=overwrite,
        )
    if as_json:
        content = {"before": str(before), "after": str(after), **dataclasses.asdict(change)}
        if composed is not None:
            content["output"] = str(output)
            content["picture"] = str(output)  # the former name of "output"
            content["difference_gains"] = composed.gains
            content["detail"] = {**composed.crop._asdict(), "zoom": composed.zoom}
        typer.echo(json.dumps(content, indent=2))
        return
    _print(change)
    if composed is not None:
        typer.echo(f"image: {output} ({_legend(composed)})")


def _crop(text: str) -> Crop:
    from autodenoise.errors import UsageError
    from autodenoise.plots.side_by_side import Crop

    try:
        x, y, size = (int(number) for number in text.split(","))
    except ValueError:
        raise UsageError(f"--crop takes three integers, X,Y,SIZE; got '{text}'") from None
    return Crop(x, y, size, size)


def _print(change: Change) -> None:
    from rich.console import Console
    from rich.table import Table

    rows = (
        ("size", f"{change.width}x{change.height}", "pixels"),
        ("PSNR", *(("equal", "") if change.psnr is None else (f"{change.psnr:.2f}", "dB"))),
        ("SSIM", optional(change.ssim, ".4f"), ""),
        ("pixels changed", f"{change.changed:.2%}", ""),
        ("mean change", optional(change.mean_change, ".2f"), "of 255"),
        ("largest change", optional(change.largest_change, ".2f"), "of 255"),
        ("brightness shift", f"{change.brightness_shift:+.2f}", "of 255"),
        ("noise before", optional(change.noise_before, ".2f"), "of 255, estimated"),
        ("noise after", optional(change.noise_after, ".2f"), "of 255, estimated"),
    )
    table = Table(box=None, pad_edge=False, show_header=False)
    for justify in ("left", "right", "left"):
        table.add_column(justify=justify)
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)


def _legend(composed: SideBySide) -> str:
    *whole, detail = (f"difference x{gain}" for gain in composed.gains)
    crop = composed.crop
    position = f"{crop.width}x{crop.height} at {crop.x},{crop.y}, zoom {composed.zoom}x, {detail}"
    return "; ".join([*whole, f"detail {position}"])
