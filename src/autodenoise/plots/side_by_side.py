"""Two images and their difference side by side, with an enlarged detail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from autodenoise import images
from autodenoise.errors import OutputError, UsageError
from autodenoise.evaluation.comparison import Change, Pair, gain, measure
from autodenoise.images import IntensityRange
from autodenoise.images.libvips import pyvips
from autodenoise.plots.panels import GAP, Panel, lay_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float32]
    Canvas = NDArray[np.uint8]

__all__ = ["MAX_CROP", "Crop", "SideBySide", "compare_files", "compose"]

# Widths and height in pixels of the composed image; three columns and the gaps are 1800 wide.
_MAX_COLUMN, _MIN_COLUMN, _MAX_HEIGHT = 576, 288, 864
_PANORAMA = 4  # aspect ratio above which the three images are stacked vertically
_ZOOM = 4

MAX_CROP = _MAX_COLUMN
"""The largest side of the detail, which is shown without scaling down."""

_CELLS = 8


class Crop(NamedTuple):
    """A region of an image: its top left corner and its size, in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class SideBySide:
    """A composed image, and how to read it.

    Attributes
    ----------
    pixels
        (H, W, 3) uint8, at most 1800 wide.
    gains
        The factors of the difference, in the whole image and in the detail, see
        `autodenoise.evaluation.comparison.gain`. One number if the detail is the whole image.
    crop
        The position of the detail.
    zoom
        The enlargement of the detail.
    """

    pixels: Canvas
    gains: tuple[int, ...]
    crop: Crop
    zoom: int


