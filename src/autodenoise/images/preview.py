"""A page of any picture as something that every screen can show: 8 bits, sRGB, in tiles.

A preview is a pyramid: the page, then half of it, then a quarter, until one tile holds it all. So a
picture of any size can be looked at without anybody holding it whole.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from autodenoise.errors import InputError
from autodenoise.images.formats import reason
from autodenoise.images.libvips import pyvips
from autodenoise.images.samples import IntensityRange

if TYPE_CHECKING:
    from pathlib import Path

    from autodenoise.images.image_file import ImageFile

__all__ = ["TILE", "levels", "shown_range", "tile", "write_preview"]

TILE = 512
"""The side of a preview's tiles, in pixels."""

_PROFILE = "icc-profile-data"
_SAMPLED = 1000
# A picture that leaves more than this of its range unused is black to the eye.
_DIM = 0.25
_WHITE = 255


def shown_range(
    picture: ImageFile, intensity_range: IntensityRange | None
) -> IntensityRange | None:
    """Choose the sample values that a preview shows as black and white.

    Samples of more than 8 bits often use a small part of their range, and look black. Then the
    preview goes from the darkest to the brightest ones, one in a thousand at either end left out.

    Parameters
    ----------
    picture
        Its first page is looked at.
    intensity_range
        What black and white are; None if nobody knows.

    Returns
    -------
    Scale or None
        None where `intensity_range` shows the picture well.

    Raises
    ------
    InputError
        The file is damaged.
    """
    if picture.dtype == np.uint8 and intensity_range == IntensityRange.of(picture.dtype):
        return None
    try:
        image = picture.page(0)
        step = max(1, max(image.width, image.height) // _SAMPLED)
        samples = image.subsample(step, step).numpy()
    except pyvips.Error as error:
        raise InputError(f"{picture.path} is damaged or cut off: {reason(error)}") from None
    colours = samples.reshape(*samples.shape[:2], -1)[:, :, : picture.colors]
    known = colours[np.isfinite(colours)]
    if not known.size:
        return None
    low, high = (float(value) for value in np.percentile(known, (0.1, 99.9)))
    if intensity_range is not None and high > intensity_range.low + _DIM * (
        intensity_range.high - intensity_range.low
    ):
        return None
    return IntensityRange(low, high) if low < high else IntensityRange(low, low + 1)


def write_preview(
    picture: ImageFile, page: int, folder: Path, shown: IntensityRange | None
) -> None:
    """Write a page as a pyramid, of which `tile` gives parts.

    Colours come through the picture's profile. Of more than three channels without a meaning the
    first three are shown as red, green and blue, of two as red and green.

    Parameters
    ----------
    picture
        Opened upright.
    page
        Counted from 0.
    folder
        For this alone. It is there only when it is whole.
    shown
        The sample values of black and white; None for the picture's own.

    Raises
    ------
    InputError
        The file is damaged, or the disk is full.
    OSError
        The folder cannot be made.
    """
    making = folder.with_name(f"{folder.name}.unfinished")
    making.mkdir()
    try:
        image = picture.page(page)
        colours = _colours(image.extract_band(0, n=picture.colors), picture, shown)
        if picture.has_alpha:
            transparency = image.extract_band(picture.colors)
            colours = colours.bandjoin(_transparency(transparency, picture.dtype))
        level = 0
        _save(colours, making, level)
        while max((above := _load(making, level)).width, above.height) > TILE:
            level += 1
            half = above.shrink(min(2, above.width), min(2, above.height), ceil=True)
            _save(half, making, level)
        making.rename(folder)
    except pyvips.Error as error:
        raise InputError(f"{picture.path} is damaged or cut off: {reason(error)}") from None
    finally:
        shutil.rmtree(making, ignore_errors=True)


def levels(preview: Path) -> list[tuple[int, int]]:
    """Give (width, height) of a preview and of its smaller versions, each half the one before."""
    images = (_load(preview, level) for level in range(len(list(preview.iterdir()))))
    return [(image.width, image.height) for image in images]


def tile(preview: Path, level: int, row: int, column: int) -> bytes | None:
    """Give a tile of a preview as a PNG file; None where there is none."""
    if not _file(preview, level).is_file():
        return None
    image = _load(preview, level)
    left, top = column * TILE, row * TILE
    width, height = min(TILE, image.width - left), min(TILE, image.height - top)
    if min(left, top) < 0 or min(width, height) < 1:
        return None
    encoded: bytes = image.crop(left, top, width, height).pngsave_buffer(compression=1)
    return encoded


def _file(preview: Path, level: int) -> Path:
    return preview / f"{level}.tif"


def _load(preview: Path, level: int) -> pyvips.Image:
    return pyvips.Image.tiffload(str(_file(preview, level)))


def _save(image: pyvips.Image, preview: Path, level: int) -> None:
    # Of tiles larger than the picture, libvips refuses some that it has written.
    tiled = {"tile": True, "tile_width": TILE, "tile_height": TILE}
    image.tiffsave(
        str(_file(preview, level)),
        bigtiff=True,
        keep=pyvips.enums.ForeignKeep.NONE,
        **(tiled if min(image.width, image.height) >= TILE else {}),
    )


def _colours(image: pyvips.Image, picture: ImageFile, shown: IntensityRange | None) -> pyvips.Image:
    if picture.colors not in (1, 3):
        channels = [image.extract_band(band) for band in range(min(3, picture.colors))]
        missing = [channels[0].linear(0, 0)] * (3 - len(channels))
        image = channels[0].bandjoin([*channels[1:], *missing])
    intensity_range = shown or picture.intensity_range or IntensityRange(0, 1)
    if shown is None and picture.dtype in (np.uint8, np.uint16) and _has_profile(picture, image):
        deep = "rgb16" if picture.dtype == np.uint16 else "srgb"
        grey = "grey16" if picture.dtype == np.uint16 else "b-w"
        image = image.copy(interpretation=grey if image.bands == 1 else deep)
        return image.icc_transform("srgb", embedded=True, depth=8)
    gain = _WHITE / (intensity_range.high - intensity_range.low)
    image = image.linear(gain, -intensity_range.low * gain).rint().cast("uchar")
    return image.copy(interpretation="b-w" if image.bands == 1 else "srgb")


def _has_profile(picture: ImageFile, image: pyvips.Image) -> bool:
    return not picture.cmyk and image.get_typeof(_PROFILE) != 0


def _transparency(band: pyvips.Image, dtype: np.dtype[Any]) -> pyvips.Image:
    opaque = np.iinfo(dtype).max if dtype.kind in "iu" else 1
    return band.linear(_WHITE / opaque, 0).rint().cast("uchar")
