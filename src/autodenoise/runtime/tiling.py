"""Pictures of any size through a model in tiles of one shape, within a budget of memory."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from autodenoise.errors import InputError, UsageError

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

# A tile twice as large saves little halo and loses it again to the processor's caches: with a U-Net
# of 0.42 M parameters, a photo of 12 MP takes as long in tiles of 1.2 MP as in tiles of 1.7.
_LARGEST_TILE = 5 * 2**18

# For cards that do not say: four maps of 64 channels at the full size.
_BYTES_PER_PIXEL = 1024

# A tile beside the network's own maps: as floats, with its border extended, in the network's
# layout, blended and clamped; and as samples, before, after, and in the float64 of wide ones.
_FLOAT_COPIES = 4
_SAMPLE_COPIES = 4


class TileDenoiser(Protocol):
    """What tiles are handed to: a model, or what stands before one or in for it."""

    @property
    def card(self) -> Card:
        """What it may be fed."""

    def batch(self, images: NDArray[np.float32], /) -> NDArray[np.float32]:
        """Denoise (N, H, W, C) float32 images in [0, 1] nominally; the result is in [0, 1]."""


class Cut(NamedTuple):
    """Where a tile lies along one axis, in pixels of the picture.

    Attributes
    ----------
    fed
        The first pixel that the network is fed.
    start, stop
        Of its answer, ``[start, stop)`` is taken. The cuts of an axis take each pixel once.
    """

    fed: int
    start: int
    stop: int


@dataclass(frozen=True)
class Plan:
    """How one picture is cut. Equal cards, sizes and budgets give equal plans.

    Attributes
    ----------
    height, width
        Of the picture.
    tile
        (height, width) that the network is fed each time. At the picture's right and lower border
        this counts the pixels by which it is extended to the card's size multiple.
    bands, columns
        Where the tiles lie, from the top and from the left.
    memory
        Bytes that this takes, as estimated: the network's maps, the rows of the picture that are
        held, and the rows that are handed out.
    """

    height: int
    width: int
    tile: tuple[int, int]
    bands: tuple[Cut, ...]
    columns: tuple[Cut, ...]
    memory: int

    @property
    def tiles(self) -> int:
        """Count of tiles."""
        return len(self.bands) * len(self.columns)

    @property
    def fed_pixels(self) -> int:
        """Pixels that the network works on, those counted that lie in more than one tile."""
        return self.tiles * self.tile[0] * self.tile[1]


def plan(card: Card, height: int, width: int, *, sample_bytes: int, memory: int) -> Plan:
    """Find the tiles that cover a picture with the least to compute.

    Every tile is of one shape, so that the engine's memory serves again, and starts at a multiple
    of the card's, where strided layers see the picture as they would see it whole. It is fed the
    card's halo around what is taken of it, except at the picture's border, where the network sees
    the border. So the answer is that of the whole picture at once.

    Parameters
    ----------
    card
        Of the model.
    height, width
        Of the picture.
    sample_bytes
        Bytes of all samples of one pixel: 3 for 8-bit RGB, 8 for 16-bit RGB with transparency.
    memory
        Bytes to keep to.

    Raises
    ------
    InputError
        The size does not fit the model, or not even the smallest tiles fit into `memory`.
    """
    check_size(card, height, width)
    multiple = card.size_multiple
    local = card.size is None and card.halo is not None
    margin = _up(card.halo or 0, multiple)
    rows, columns = _up(height, multiple), _up(width, multiple)
    down = _choices(rows, margin, multiple) if local else [(1, rows)]
    across = _choices(columns, margin, multiple) if local else [(1, columns)]
    # One row of each table for a height of tiles, one column for a width.
    counts_down, heights = np.array(down, np.int64).T[:, :, None]
    counts_across, widths = np.array(across, np.int64).T[:, None, :]
    area = heights * widths
    per_pixel = card.bytes_per_pixel or _BYTES_PER_PIXEL
    per_pixel += _FLOAT_COPIES * 4 * card.channels + _SAMPLE_COPIES * sample_bytes
    taken = np.where(counts_down > 1, heights - margin, heights)
    # Two bands at once: whoever is handed one may still hold it while the next is made.
    needed = area * per_pixel + (heights + 2 * taken) * width * sample_bytes
    fits = (needed <= memory) & (area <= max(_LARGEST_TILE, area.min()))
    if not fits.any():
        raise InputError(
            f"{card.name} needs {-(-needed.min() // _MIB):,} MiB of memory for a picture of "
            f"{width}x{height} pixels"
            + ("" if local else ", which it can only take in one piece")
            + f", and may take {memory // _MIB:,} MiB; allow more with --memory, or make the "
            "picture smaller"
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
    """Check that a model can work on pictures of this size.

    Raises
    ------
    InputError
        It takes another size alone.
    """
    if card.size is not None and (height, width) != card.size:
        raise InputError(
            f"the model {card.name} takes images of {card.size[1]}x{card.size[0]} pixels, "
            f"this one has {width}x{height}; crop or resize it, or train a network that takes "
            "any size"
        )


def check_channels(card: Card, colours: int) -> None:
    """Check that a model can work on pictures of so many colours.

    Raises
    ------
    InputError
        It takes neither as many, nor one or three, which any can be made into.
    """
    if card.channels not in (1, 3, colours):
        raise InputError(
            f"the model {card.name} takes {card.channels} channels, the image has {colours}"
        )


def check_strength(strength: float) -> None:
    """Check that a strength is in [0, 1].

    Raises
    ------
    UsageError
        It is not.
    """
    if not 0 <= strength <= 1:
        raise UsageError(
            "a strength is from 0, which leaves the picture as it is, to 1, the model's full "
            f"answer; got {strength:g}"
        )


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _choices(length: int, margin: int, multiple: int) -> list[tuple[int, int]]:
    """Give (count, side) of tiles along an axis: no fewer of that side, no shorter for as many.

    A border tile lacks one margin, so n tiles of side s cover n * s - 2 * margin * (n - 1).
    """
    # Every side that a few tiles can have, and every count that short ones need: all that matter.
    most = max(1, (length - 2 * margin) // multiple)
    few = np.arange(1, math.isqrt(most) + 2)
    many = -(-(length - 2 * margin) // (multiple * few))
    counts = np.unique(np.clip(np.concatenate([few, many]), 1, most))
    covered = length + 2 * margin * (counts - 1)
    sides = -(-covered // (counts * multiple)) * multiple
    sides, first = np.unique(sides, return_index=True)
    return list(zip(counts[first].tolist(), sides.tolist(), strict=True))[::-1]


def _cuts(length: int, extended: int, count: int, side: int, margin: int) -> tuple[Cut, ...]:
    # The last is moved back inside; it takes what is left.
    fed = [min(tile * (side - 2 * margin), extended - side) for tile in range(count)]
    bounds = [0, *(first + side - margin for first in fed[:-1]), length]
    return tuple(map(Cut, fed, bounds[:-1], bounds[1:]))


def denoise_rows(
    model: TileDenoiser,
    plan: Plan,
    rows: Iterable[NDArray[Any]],
    *,
    intensity_range: IntensityRange,
    strength: float,
    colours: int,
    together: bool = True,
) -> Iterator[NDArray[Any]]:
    """Denoise one picture whose rows come in chunks, and hand the clean rows out in chunks.

    No more rows are asked for, or held, than the next chunk needs. Models of 1 and of 3 channels
    take any number of colours: one by one, to a model of 3 as a grey image.

    Parameters
    ----------
    model
        The denoiser.
    plan
        Made for this model and the picture's size.
    rows
        The picture from top to bottom in chunks (r, W, B), r at least 1, of one dtype.
        They are looked at again until the rows around them are done, and never changed.
    intensity_range
        The sample values of black and white.
    strength
        In [0, 1]: 0 gives the samples back, 1 the model's answer, between blends the two.
    colours
        How many of the B samples, from the first, are denoised. The others, such as transparency,
        are handed through.
    together
        Whether they are the colours of one picture, and not pictures of their own.

    Yields
    ------
    ndarray
        Chunks (r', W, B) of the same dtype, from top to bottom; together the picture's rows.

    Raises
    ------
    UsageError
        The strength is outside [0, 1].
    InputError
        The number of colours does not fit the model, samples are NaN or infinite, the rows end
        too soon, or the model gives no numbers.
    """
    check_strength(strength)
    check_channels(model.card, colours)
    held = _Rows(rows, plan.height, colours)
    return (
        _band(model, plan, band, held, intensity_range, strength, colours, together=together)
        for band in plan.bands
    )


def _band(
    model: TileDenoiser,
    plan: Plan,
    band: Cut,
    held: _Rows,
    intensity_range: IntensityRange,
    strength: float,
    colours: int,
    *,
    together: bool,
) -> NDArray[Any]:
    """Give the clean rows of one band."""
    first, last = band.fed, min(band.fed + plan.tile[0], plan.height)
    held.move(first, last)
    result = held.piece(slice(band.start, band.stop), slice(None))
    if strength == 0:
        return result
    for column in plan.columns:
        left, right = column.fed, min(column.fed + plan.tile[1], plan.width)
        samples = held.piece(slice(first, last), slice(left, right))
        noisy = intensity_range.to_float(samples[:, :, :colours])
        clean = _denoise(model, noisy, together=together)
        taken = (
            slice(band.start - first, band.stop - first),
            slice(column.start - left, column.stop - left),
        )
        noisy, clean = noisy[taken], clean[taken]
        if not np.isfinite(clean).all():
            raise InputError(
                f"the model {model.card.name} answers with values that are no numbers; its file "
                "may be damaged, or its training may have failed"
            )
        if strength < 1:
            clean = noisy + np.float32(strength) * (clean - noisy)
        result[:, column.start : column.stop, :colours] = intensity_range.from_float(
            clean, result.dtype
        )
    return result


def _denoise(
    model: TileDenoiser, image: NDArray[np.float32], *, together: bool
) -> NDArray[np.float32]:
    """Denoise (H, W, colours) in one piece.

    Colours that are not as many as the model's channels, or do not belong together, are denoised
    one by one, as grey images.
    """
    channels = model.card.channels
    if together and image.shape[2] == channels:
        whole: NDArray[np.float32] = model.batch(image[None])[0]
        return whole
    clean = np.empty_like(image)
    for colour in range(image.shape[2]):
        grey = np.repeat(image[:, :, colour, None], channels, axis=2)
        clean[:, :, colour] = model.batch(grey[None])[0].mean(axis=2)
    return clean


class _Rows:
    """The rows of a picture that are in use, in the chunks in which they came."""

    def __init__(self, rows: Iterable[NDArray[Any]], height: int, colours: int) -> None:
        self._coming = iter(rows)
        self._height, self._colours = height, colours
        self._chunks: deque[NDArray[Any]] = deque()
        self._first = self._last = 0

    def move(self, first: int, last: int) -> None:
        """Let go of the rows before `first`, and take in those before `last`."""
        while self._last < last:
            chunk = next(self._coming, None)
            if chunk is None:
                raise InputError(f"the picture ends after {self._last} of {self._height} rows")
            self._check(chunk)
            self._chunks.append(chunk)
            self._last += len(chunk)
            self._let_go(first)
        self._let_go(first)

    def _let_go(self, first: int) -> None:
        while self._chunks and self._first + len(self._chunks[0]) <= first:
            self._first += len(self._chunks.popleft())

    def _check(self, chunk: NDArray[Any]) -> None:
        if not np.issubdtype(chunk.dtype, np.floating):
            return
        numbers = np.isfinite(chunk[:, :, : self._colours])
        if not numbers.all():
            row, column, _ = np.unravel_index(numbers.argmin(), numbers.shape)
            raise InputError(
                f"{numbers.size - np.count_nonzero(numbers):,} samples in the rows from "
                f"{self._last} to {self._last + len(chunk) - 1} are NaN or infinite, the first at "
                f"row {self._last + row}, column {column}; give them a value first"
            )

    def piece(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Give a copy of some rows that are held, and of these some columns."""
        pieces, first = [], self._first
        for chunk in self._chunks:
            part = chunk[max(rows.start - first, 0) : max(rows.stop - first, 0), columns]
            if len(part):
                pieces.append(part)
            first += len(chunk)
        return np.concatenate(pieces)
