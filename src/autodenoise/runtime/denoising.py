"""Denoise arrays and image files."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autodenoise import images
from autodenoise.errors import InputError, Interrupted, OutputError, UsageError
from autodenoise.files import replacing
from autodenoise.images import IntensityRange
from autodenoise.runtime.model import Model
from autodenoise.runtime.models import load
from autodenoise.runtime.tiling import (
    Plan,
    TileDenoiser,
    check_channels,
    check_strength,
    denoise_rows,
    plan,
)
from autodenoise.system import memory_budget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from autodenoise.images import ImageFile
    from autodenoise.runtime.card import Card

__all__ = [
    "DenoiseOptions",
    "DenoiseResult",
    "DryRun",
    "denoise",
    "denoise_file",
    "intensity_range_of",
    "pace",
    "preview",
    "with_memory_limit",
]


@dataclass(frozen=True)
class DenoiseOptions:
    """How to denoise an image file.

    Attributes
    ----------
    strength
        Weight of the model's output in [0, 1]; the rest is the input. 0 copies the input.
    intensity_range
        The sample values of black and white; by default from the dtype, the file's metadata, or the
        model's card.
    axes
        The file's dimensions, such as ``ZYX``: pages first, then rows and columns, then the samples
        of a pixel. Samples named S are colors and denoised together; under any other letter each
        is an image of its own. By default pages are images, samples are colors.
    strip_metadata
        Save no metadata except the color profile and the resolution.
    memory
        Memory limit in bytes for each file; by default depends on the free memory.

    Raises
    ------
    UsageError
        The strength is outside [0, 1], or the axes are invalid.
    """

    strength: float = 1.0
    intensity_range: IntensityRange | None = None
    axes: str | None = None
    strip_metadata: bool = False
    memory: int | None = None

    def __post_init__(self) -> None:
        check_strength(self.strength)
        if self.axes is not None:
            _letters(self.axes)


def with_memory_limit(options: DenoiseOptions) -> DenoiseOptions:
    """Return the options with a memory limit, so that all files of a batch have the same one."""
    budget = memory_budget() if options.memory is None else options.memory
    return dataclasses.replace(options, memory=budget)


@dataclass(frozen=True)
class DenoiseResult:
    """The result of denoising one file.

    Attributes
    ----------
    source, target
        The input and output files.
    width, height, pages
        Size of the image.
    seconds
        Time from opening the input to closing the output.
    """

    source: Path
    target: Path
    width: int
    height: int
    pages: int
    seconds: float


@dataclass(frozen=True)
class DryRun:
    """The amount of work to denoise a file; `plan` has the tiles of one page.

    `input_pixels` counts what the network processes on all pages, including halos; channels that
    are denoised one by one count separately.
    """

    file: ImageFile
    plan: Plan
    input_pixels: int


def denoise(
    image: NDArray[Any] | str | os.PathLike[str],
    model: Model | str | os.PathLike[str] | None = None,
    *,
    strength: float = 1.0,
    intensity_range: IntensityRange | None = None,
    axes: str | None = None,
    memory: int | None = None,
) -> NDArray[Any]:
    """Denoise an array or an image file, and return an array.

    Parameters
    ----------
    image
        An array, or the path of an image file, which is read upright, with transparency as the last
        samples of a pixel. uint8, uint16, or floats with nominal range [0, 1], which noise may
        exceed.
    model
        A model, or an argument of `load`; by default the shipped model for photos.
    strength
        Weight of the model's output in [0, 1]; the rest is the input. 0 returns a copy.
    intensity_range
        The sample values of black and white. By default those of the dtype; for floats and wide
        integers those of the model, if it has them.
    axes
        A letter for each dimension of the array, in order: Y and X are rows and columns, S the
        colors of a pixel, which are denoised together. Along all other dimensions, such as Z, T or
        C, images are denoised one by one. By default the shape must be (H, W) or (H, W, C).
    memory
        Memory limit in bytes; by default 600 MiB, or less if little is free.

    Returns
    -------
    ndarray
        The denoised image, with the same shape and dtype.

    Raises
    ------
    UsageError
        The strength is outside [0, 1], or the axes do not describe the array.
    InputError
        The file cannot be read, or the image does not fit the model.

    Examples
    --------
    >>> clean = autodenoise.denoise(noisy, "runs/conv-mnist", strength=0.7)  # doctest: +SKIP
    >>> stack = autodenoise.denoise(planes, model, axes="ZYX")  # doctest: +SKIP
    """
    denoiser = model if isinstance(model, Model) else load(model)
    if isinstance(image, np.ndarray):
        denoise_image = functools.partial(
            denoiser.denoise, strength=strength, intensity_range=intensity_range, memory=memory
        )
        return _denoise_array(denoise_image, image, axes)
    file = images.open_image(Path(image), upright=True)
    options = DenoiseOptions(
        strength=strength, intensity_range=intensity_range, axes=axes, memory=memory
    )
    with contextlib.closing(images.prefetch(file.rows())) as decoded:
        rows = np.concatenate(list(_clean_rows(denoiser, file, options, decoded)))
    shape = (file.pages, file.height, file.width, file.bands)
    # A single page or band is not a dimension.
    sides = [side for index, side in enumerate(shape) if side > 1 or index in (1, 2)]
    return rows.reshape(sides)


def _denoise_array(
    denoise_image: Callable[[NDArray[Any]], NDArray[Any]], image: NDArray[Any], axes: str | None
) -> NDArray[Any]:
    if axes is None:
        if image.ndim not in (2, 3):
            raise UsageError(
                f"an array of shape {image.shape} is ambiguous; name its dimensions, as in "
                'axes="ZYX"'
            )
        return denoise_image(image)
    letters = _letters(axes)
    if len(letters) != image.ndim:
        raise UsageError(
            f"axes {axes} name {len(letters)} dimensions, the array has {image.ndim}: {image.shape}"
        )
    last = [letters.index(letter) for letter in "YXS" if letter in letters]
    ends = range(-len(last), 0)
    clean = np.empty_like(image)
    inputs, outputs = (np.moveaxis(array, last, ends) for array in (image, clean))
    for index in np.ndindex(inputs.shape[: -len(last)]):
        outputs[index] = denoise_image(inputs[index])
    return clean


def _letters(axes: str) -> str:
    letters = axes.upper()
    if not letters.isalpha() or len(set(letters)) < len(letters) or not {*"YX"} <= {*letters}:
        raise UsageError(
            f"expected one different letter for each dimension, with Y and X, as in ZYX or TCYX; "
            f"got {axes}"
        )
    return letters


def denoise_file(
    model: TileDenoiser,
    source: Path,
    target: Path,
    options: DenoiseOptions | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> DenoiseResult:
    """Denoise an image file into another of the same size, channels and bit depth.

    Bands of rows are decoded, denoised and encoded in separate threads, so the image may be larger
    than memory. Each page is denoised as an image of its own.

    Parameters
    ----------
    model
        The denoiser.
    source, target
        Input and output; the suffix of the output determines its format.
    options
        By default full strength.
    overwrite
        Replace an existing `target`.
    progress
        Called with the number of pixels that are done, and of all. Its exceptions stop the work.

    Raises
    ------
    InputError
        The file cannot be read or does not fit the model.
    OutputError
        `target` exists and `overwrite` is not set, `target` cannot be written, or its format cannot
        store the image.
    Interrupted
        Ctrl-C was pressed; `target` was not written.
    """
    begun = time.perf_counter()
    options = options or DenoiseOptions()
    if os.path.lexists(target):
        if source.exists() and target.exists() and source.samefile(target):
            raise OutputError(f"{target} is the input itself; choose another name with -o")
        if not overwrite:
            raise OutputError(
                f"{target} exists already; choose another name with -o, or use --overwrite"
            )
    file = images.open_for_saving(source, target, strip_metadata=options.strip_metadata)
    same_format = file.format is images.format_of_name(target)
    try:
        if options.strength == 0 and same_format and not options.strip_metadata:
            # Decoding and encoding a JPEG would change its samples.
            with replacing(target) as temporary:
                shutil.copyfile(source, temporary)
        else:
            total, done = file.width * file.height * file.pages, 0
            with (
                contextlib.closing(images.prefetch(file.rows())) as rows,
                images.row_writer(file, target, strip_metadata=options.strip_metadata) as write,
            ):
                for chunk in _clean_rows(model, file, options, rows):
                    write(chunk)
                    done += chunk.shape[0] * chunk.shape[1]
                    if progress:
                        progress(done, total)
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; nothing was written to {target}") from None
    seconds = time.perf_counter() - begun
    return DenoiseResult(source, target, file.width, file.height, file.pages, seconds)


def preview(model: TileDenoiser, source: Path, options: DenoiseOptions | None = None) -> DryRun:
    """Plan how to denoise an image file without decoding it."""
    options = options or DenoiseOptions()
    file = images.open_image(source)
    _, channels, together = _interpretation(file, options, model.card)
    check_channels(model.card, channels)
    tiles = _tiles(model, file, options)
    runs = 1 if together and channels == model.card.channels else channels
    return DryRun(file, tiles, tiles.input_pixels * runs * file.pages)


def pace(model: Model, plan: Plan) -> float:
    """Measure the seconds per pixel of the network on one tile."""
    tile = np.full((1, *plan.tile, model.card.channels), 0.5, np.float32)
    # The first run allocates memory.
    model.batch(tile)
    begun = time.perf_counter()
    model.batch(tile)
    return (time.perf_counter() - begun) / (plan.tile[0] * plan.tile[1])


def _clean_rows(
    model: TileDenoiser, file: ImageFile, options: DenoiseOptions, rows: Iterator[NDArray[Any]]
) -> Iterator[NDArray[Any]]:
    """Return the denoised rows of a file, page after page."""
    intensity_range, channels, together = _interpretation(file, options, model.card)
    tiles = _tiles(model, file, options)
    pages = (
        denoise_rows(
            model,
            tiles,
            _rows_of_a_page(rows, file.height),
            intensity_range=intensity_range,
            strength=options.strength,
            channels=channels,
            together=together,
        )
        for _ in range(file.pages)
    )
    return itertools.chain.from_iterable(pages)


def _rows_of_a_page(rows: Iterator[NDArray[Any]], height: int) -> Iterator[NDArray[Any]]:
    while height > 0 and (chunk := next(rows, None)) is not None:
        height -= len(chunk)
        yield chunk


def _tiles(model: TileDenoiser, file: ImageFile, options: DenoiseOptions) -> Plan:
    size, sample_bytes = (file.height, file.width), file.bands * file.dtype.itemsize
    return plan(model.card, *size, sample_bytes=sample_bytes, memory=options.memory)


def intensity_range_of(
    file: ImageFile, options: DenoiseOptions, card: Card
) -> IntensityRange | None:
    """Return the sample values of black and white, or None if they are unknown."""
    chosen = options.intensity_range
    if chosen is not None and file.white_is_zero:
        white_value = np.iinfo(file.dtype).max
        return IntensityRange(white_value - chosen.high, white_value - chosen.low)
    return chosen or file.intensity_range or (IntensityRange(*card.range) if card.range else None)


def _interpretation(
    file: ImageFile, options: DenoiseOptions, card: Card
) -> tuple[IntensityRange, int, bool]:
    """Return the intensity range, the number of channels to denoise, and whether together."""
    intensity_range = intensity_range_of(file, options, card)
    if intensity_range is None:
        raise InputError(
            f"{file.path} has {file.dtype} samples of unknown intensity range; pass the values "
            "of black and white, such as 0 and 4095 (--range 0 4095)"
        )
    if options.axes is None:
        return intensity_range, file.colors, True
    letters = _letters(options.axes)
    pages, last = letters.split("YX") if "YX" in letters else ("", letters)
    if "YX" not in letters or len(last) > 1 or bool(pages) != (file.pages > 1):
        raise UsageError(
            f"axes {options.axes} do not describe {file.path}, which has {file.pages} "
            f"page(s) of {file.bands} sample(s) a pixel: pages come first, then YX, then the "
            "samples, as in ZYX or ZYXS"
        )
    together = last in ("", "S")
    return intensity_range, file.colors if together else file.bands, together
