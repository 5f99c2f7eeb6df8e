"""Two pictures and their difference in one: as a whole, and a detail of it enlarged."""

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
from autodenoise.plots.panels import GAP, Panel, laid_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float32]
    Canvas = NDArray[np.uint8]

__all__ = ["MOST_CROP", "Crop", "SideBySide", "compare_files", "compose"]

# In pixels of the composed picture. Three columns at their widest make 1800 with what is between.
_COLUMN, _NARROW, _TALLEST = 576, 288, 864
_PANORAMA = 4  # wider than this times its height: the three lie below each other
_ZOOM = 4

MOST_CROP = _COLUMN
"""A larger detail would not fit in the picture at its real pixels."""

_CELLS = 8


class Crop(NamedTuple):
    """A part of a picture: its upper left corner and its sides, in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class SideBySide:
    """A composed picture, and how to read it.

    Attributes
    ----------
    pixels
        (H, W, 3) uint8, at most 1800 wide.
    gains
        What the difference is multiplied by, in the whole and in the detail: the largest power of
        two, up to 64, with which the mean change that is shown there is at most 32 of 255. One
        number where the whole is the detail.
    crop
        The detail's place.
    zoom
        How much the detail is enlarged.
    """

    pixels: Canvas
    gains: tuple[int, ...]
    crop: Crop
    zoom: int


def compose(pair: Pair, crop: Crop | None = None) -> SideBySide:
    """Put before, after and difference side by side, and below them a detail of each, enlarged.

    The difference is after less before, around mid-grey: where it shows nothing but grain, noise
    was removed; where it shows the subject, that suffered too (Buades, Coll, Morel, "A review of
    image denoising algorithms, with a new one", 2005, who call it the method noise). Pictures that
    are small enough to be enlarged as a whole are that and nothing else.

    Parameters
    ----------
    pair
        The pictures.
    crop
        The detail. By default the place where much was changed on much structure: the one with the
        largest product of its mean squared change and its mean gradient in the picture after, to
        which that of all places is added, so that a change in a smooth place is found too.

    Raises
    ------
    UsageError
        The detail does not lie in the pictures, or has more than `MOST_CROP` pixels a side.
    """
    panorama = pair.width > max(_COLUMN, _PANORAMA * pair.height)
    widest = 3 * _COLUMN + 2 * GAP if panorama else _COLUMN
    shrink = min(1, widest / pair.width, _TALLEST / pair.height)
    width, height = (max(1, round(side * shrink)) for side in (pair.width, pair.height))
    column = min(max(width, _NARROW), _COLUMN)
    small = crop is None and 2 * max(pair.width, pair.height) <= column
    if crop is not None:
        _check(crop, pair)
    elif small:
        crop = Crop(0, 0, pair.width, pair.height)
    else:
        side = column // _ZOOM
        sides = min(side, pair.width), min(side, max(height // _ZOOM, side // 2), pair.height)
        crop = _most_telling(pair, *sides)
    zoom = max(1, column // max(crop.width, crop.height))

    rows, columns = slice(crop.y, crop.y + crop.height), slice(crop.x, crop.x + crop.width)
    detail_times, detail = _panels(*pair.part(rows, columns), zoom)
    if small:
        return SideBySide(laid_out([detail]), (detail_times,), crop, zoom)
    times, whole = _panels(*_shrunk(pair, width, height))
    for panel in whole:
        _frame(panel.pixels, crop, width / pair.width, height / pair.height)
    above = [[panel] for panel in whole] if panorama else [whole]
    return SideBySide(laid_out([*above, detail]), (times, detail_times), crop, zoom)


def compare_files(
    before: Path,
    after: Path,
    target: Path | None = None,
    *,
    crop: Crop | None = None,
    intensity_range: IntensityRange | None = None,
    overwrite: bool = False,
) -> tuple[Change, SideBySide | None]:
    """Measure what changed between two picture files, and show it in a third.

    Parameters
    ----------
    before, after
        Two pictures of one size.
    target
        Where the composed picture goes; its ending chooses the format. None composes none.
    crop
        See `compose`.
    intensity_range
        See `Pair`.
    overwrite
        Replace `target` if it is there.

    Raises
    ------
    InputError
        A picture cannot be read, is too large, or the two do not fit each other.
    OutputError
        `target` exists already and `overwrite` is not set, or cannot be written.
    UsageError
        The detail does not lie in the pictures, or `target` is one of them.
    """
    if target is not None and target.exists():
        if not overwrite:
            raise OutputError(f"{target} exists already; choose another name, or --overwrite")
        if any(source.exists() and target.samefile(source) for source in (before, after)):
            raise UsageError(f"{target} is one of the two that are compared; choose another name")
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
    if not inside or min(sides) < 1 or max(sides) > MOST_CROP:
        raise UsageError(
            f"the detail has to lie in the picture of {pair.width}x{pair.height} pixels, with 1 to "
            f"{MOST_CROP} a side; got {crop.width}x{crop.height} at {crop.x},{crop.y}"
        )


def _most_telling(pair: Pair, width: int, height: int) -> Crop:
    """Choose a detail, to an eighth of its shorter side."""
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
    """Average over square cells; where the last ones reach beyond the image, its border goes on."""
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
    picture = pyvips.Image.new_from_array(image)
    picture = picture.resize(width / picture.width, vscale=height / picture.height)
    resized: Pixels = picture.numpy().reshape(height, width, -1)
    return resized


def _panels(before: Pixels, after: Pixels, zoom: int = 1) -> tuple[int, list[Panel]]:
    """Make the three panels of a row, and tell the difference's gain."""
    difference = after - before
    times = gain(difference)
    shown = {"before": before, "after": after, f"difference x{times}": 0.5 + times * difference}
    enlarged = f", zoom {zoom}x" if zoom > 1 else ""
    return times, [Panel.of(label + enlarged, image, zoom) for label, image in shown.items()]


def _frame(pixels: Canvas, crop: Crop, across: float, down: float) -> None:
    """Draw a frame around a place, white in black, so that it shows on everything."""
    height, width, _ = pixels.shape
    left, right = int(crop.x * across), int(np.ceil((crop.x + crop.width) * across))
    top, bottom = int(crop.y * down), int(np.ceil((crop.y + crop.height) * down))
    for grow, value in ((1, 255), (2, 0)):
        first, last = max(left - grow, 0), min(right + grow, width) - 1
        upper, lower = max(top - grow, 0), min(bottom + grow, height) - 1
        pixels[upper : lower + 1, [first, last]] = value
        pixels[[upper, lower], first : last + 1] = value
