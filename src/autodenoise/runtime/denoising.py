"""Arrays and picture files through a model: in, clean, out."""

from __future__ import annotations

import contextlib
import dataclasses
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
    "fixed",
    "intensity_range_of",
    "pace",
    "preview",
]


@dataclass(frozen=True)
class DenoiseOptions:
    """How a picture is denoised; what decides the output beside the picture and the model.

    Attributes
    ----------
    strength
        In [0, 1]: 0 gives the input back, 1 the model's answer, between blends the two.
    intensity_range
        The sample values of black and white; None takes them from the samples' type, the file's
        metadata, or the model's card.
    axes
        What a file's dimensions are, as in ``ZYX``: pages first, then rows and columns, then the
        samples of a pixel. These are colours, denoised together, if their letter is S, and
        pictures of their own under any other. None: pages are pictures, samples are colours.
    strip_metadata
        Leave out all but the colour profile and the resolution.
    memory
        Bytes that a picture in work may take; None decides by what is free.

    Raises
    ------
    UsageError
        The strength is outside [0, 1], or the axes are no letters of dimensions.
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


def fixed(options: DenoiseOptions) -> DenoiseOptions:
    """Decide now what memory a picture may take, so that it is the same for all of many."""
    budget = memory_budget() if options.memory is None else options.memory
    return dataclasses.replace(options, memory=budget)


@dataclass(frozen=True)
class DenoiseResult:
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


@dataclass(frozen=True)
class DryRun:
    """What denoising a picture would take.

    Attributes
    ----------
    picture
        As its header has it.
    plan
        The tiles of a page.
    fed_pixels
        What the network works on in all pages, its halo and every sample that is denoised alone
        counted.
    """

    picture: ImageFile
    plan: Plan
    fed_pixels: int


def denoise(
    image: NDArray[Any] | str | os.PathLike[str],
    model: Model | str | os.PathLike[str] | None = None,
    *,
    strength: float = 1.0,
    intensity_range: IntensityRange | None = None,
    axes: str | None = None,
    memory: int | None = None,
) -> NDArray[Any]:
    """Denoise an array or a picture file, and give an array.

    Parameters
    ----------
    image
        An array of any dimensions, or the path of a picture, which is read upright, with
        transparency as the last samples of a pixel. uint8, uint16, or floats in [0, 1] nominally:
        noise may reach outside.
    model
        A denoiser, or what `load` makes one of: by default the model that is shipped for photos.
    strength
        In [0, 1]: 0 gives a copy of the image, 1 the model's answer, between blends the two.
    intensity_range
        The sample values of black and white. By default those of the dtype; of floats and wide
        integers the model's, if it was trained on such.
    axes
        A letter for each dimension of the array, in order: Y and X are rows and columns, S the
        colours of a pixel, which are denoised together; along every other, such as Z, T or C, lie
        pictures that are denoised one by one. Without it, (H, W) and (H, W, colours) are expected.
    memory
        Bytes to work in; by default 600 MiB, or less where little is free.

    Returns
    -------
    ndarray
        The clean image, of the same shape and dtype.

    Raises
    ------
    UsageError
        The strength is outside [0, 1], or the axes do not describe the array.
    InputError
        The picture cannot be read, or picture and model do not fit each other.

    Examples
    --------
    >>> clean = autodenoise.denoise(noisy, "runs/conv-mnist", strength=0.7)  # doctest: +SKIP
    >>> stack = autodenoise.denoise(planes, model, axes="ZYX")  # doctest: +SKIP
    """
    denoiser = model if isinstance(model, Model) else load(model)
    if isinstance(image, np.ndarray):
        return _denoise_array(denoiser, image, strength, intensity_range, axes, memory)
    picture = images.open_image(Path(image), upright=True)
    options = DenoiseOptions(
        strength=strength, intensity_range=intensity_range, axes=axes, memory=memory
    )
    with contextlib.closing(images.prefetch(picture.rows())) as decoded:
        rows = np.concatenate(list(_clean_rows(denoiser, picture, options, decoded)))
    shape = (picture.pages, picture.height, picture.width, picture.bands)
    # A page or a band alone is no dimension of its own.
    kept = [side for index, side in enumerate(shape) if side > 1 or index in (1, 2)]
    return rows.reshape(kept)


def _denoise_array(
    model: Model,
    image: NDArray[Any],
    strength: float,
    intensity_range: IntensityRange | None,
    axes: str | None,
    memory: int | None,
) -> NDArray[Any]:
    if axes is None:
        if image.ndim not in (2, 3):
            raise UsageError(
                f"an array of shape {image.shape} can be meant in many ways; say which dimension "
                'is what, as in axes="ZYX"'
            )
        return model.denoise(
            image, strength=strength, intensity_range=intensity_range, memory=memory
        )
    letters = _letters(axes)
    if len(letters) != image.ndim:
        raise UsageError(
            f"axes {axes} name {len(letters)} dimensions, the array has {image.ndim}: {image.shape}"
        )
    last = [letters.index(letter) for letter in "YXS" if letter in letters]
    ends = range(-len(last), 0)
    clean = np.empty_like(image)
    pictures, answers = (np.moveaxis(array, last, ends) for array in (image, clean))
    for place in np.ndindex(pictures.shape[: -len(last)]):
        answers[place] = model.denoise(
            pictures[place], strength=strength, intensity_range=intensity_range, memory=memory
        )
    return clean


def _letters(axes: str) -> str:
    letters = axes.upper()
    if not letters.isalpha() or len(set(letters)) < len(letters) or not {*"YX"} <= {*letters}:
        raise UsageError(
            f"axes are one letter a dimension, each once, with Y and X among them, as in ZYX or "
            f"TCYX; got {axes}"
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
    """Clean one picture file into another of the same size, channels and bit depth.

    Samples are decoded, denoised and encoded a band of rows at a time, each by a thread of its
    own, so that a picture may be larger than memory. Pages are pictures of their own.

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
        Told how many of how many pixels are done, now and then. What it raises stops the work.

    Raises
    ------
    InputError
        The picture cannot be read or does not fit the model.
    OutputError
        `target` exists already and `overwrite` is not set, or cannot be written, or cannot hold
        what the picture has.
    Interrupted
        Ctrl-C was pressed; nothing is left of `target`.
    """
    begun = time.perf_counter()
    options = options or DenoiseOptions()
    if os.path.lexists(target):
        if source.exists() and target.exists() and source.samefile(target):
            raise OutputError(f"{target} is the picture itself; choose another name with -o")
        if not overwrite:
            raise OutputError(
                f"{target} exists already; choose another name with -o, or allow --overwrite"
            )
    picture = images.open_for_saving(source, target, strip_metadata=options.strip_metadata)
    same_format = picture.format is images.format_of_name(target)
    try:
        if options.strength == 0 and same_format and not options.strip_metadata:
            # To decode a JPEG and encode it again would not give back its samples.
            with replacing(target) as temporary:
                shutil.copyfile(source, temporary)
        else:
            total, done = picture.width * picture.height * picture.pages, 0
            with (
                contextlib.closing(images.prefetch(picture.rows())) as rows,
                images.row_writer(picture, target, strip_metadata=options.strip_metadata) as put,
            ):
                for chunk in _clean_rows(model, picture, options, rows):
                    put(chunk)
                    done += chunk.shape[0] * chunk.shape[1]
                    if progress:
                        progress(done, total)
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; nothing was written to {target}") from None
    seconds = time.perf_counter() - begun
    return DenoiseResult(source, target, picture.width, picture.height, picture.pages, seconds)


def preview(model: TileDenoiser, source: Path, options: DenoiseOptions | None = None) -> DryRun:
    """Find out what denoising a picture file would take, from its header.

    Raises
    ------
    InputError
        The picture cannot be read or does not fit the model.
    """
    options = options or DenoiseOptions()
    picture = images.open_image(source)
    _, colours, together = _meaning(picture, options, model.card)
    check_channels(model.card, colours)
    cut = _cut(model, picture, options)
    runs = 1 if together and colours == model.card.channels else colours
    return DryRun(picture, cut, cut.fed_pixels * runs * picture.pages)


def pace(model: Model, plan: Plan) -> float:
    """Measure the seconds that the network takes for a pixel that it is fed, on one tile."""
    tile = np.full((1, *plan.tile, model.card.channels), 0.5, np.float32)
    # The first run makes the engine's memory.
    model.batch(tile)
    begun = time.perf_counter()
    model.batch(tile)
    return (time.perf_counter() - begun) / (plan.tile[0] * plan.tile[1])


def _clean_rows(
    model: TileDenoiser, picture: ImageFile, options: DenoiseOptions, rows: Iterator[NDArray[Any]]
) -> Iterator[NDArray[Any]]:
    """Give the clean rows of a picture, page after page."""
    intensity_range, colours, together = _meaning(picture, options, model.card)
    cut = _cut(model, picture, options)
    pages = (
        denoise_rows(
            model,
            cut,
            _rows_of_a_page(rows, picture.height),
            intensity_range=intensity_range,
            strength=options.strength,
            colours=colours,
            together=together,
        )
        for _ in range(picture.pages)
    )
    return itertools.chain.from_iterable(pages)


def _rows_of_a_page(rows: Iterator[NDArray[Any]], height: int) -> Iterator[NDArray[Any]]:
    while height > 0 and (chunk := next(rows, None)) is not None:
        height -= len(chunk)
        yield chunk


def _cut(model: TileDenoiser, picture: ImageFile, options: DenoiseOptions) -> Plan:
    return plan(
        model.card,
        picture.height,
        picture.width,
        sample_bytes=picture.bands * picture.dtype.itemsize,
        memory=memory_budget() if options.memory is None else options.memory,
    )


def intensity_range_of(
    picture: ImageFile, options: DenoiseOptions, card: Card
) -> IntensityRange | None:
    """Give the sample values of black and white; None where nobody knows them."""
    intensity_range = options.intensity_range or picture.intensity_range
    if options.intensity_range is not None and picture.white_is_zero:
        most = np.iinfo(picture.dtype).max
        intensity_range = IntensityRange(
            most - options.intensity_range.high, most - options.intensity_range.low
        )
    return (
        IntensityRange(*card.range)
        if intensity_range is None and card.range is not None
        else intensity_range
    )


def _meaning(
    picture: ImageFile, options: DenoiseOptions, card: Card
) -> tuple[IntensityRange, int, bool]:
    """Give the scale, how many samples of a pixel are denoised, and whether together."""
    intensity_range = intensity_range_of(picture, options, card)
    if intensity_range is None:
        raise InputError(
            f"{picture.path} has {picture.dtype} samples, whose range only you know; give the "
            "values of black and white, such as 0 and 4095 (--range 0 4095)"
        )
    if options.axes is None:
        return intensity_range, picture.colors, True
    letters = _letters(options.axes)
    pages, last = letters.split("YX") if "YX" in letters else ("", letters)
    if "YX" not in letters or len(last) > 1 or bool(pages) != (picture.pages > 1):
        raise UsageError(
            f"axes {options.axes} do not describe {picture.path}, which has {picture.pages} "
            f"page(s) of {picture.bands} sample(s) a pixel: pages come first, then YX, then the "
            "samples, as in ZYX or ZYXS"
        )
    together = last in ("", "S")
    return intensity_range, picture.colors if together else picture.bands, together
