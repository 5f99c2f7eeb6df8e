"""``autodenoise denoise``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["denoise"]


def denoise(
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE", help="Noisy pictures, or one folder.")
    ],
    model: Annotated[str, typer.Option(help="A model file, or a run folder.")],
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
    strip_metadata: Annotated[
        bool, typer.Option("--strip-metadata", help="Keep only the colour profile.")
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
) -> None:
    """Clean pictures with a trained model.

    A folder's results go to another folder; the same command again does only what is missing or
    has changed.
    """
    from rich.console import Console

    from autodenoise import runtime
    from autodenoise.cli.progress import DenoisingProgress
    from autodenoise.errors import UsageError
    from autodenoise.images import Scale

    folder = next((picture for picture in pictures if picture.is_dir()), None)
    if folder is not None and len(pictures) > 1:
        raise UsageError(f"{folder} is a folder; name one folder, or any number of pictures")
    if not 0 <= strength <= 1:
        raise UsageError(
            "a strength is from 0, which leaves the picture as it is, to 1, the model's answer; "
            f"got {strength:g}"
        )
    options = runtime.Options(
        strength=strength,
        scale=None if value_range is None else Scale(*value_range),
        strip_metadata=strip_metadata,
        memory=None if memory is None else _bytes(memory),
    )
    loaded = runtime.load(model)
    if folder is not None:
        target = runtime.beside(folder) if output is None else Path(output)
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
                report=report,
            )
        else:
            summary = runtime.denoise_files(
                loaded,
                runtime.place(pictures, output),
                options,
                overwrite=overwrite,
                jobs=jobs,
                report=report,
            )
    if summary.error is not None:
        raise summary.error


def _bytes(size: str) -> int:
    """Read a size as people write it: 512M, 2G, 1.5GiB; 2GB is the disk makers' 2,000,000,000."""
    import re

    from autodenoise.errors import UsageError

    said = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?B)?", size.strip().upper())
    if said is None:
        raise UsageError(f"memory is '{size}'; expected a size such as 512M, 2G or 1.5GiB")
    number, unit, ending = said.groups()
    return int(float(number) * (1000 if ending == "B" else 1024) ** " KMGT".index(unit or " "))
