"""``autodenoise denoise``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autodenoise.cli.options import Overwrite, SampleRange

if TYPE_CHECKING:
    from autodenoise.runtime import DenoiseOptions, Model

__all__ = ["denoise"]


def denoise(
    files: Annotated[
        list[Path], typer.Argument(metavar="IMAGE", help="Noisy image files, or one folder.")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The name of a shipped model, a model file, or a run folder.",
            show_default="photo-real-color",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="The denoised image file, or a folder.",
            show_default="photo.denoised.jpg, or in.denoised for a folder",
        ),
    ] = None,
    strength: Annotated[
        float,
        typer.Option(help="How much noise to remove: 0 keeps the image, 1 is the model's output."),
    ] = 1.0,
    value_range: SampleRange = None,
    axes: Annotated[
        str | None,
        typer.Option(
            metavar="LETTERS",
            help="The dimensions of a stack, such as ZYX or TYXS.",
            show_default="pages are images, samples are colors",
        ),
    ] = None,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="The output format: png, jpg, tif, webp or avif.",
            show_default="that of each image",
        ),
    ] = None,
    strip_metadata: Annotated[
        bool,
        typer.Option("--strip-metadata", help="Keep only the color profile and the resolution."),
    ] = False,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="The memory for each image in progress, such as 512M or 2G.",
            show_default="depends on the free memory",
        ),
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="Include subfolders.")] = False,
    overwrite: Overwrite = False,
    jobs: Annotated[
        int, typer.Option(help="The number of images to denoise at the same time.")
    ] = 2,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done and how long it would take.")
    ] = False,
) -> None:
    """Denoise image files with a trained model.

    The results of a folder go to another folder. Running the same command again processes only new
    and changed files.
    """
    from rich.console import Console

    from autodenoise import runtime
    from autodenoise.cli.progress import DenoisingProgress
    from autodenoise.errors import UsageError
    from autodenoise.images import IntensityRange

    folder = next((file for file in files if file.is_dir()), None)
    if folder is not None and len(files) > 1:
        raise UsageError(f"{folder} is a folder; name one folder, or any number of image files")
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
        target = runtime.default_output(folder) if output is None else Path(output)
    if dry_run:
        runtime.check_suffix(suffix)
        sources = files
        if folder is not None:
            sources = runtime.find_images(folder, recursive=recursive, exclude=target)
        _print_plan(loaded, sources, options)
        return
    paths = "" if folder is None else f"{folder} -> {target}"
    settings = f"with {loaded.card.name}, strength {strength:g}"
    with DenoisingProgress(Console(), paths, settings) as report:
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
                runtime.output_pairs(files, output, suffix),
                options,
                overwrite=overwrite,
                jobs=jobs,
                report=report,
            )
    if summary.error is not None:
        raise summary.error


def _print_plan(model: Model, sources: list[Path], options: DenoiseOptions) -> None:
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
        # Time one tile for all files.
        pace = runtime.pace(model, seen.plan) if pace is None else pace
        took = pace * seen.input_pixels
        seconds += took
        image, plan = seen.file, seen.plan
        pages = f", {image.pages:,} pages" if image.pages > 1 else ""
        tiles = plan.tiles * image.pages
        typer.echo(
            f"{source}: {image.format.name}, {image.width}x{image.height}{pages}, "
            f"{image.bands} x {image.bits} bits; {tiles:,} tile{'s' if tiles > 1 else ''} of "
            f"{plan.tile[1]}x{plan.tile[0]}, {plan.memory / 2**20:,.0f} MiB, about {_time(took)}"
        )
    if len(sources) > 1:
        rest = len(sources) - failed
        typer.echo(f"{rest:,} images, about {_time(seconds)} with {model.card.name}")
    if failed:
        raise InputError(f"{failed:,} of {len(sources):,} images could not be denoised")


def _time(seconds: float) -> str:
    from autodenoise.cli.progress import clock

    return f"{seconds:.2g} s" if seconds < 60 else clock(seconds)


def _bytes(size: str) -> int:
    """Parse a memory size: 512M, 2G and 1.5GiB are binary units, 2GB is 2,000,000,000 bytes."""
    import re

    from autodenoise.errors import UsageError

    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)\s*([KMGT]?)(I?B)?", size.strip().upper())
    if match is None:
        raise UsageError(f"memory is '{size}'; expected a size such as 512M, 2G or 1.5GiB")
    number, unit, suffix = match.groups()
    return int(float(number) * (1000 if suffix == "B" else 1024) ** " KMGT".index(unit or " "))
