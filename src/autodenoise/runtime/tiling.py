"""Denoise images of any size in tiles of equal shape, within a memory limit."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from autodenoise.errors import InputError, UsageError
from autodenoise.system import memory_budget

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from autodenoise.images import IntensityRange
    from autodenoise.runtime.card import Card

__all__ = [
    "Cut",
    "Plan",
    "TileDenoiser",
    "check_channels",
    "check_size",
    "check_strength",
    "denoise_rows",
    "plan",
]

_MIB = 2**20

# Larger tiles recompute less halo but use the processor's caches less well: a U-Net of 0.42 M
# parameters takes as long for a 12 MP photo in tiles of 1.2 MP as in tiles of 1.7 MP.
_MAX_TILE_PIXELS = 5 * 2**18

# For cards without a value: four float32 maps of 64 channels at full size.
_DEFAULT_BYTES_PER_PIXEL = 1024

# Copies of a tile outside the network. As floats: converted, padded, transposed, blended. As
# samples: before, after, and float64 intermediates of wide integers.
_FLOAT_COPIES = 4
_SAMPLE_COPIES = 4


class TileDenoiser(Protocol):
    """A model, or a wrapper or substitute for one."""

    @property
    def card(self) -> Card:
        """The description of the model."""

    def batch(self, images: NDArray[np.float32], /) -> NDArray[np.float32]:
        """Denoise float32 images (N, H, W, C) with nominal range [0, 1]."""


class Cut(NamedTuple):
    """The position of a tile along one axis, in image pixels.

    `first` is the first pixel of the network's input, ``[start, stop)`` the part of the output that
    is used. The tiles of an axis cover each pixel once.
    """

    first: int
    start: int
    stop: int


@dataclass(frozen=True)
class Plan:
    """The tiles of one image. Equal cards, sizes and memory limits result in equal plans.

    `tile` is the (height, width) of the network's input. At the right and lower border of the image
    it includes the padding to the card's size multiple. `memory` is an estimate in bytes: the
    network's maps, the buffered input rows and the output rows.
    """

    height: int
    width: int
    tile: tuple[int, int]
    bands: tuple[Cut, ...]
    columns: tuple[Cut, ...]
    memory: int

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return len(self.bands) * len(self.columns)

    @property
    def input_pixels(self) -> int:
        """Pixels that the network processes; overlaps count for each tile."""
        return self.tiles * self.tile[0] * self.tile[1]


def plan(card: Card, height: int, width: int, *, sample_bytes: int, memory: int | None) -> Plan:
    """Find the tiles that cover an image with the least computation.

    All tiles have one shape, so that ONNX Runtime reuses its memory. They start at multiples of the
    card's size multiple, so that strided layers are aligned as in the whole image. Each tile
    includes the card's halo around the part that is used, except at the image border. So the
    result equals that of the whole image at once.

    `sample_bytes` is per pixel of the image file: 8 for 16-bit RGB with transparency. `memory` is
    the limit in bytes, by default `memory_budget`. Raises `InputError` if the size does not fit the
    model, or the smallest tiles exceed the limit.
    """
    check_size(card, height, width)
    memory = memory_budget() if memory is None else memory
    multiple = card.size_multiple
    local = card.size is None and card.halo is not None
    margin = _up(card.halo or 0, multiple)
    rows, columns = _up(height, multiple), _up(width, multiple)
    down = _choices(rows, margin, multiple) if local else [(1, rows)]
    across = _choices(columns, margin, multiple) if local else [(1, columns)]
    # Rows of the tables are tile heights, columns are tile widths.
    counts_down, heights = np.array(down, np.int64).T[:, :, None]
    counts_across, widths = np.array(across, np.int64).T[:, None, :]
    area = heights * widths
    per_pixel = card.bytes_per_pixel or _DEFAULT_BYTES_PER_PIXEL
    per_pixel += _FLOAT_COPIES * 4 * card.channels + _SAMPLE_COPIES * sample_bytes
    used = np.where(counts_down > 1, heights - margin, heights)
    # Two output bands: the caller may still use one while the next is computed.
    needed = area * per_pixel + (heights + 2 * used) * width * sample_bytes
    fits = (needed <= memory) & (area <= max(_MAX_TILE_PIXELS, area.min()))
    if not fits.any():
        raise InputError(
            f"{card.name} needs {-(-needed.min() // _MIB):,} MiB of memory for an image of "
            f"{width}x{height} pixels"
            + ("" if local else ", which it cannot process in tiles")
            + f", but the limit is {memory // _MIB:,} MiB; raise it with --memory, or use a "
            "smaller image"
        )
    computed = np.where(fits, counts_down * counts_across * area, np.iinfo(np.int64).max)
    i, j = np.unravel_index(computed.argmin(), computed.shape)
    return Plan(
        height,
        width,
        (down[i][1], across[j][1]),
        _cuts(height, rows, *down[i], margin),
        _cuts(width, columns, *across[j], margin),
        int(needed[i, j]),
    )


def check_size(card: Card, height: int, width: int) -> None:
    """Raise `InputError` if the model only accepts images of another size."""
    if card.size is not None and (height, width) != card.size:
        raise InputError(
            f"the model {card.name} accepts images of {card.size[1]}x{card.size[0]} pixels, "
            f"this one has {width}x{height}; crop or resize it, or train a network that accepts "
            "any size"
        )


def check_channels(card: Card, channels: int) -> None:
    """Raise `InputError` if the model cannot process images with this number of channels.

    Models with 1 or 3 channels process any number, one channel at a time.
    """
    if card.channels not in (1, 3, channels):
        raise InputError(
            f"the model {card.name} accepts {card.channels} channels, the image has {channels}"
        )


def check_strength(strength: float) -> None:
    """Raise `UsageError` if a strength is outside [0, 1]."""
    if not 0 <= strength <= 1:
        raise UsageError(
            "expected a strength from 0, which leaves the image unchanged, to 1, full denoising; "
            f"got {strength:g}"
        )


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _choices(length: int, margin: int, multiple: int) -> list[tuple[int, int]]:
    """Return the useful (count, side) of tiles along an axis.

    For each, there is no smaller count for the side and no shorter side for the count. Border tiles
    have only one margin, so n tiles of side s cover n * s - 2 * margin * (n - 1) pixels.
    """
    # All sides for small counts, and all counts for short sides.
    max_count = max(1, (length - 2 * margin) // multiple)
    few = np.arange(1, math.isqrt(max_count) + 2)
    many = -(-(length - 2 * margin) // (multiple * few))
    counts = np.unique(np.clip(np.concatenate([few, many]), 1, max_count))
    covered = length + 2 * margin * (counts - 1)
    sides = -(-covered // (counts * multiple)) * multiple
    sides, first = np.unique(sides, return_index=True)
    return list(zip(counts[first].tolist(), sides.tolist(), strict=True))[::-1]


def _cuts(length: int, extended: int, count: int, side: int, margin: int) -> tuple[Cut, ...]:
    # The last tile is moved back inside the image and overlaps more.
    starts = [min(tile * (side - 2 * margin), extended - side) for tile in range(count)]
    bounds = [0, *(first + side - margin for first in starts[:-1]), length]
    return tuple(map(Cut, starts, bounds[:-1], bounds[1:]))


def denoise_rows(
    model: TileDenoiser,
    plan: Plan,
    rows: Iterable[NDArray[Any]],
    *,
    intensity_range: IntensityRange,
    strength: float,
    channels: int,
    together: bool = True,
) -> Iterator[NDArray[Any]]:
    """Denoise one image from chunks of rows, and return an iterator of denoised chunks.

    Rows are read and buffered only as the next chunk needs them. They are chunks (r, W, B) of one
    dtype, from top to bottom, which must not change before the rows around them are done; so are
    the results, with other r. Of the B samples the first `channels` are denoised, the others, such
    as transparency, are copied. Channels are denoised one by one, as gray images, unless they are
    as many as the model's and `together` is set. Raises `InputError` if the channels do not fit the
    model, rows are missing, or samples or the model's output are NaN or infinite.
    """
    check_strength(strength)
    check_channels(model.card, channels)
    buffer = _RowBuffer(rows, plan.height, channels)

    def denoised(band: Cut) -> NDArray[Any]:
        first, last = band.first, min(band.first + plan.tile[0], plan.height)
        buffer.advance(first, last)
        result = buffer.crop(slice(band.start, band.stop), slice(None))
        for column in plan.columns if strength > 0 else ():
            left, right = column.first, min(column.first + plan.tile[1], plan.width)
            samples = buffer.crop(slice(first, last), slice(left, right))
            noisy = intensity_range.to_float(samples[:, :, :channels])
            clean = _denoise(model, noisy, together=together)
            used = (
                slice(band.start - first, band.stop - first),
                slice(column.start - left, column.stop - left),
            )
            noisy, clean = noisy[used], clean[used]
            if not np.isfinite(clean).all():
                raise InputError(
                    f"the output of the model {model.card.name} contains NaN or infinity; its file "
                    "may be damaged, or its training may have failed"
                )
            if strength < 1:
                clean = noisy + np.float32(strength) * (clean - noisy)
            samples = intensity_range.from_float(clean, result.dtype)
            result[:, column.start : column.stop, :channels] = samples
        return result

    return map(denoised, plan.bands)


def _denoise(
    model: TileDenoiser, image: NDArray[np.float32], *, together: bool
) -> NDArray[np.float32]:
    """Denoise a tile (H, W, C), all channels together if the model has as many, else one by one."""
    channels = model.card.channels
    if together and image.shape[2] == channels:
        whole: NDArray[np.float32] = model.batch(image[None])[0]
        return whole
    clean = np.empty_like(image)
    for channel in range(image.shape[2]):
        gray = np.repeat(image[:, :, channel, None], channels, axis=2)
        clean[:, :, channel] = model.batch(gray[None])[0].mean(axis=2)
    return clean


class _RowBuffer:
    """The rows of an image that are in use, in the chunks in which they were read."""

    def __init__(self, rows: Iterable[NDArray[Any]], height: int, channels: int) -> None:
        self._source = iter(rows)
        self._height, self._channels = height, channels
        self._chunks: deque[NDArray[Any]] = deque()
        self._first = self._last = 0

    def advance(self, first: int, last: int) -> None:
        """Drop the rows before `first`, and read those before `last`."""
        while self._last < last:
            chunk = next(self._source, None)
            if chunk is None:
                raise InputError(f"the image ends after {self._last} of {self._height} rows")
            self._check(chunk)
            self._chunks.append(chunk)
            self._last += len(chunk)
            self._drop(first)
        self._drop(first)

    def _drop(self, first: int) -> None:
        while self._chunks and self._first + len(self._chunks[0]) <= first:
            self._first += len(self._chunks.popleft())

    def _check(self, chunk: NDArray[Any]) -> None:
        if not np.issubdtype(chunk.dtype, np.floating):
            return
        finite = np.isfinite(chunk[:, :, : self._channels])
        if not finite.all():
            row, column, _ = np.unravel_index(finite.argmin(), finite.shape)
            raise InputError(
                f"{finite.size - np.count_nonzero(finite):,} samples in the rows from "
                f"{self._last} to {self._last + len(chunk) - 1} are NaN or infinite, the first at "
                f"row {self._last + row}, column {column}; replace them first"
            )

    def crop(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Return a copy of some buffered rows, cropped to some columns."""
        parts, first = [], self._first
        for chunk in self._chunks:
            part = chunk[max(rows.start - first, 0) : max(rows.stop - first, 0), columns]
            if len(part):
                parts.append(part)
            first += len(chunk)
        return np.concatenate(parts)
