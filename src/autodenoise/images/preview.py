"""Show a page of any image file on any screen: 8 bits, sRGB, in tiles.

A preview is a pyramid: the page, then versions of half the size each, until one fits a tile. So
images of any size can be viewed without loading them whole.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from autodenoise.images.image_file import ImageFile
from autodenoise.images.intensity import IntensityRange
from autodenoise.images.libvips import pyvips

__all__ = ["TILE_SIZE", "display_range", "level_sizes", "read_tile", "write_preview"]

TILE_SIZE = 512
"""Width and height of a preview's tiles, in pixels."""

_PROFILE = "icc-profile-data"
_MAX_SAMPLED_SIDE = 1000
# An image whose brightest samples are below this share of the range looks black.
_DIM = 0.25
_WHITE = 255


def display_range(file: ImageFile, intensity_range: IntensityRange | None) -> IntensityRange | None:
    """Choose the sample values that a preview shows as black and white, from a file's first page.

    Samples of more than 8 bits often use a small part of their range and would look black. Then the
    preview stretches from the 0.1st to the 99.9th percentile. Return None if `intensity_range`,
    which is None if unknown, shows the image well.
    """
    if file.dtype == np.uint8 and intensity_range == IntensityRange.for_dtype(file.dtype):
        return None
    try:
        image = file.load_page(0)
        step = max(1, max(image.width, image.height) // _MAX_SAMPLED_SIDE)
        samples = image.subsample(step, step).numpy()
    except pyvips.Error as error:
        raise file.damaged(error) from None
    colors = samples.reshape(*samples.shape[:2], -1)[:, :, : file.colors]
    finite = colors[np.isfinite(colors)]
    if not finite.size:
        return None
    low, high = (float(value) for value in np.percentile(finite, (0.1, 99.9)))
    if intensity_range is not None and high > intensity_range.low + _DIM * (
        intensity_range.high - intensity_range.low
    ):
        return None
    return IntensityRange(low, high) if low < high else IntensityRange(low, low + 1)


def write_preview(file: ImageFile, page: int, folder: Path, display: IntensityRange | None) -> None:
    """Write a page of a file, opened upright, as a pyramid, whose tiles `read_tile` returns.

    Colors are converted through the file's profile. Of more than three unnamed channels the first
    three are shown as red, green and blue; of two, as red and green. `display` has the sample
    values of black and white; None for the file's own. `folder` must not exist; it appears when the
    preview is complete.
    """
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    unfinished.mkdir()
    try:
        image = file.load_page(page)
        shown = _to_srgb(image.extract_band(0, n=file.colors), file, display)
        if file.has_alpha:
            alpha = image.extract_band(file.colors)
            opaque = np.iinfo(file.dtype).max if file.dtype.kind in "iu" else 1
            shown = shown.bandjoin(alpha.linear(_WHITE / opaque, 0).rint().cast("uchar"))
        level = 0
        _save(shown, unfinished, level)
        while max((above := _load(unfinished, level)).width, above.height) > TILE_SIZE:
            level += 1
            half = above.shrink(min(2, above.width), min(2, above.height), ceil=True)
            _save(half, unfinished, level)
        unfinished.rename(folder)
    except pyvips.Error as error:
        raise file.damaged(error) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def level_sizes(preview: Path) -> list[tuple[int, int]]:
    """Return (width, height) of each level of a preview, full size first."""
    images = (_load(preview, level) for level in range(len(list(preview.iterdir()))))
    return [(image.width, image.height) for image in images]


def read_tile(preview: Path, level: int, row: int, column: int) -> bytes | None:
    """Return a tile of a preview as a PNG file; None if there is no such tile."""
    if not _level_file(preview, level).is_file():
        return None
    image = _load(preview, level)
    left, top = column * TILE_SIZE, row * TILE_SIZE
    width, height = min(TILE_SIZE, image.width - left), min(TILE_SIZE, image.height - top)
    if min(left, top) < 0 or min(width, height) < 1:
        return None
    encoded: bytes = image.crop(left, top, width, height).pngsave_buffer(compression=1)
    return encoded


def _level_file(preview: Path, level: int) -> Path:
    return preview / f"{level}.tif"


def _load(preview: Path, level: int) -> pyvips.Image:
    return pyvips.Image.tiffload(str(_level_file(preview, level)))


def _save(image: pyvips.Image, preview: Path, level: int) -> None:
    # libvips writes tiles larger than the image, but cannot always read them.
    tiled = {"tile": True, "tile_width": TILE_SIZE, "tile_height": TILE_SIZE}
    image.tiffsave(
        str(_level_file(preview, level)),
        bigtiff=True,
        keep=pyvips.enums.ForeignKeep.NONE,
        **(tiled if min(image.width, image.height) >= TILE_SIZE else {}),
    )


def _to_srgb(image: pyvips.Image, file: ImageFile, display: IntensityRange | None) -> pyvips.Image:
    if file.colors not in (1, 3):
        channels = [image.extract_band(band) for band in range(min(3, file.colors))]
        missing = [channels[0].linear(0, 0)] * (3 - len(channels))
        image = channels[0].bandjoin([*channels[1:], *missing])
    has_profile = not file.cmyk and image.get_typeof(_PROFILE) != 0
    if display is None and file.dtype in (np.uint8, np.uint16) and has_profile:
        rgb, gray = ("rgb16", "grey16") if file.dtype == np.uint16 else ("srgb", "b-w")
        image = image.copy(interpretation=gray if image.bands == 1 else rgb)
        return image.icc_transform("srgb", embedded=True, depth=8)
    intensity_range = display or file.intensity_range or IntensityRange(0, 1)
    gain = _WHITE / (intensity_range.high - intensity_range.low)
    image = image.linear(gain, -intensity_range.low * gain).rint().cast("uchar")
    return image.copy(interpretation="b-w" if image.bands == 1 else "srgb")
