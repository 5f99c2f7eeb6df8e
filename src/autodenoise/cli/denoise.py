"""``autodenoise denoise``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from autodenoise.runtime import DenoiseOptions, Model

__all__ = ["denoise"]


def denoise(
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE", help="Noisy pictures, or one folder.")
    ],
    model: Annotated[
        str | None, typer.Option(help="A model's name, a model file, or a run folder.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="The clean picture, or the folder for it.",
            show_default="photo.denoised.jpg, or in.denoised for a folder",
        ),
    ] = None,
    strength: Annotated[
        float, typer.Option(help="From 0, the picture as it is, to 1, the model's answer.")
    ] = 1.0,
    value_range: Annotated[
        tuple[float, float] | None,
        typer.Option(
            "--range",
            metavar="LOW HIGH",
            help="The values of black and white.",
            show_default="by the file's type and metadata",
        ),
    ] = None,
    axes: Annotated[
        str | None,
        typer.Option(
            metavar="LETTERS",
            help="What the dimensions of a stack are, such as ZYX or TYXS.",
            show_default="pages are pictures, samples are colours",
        ),
    ] = None,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="ENDING",
            help="Write png, jpg, tif, webp or avif.",
            show_default="each picture's own",
        ),
    ] = None,
    strip_metadata: Annotated[
        bool,
        typer.Option("--strip-metadata", help="Keep only the colour profile and the resolution."),
    ] = False,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="What each picture in work may take, such as 512M or 2G.",
            show_default="by what is free",
        ),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Take the folders within the folder too.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are in the way.")
    ] = False,
    jobs: Annotated[int, typer.Option(help="How many pictures to clean at once.")] = 2,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done, and how long it takes.")
    ] = False,
) -> None:
    """Clean pictures with a trained model.

    A folder's results go to another folder; the same command again does only what is missing or
    has changed.
    """
    from rich.console import Console

    from autodenoise import runtime
    from autodenoise.cli.progress import DenoisingProgress
    from autodenoise.errors import UsageError
    from autodenoise.images import IntensityRange

    folder = next((picture for picture in pictures if picture.is_dir()), None)
    if folder is not None and len(pictures) > 1:
        raise UsageError(f"{folder} is a folder; name one folder, or any number of pictures")
    options = runtime.DenoiseOptions(
        strength=strength,
        intensity_range=None if value_range is None else IntensityRange(*value_range),
        axes=axes,
        strip_metadata=strip_metadata,
        memory=None if memory is None else _bytes(memory),
    )
    suffix = None if file_format is None else f".{file_format.lower().removeprefix('.')}"
    loaded = runtime.load(model)
    if folder is not None:
        target = runtime.beside(folder) if output is None else Path(output)
    if dry_run:
        runtime.check_suffix(suffix)
        sources = pictures
        if folder is not None:
            sources = runtime.find_images(folder, recursive=recursive, exclude=target)
        _preview(loaded, sources, options)
        return
    where = "" if folder is None else f"{folder} -> {target}"
    how = f"with {loaded.card.name}, strength {strength:g}"
    with DenoisingProgress(Console(), where, how) as report:
        if folder is not None:
            summary = runtime.denoise_folder(
                loaded,
                folder,
                target,
                options,
                recursive=recursive,
                overwrite=overwrite,
                jobs=jobs,
                suffix=suffix,
                report=report,
            )
        else:
            summary = runtime.denoise_files(
                loaded,
                runtime.place(pictures, output, suffix),
                options,
                overwrite=overwrite,
                jobs=jobs,
                report=report,
            )
    if summary.error is not None:
        raise summary.error


def _preview(model: Model, sources: list[Path], options: DenoiseOptions) -> None:
    from autodenoise import runtime
    from autodenoise.errors import AutodenoiseError, InputError

    pace, seconds, failed = None, 0.0, 0
    for source in sources:
        try:
            seen = runtime.preview(model, source, options)
        except AutodenoiseError as error:
            if len(sources) == 1:
                raise
            typer.echo(str(error))
            failed += 1
            continue
        # One tile is timed, for all.
        pace = runtime.pace(model, seen.plan) if pace is None else pace
        took = pace * seen.fed_pixels
        seconds += took
        picture, plan = seen.picture, seen.plan
        pages = f", {picture.pages:,} pages" if picture.pages > 1 else ""
        tiles = plan.tiles * picture.pages
        typer.echo(
            f"{source}: {picture.format.name}, {picture.width}x{picture.height}{pages}, "
            f"{picture.bands} x {picture.bits} bits; {tiles:,} tile{'s' if tiles > 1 else ''} of "
            f"{plan.tile[1]}x{plan.tile[0]}, {plan.memory / 2**20:,.0f} MiB, about {_time(took)}"
        )
    if len(sources) > 1:
        rest = len(sources) - failed
        typer.echo(f"{rest:,} pictures, about {_time(seconds)} with {model.card.name}")
    if failed:
        raise InputError(f"{failed:,} of {len(sources):,} pictures could not be denoised")


def _time(seconds: float) -> str:
    from autodenoise.cli.progress import clock

    return f"{seconds:.2g} s" if seconds < 60 else clock(seconds)


def _bytes(size: str) -> int:
    """Read a size as people write it: 512M, 2G, 1.5GiB; 2GB is the disk makers' 2,000,000,000."""
    import re

    from autodenoise.errors import UsageError

    said = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)\s*([KMGT]?)(I?B)?", size.strip().upper())
    if said is None:
        raise UsageError(f"memory is '{size}'; expected a size such as 512M, 2G or 1.5GiB")
    number, unit, ending = said.groups()
    return int(float(number) * (1000 if ending == "B" else 1024) ** " KMGT".index(unit or " "))