def compose(pair: Pair, crop: Crop | None = None) -> SideBySide:
    """Return before, after and difference side by side, and an enlarged detail of each below.

    The difference is after minus before, around mid-gray. If it shows only grain, only noise was
    removed; if it shows the subject, detail was lost (the "method noise" of Buades, Coll, Morel, "A
    review of image denoising algorithms, with a new one", 2005). Small images are enlarged as a
    whole, without a detail.

    By default, the detail is the region with the largest product of the mean squared change and the
    mean gradient of the second image. The mean gradient of the whole image is added to the latter,
    so that changes in smooth regions are found too. Raise UsageError if `crop` is not inside the
    images, or a side exceeds `MAX_CROP` pixels.
    """
    panorama = pair.width > max(_MAX_COLUMN, _PANORAMA * pair.height)
    widest = 3 * _MAX_COLUMN + 2 * GAP if panorama else _MAX_COLUMN
    shrink = min(1, widest / pair.width, _MAX_HEIGHT / pair.height)
    width, height = (max(1, round(side * shrink)) for side in (pair.width, pair.height))
    column = min(max(width, _MIN_COLUMN), _MAX_COLUMN)
    small = crop is None and 2 * max(pair.width, pair.height) <= column
    if crop is not None:
        _check(crop, pair)
    elif small:
        crop = Crop(0, 0, pair.width, pair.height)
    else:
        side = column // _ZOOM
        sides = min(side, pair.width), min(side, max(height // _ZOOM, side // 2), pair.height)
        crop = _most_changed(pair, *sides)
    zoom = max(1, column // max(crop.width, crop.height))

    rows, columns = slice(crop.y, crop.y + crop.height), slice(crop.x, crop.x + crop.width)
    detail_times, detail = _panels(*pair.part(rows, columns), zoom)
    if small:
        return SideBySide(lay_out([detail]), (detail_times,), crop, zoom)
    times, whole = _panels(*_shrunk(pair, width, height))
    for panel in whole:
        _frame(panel.pixels, crop, width / pair.width, height / pair.height)
    above = [[panel] for panel in whole] if panorama else [whole]
    return SideBySide(lay_out([*above, detail]), (times, detail_times), crop, zoom)


def compare_files(
    before: Path,
    after: Path,
    target: Path | None = None,
    *,
    crop: Crop | None = None,
    intensity_range: IntensityRange | None = None,
    overwrite: bool = False,
) -> tuple[Change, SideBySide | None]:
    """Measure the difference between two image files, and write a side-by-side image.

    The suffix of `target` determines the format; None writes no image. For `crop` see `compose`.

    Raise InputError if an image cannot be read or is too large, or the two do not match;
    OutputError if `target` exists and `overwrite` is not set, or it cannot be written; UsageError
    if the detail is not inside the images, or `target` is one of the two files.
    """
    if target is not None and target.exists():
        if not overwrite:
            raise OutputError(f"{target} exists already; choose another name, or --overwrite")
        if any(source.exists() and target.samefile(source) for source in (before, after)):
            raise UsageError(f"{target} is one of the compared files; choose another name")
    pair = Pair.read(before, after, intensity_range)
    change = measure(pair)
    if target is None:
        return change, None
    composed = compose(pair, crop)
    images.write(target, composed.pixels)
    return change, composed


def _check(crop: Crop, pair: Pair) -> None:
    sides = crop.width, crop.height
    inside = min(crop.x, crop.y) >= 0 and (
        crop.x + crop.width <= pair.width and crop.y + crop.height <= pair.height
    )
    if not inside or min(sides) < 1 or max(sides) > MAX_CROP:
        raise UsageError(
            f"the detail must be inside the image of {pair.width}x{pair.height} pixels, with sides "
            f"of 1 to {MAX_CROP} pixels; got {crop.width}x{crop.height} at {crop.x},{crop.y}"
        )


def _most_changed(pair: Pair, width: int, height: int) -> Crop:
    """Choose a detail, on a grid of an eighth of its shorter side."""
    cell = max(1, min(width, height) // _CELLS)
    parts = []
    for _, before, after in pair.strips(multiple=cell):
        change = np.square(after - before)
        down = np.abs(np.diff(after, axis=0, append=after[-1:]))
        right = np.abs(np.diff(after, axis=1, append=after[:, -1:]))
        parts.append(_means(np.stack([change.mean(2), (down + right).mean(2)], axis=2), cell))
    window = sliding_window_view(np.concatenate(parts), (height // cell, width // cell), (0, 1))
    change, detail = np.moveaxis(window.mean(axis=(3, 4), dtype=np.float64), 2, 0)
    if not change.any():
        change = np.ones_like(change)
    if detail.any():
        change = change * (detail + detail.mean())
    row, column = np.unravel_index(np.argmax(change), change.shape)
    x, y = int(column) * cell, int(row) * cell
    return Crop(min(x, pair.width - width), min(y, pair.height - height), width, height)


def _means(image: Pixels, cell: int) -> Pixels:
    """Return the means of square cells; the border is repeated to complete the last ones."""
    down, right = -image.shape[0] % cell, -image.shape[1] % cell
    padded = np.pad(image, ((0, down), (0, right), (0, 0)), mode="edge")
    height, width, channels = padded.shape
    cells = padded.reshape(height // cell, cell, width // cell, cell, channels)
    return np.asarray(cells.mean(axis=(1, 3)))


def _shrunk(pair: Pair, width: int, height: int) -> tuple[Pixels, Pixels]:
    cell = max(1, min(pair.width // width, pair.height // height))
    means = [
        (_means(before, cell), _means(after, cell))
        for _, before, after in pair.strips(multiple=cell)
    ]
    before, after = (
        _resize(np.concatenate(strips), width, height) for strips in zip(*means, strict=True)
    )
    return before, after


def _resize(image: Pixels, width: int, height: int) -> Pixels:
    if image.shape[:2] == (height, width):
        return image
    source = pyvips.Image.new_from_array(image)
    result = source.resize(width / source.width, vscale=height / source.height)
    resized: Pixels = result.numpy().reshape(height, width, -1)
    return resized


def _panels(before: Pixels, after: Pixels, zoom: int = 1) -> tuple[int, list[Panel]]:
    """Return the gain of the difference and the three panels of a row."""
    difference = after - before
    times = gain(difference)
    shown = {"before": before, "after": after, f"difference x{times}": 0.5 + times * difference}
    enlarged = f", zoom {zoom}x" if zoom > 1 else ""
    return times, [Panel.of(label + enlarged, image, zoom) for label, image in shown.items()]


def _frame(pixels: Canvas, crop: Crop, across: float, down: float) -> None:
    """Draw a white frame inside a black one around a region, visible on any background."""
    height, width, _ = pixels.shape
    left, right = int(crop.x * across), int(np.ceil((crop.x + crop.width) * across))
    top, bottom = int(crop.y * down), int(np.ceil((crop.y + crop.height) * down))
    for grow, value in ((1, 255), (2, 0)):
        first, last = max(left - grow, 0), min(right + grow, width) - 1
        upper, lower = max(top - grow, 0), min(bottom + grow, height) - 1
        pixels[upper : lower + 1, [first, last]] = value
        pixels[[upper, lower], first : last + 1] = value
