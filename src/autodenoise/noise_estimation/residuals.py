"""What is left of shots when the view that they show is taken out of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["Residuals", "between_shots", "in_blocks", "in_one_shot", "share_around", "unshaded"]

# The brightness of a pixel is judged by its neighbours in a square of this radius, those within the
# inner radius left out: they may have noise in common with it.
_OUTER, _INNER = 4, 2
_BLOCK = 32
# The share of a block's variance that its change as a whole has to make; in small blocks noise
# makes more.
_MOVED, _MOVED_PIXELS = 0.1, 30
# How many times what noise makes of it the spread of brightness in a scene has to be.
_UNEVEN = 20.0
# In a block of a few pixels, a surface leaves nothing.
_LEAST_FREEDOM = 0.01


class Residuals(NamedTuple):
    """A strip's noise: each (r, W, C) but for that of all shots.

    Attributes
    ----------
    noise
        (K, r, W, C), the shots less what they show.
    mean, variance
        Of the pixels, over the shots.
    around
        The brightness around a pixel, in which its own noise has no part: averages over pixels of
        one such brightness are of the true mean and the true variance alike.
    edge
        The square of the change of brightness around it.
    still
        Where nothing moved.
    drift
        How much the shots differ in brightness; None where all is clipped.
    """

    noise: NDArray[Any]
    mean: Floats
    variance: Floats
    around: Floats
    edge: Floats
    still: Mask
    drift: float | None


def between_shots(strip: NDArray[Any], whole: Mask) -> Residuals:
    """Take the mean out of shots of one view, and how much brighter one is than another.

    Parameters
    ----------
    strip
        (K, r, W, C), two shots or more, in floats.
    whole
        (r, W, C), where no shot is clipped.
    """
    mean = strip.mean(axis=0, dtype=np.float64)
    noise = strip - mean.astype(strip.dtype)
    seen = in_blocks(whole).sum(axis=(1, 3))
    some = seen >= max(1, seen.max() / 2)

    def averaged(values: NDArray[Any]) -> Floats:
        sums = in_blocks(np.where(whole, values, 0)).sum(axis=(1, 3), dtype=np.float64)
        means: Floats = sums / np.maximum(seen, 1)
        return means

    level = averaged(mean)
    changes = np.stack([averaged(shot) for shot in noise])
    # What the blocks of a flat field differ by is noise, over which nothing can be fitted.
    chance = averaged(np.square(noise).mean(axis=0)) / np.maximum(seen, 1)
    drifts = []
    # A lamp that flickers makes a shot brighter as a whole, which is no noise.
    for channel in range(noise.shape[3]):
        chosen = some[..., channel]
        if not chosen.any():
            continue
        levels = level[..., channel][chosen]
        uneven = levels.var() > _UNEVEN * chance[..., channel][chosen].mean()
        for shot, change in zip(noise, changes, strict=True):
            offset, slope = _steady(levels, change[..., channel][chosen], level=not uneven)
            shot[..., channel] -= offset + slope * mean[..., channel]
            change[..., channel] -= offset + slope * level[..., channel]
            drifts.append(offset + slope * float(levels.mean()))
    variance = np.square(noise, dtype=np.float64).sum(axis=0) / (len(strip) - 1)
    # What moves changes a block as a whole, and noise hardly does.
    most = np.square(changes).max(axis=0)
    moved = most > np.maximum(_MOVED, _MOVED_PIXELS / np.maximum(seen, 1)) * averaged(variance)
    around, edge = _surroundings(mean)
    drift = float(np.std(drifts)) / max(np.abs(mean[whole]).mean(), 1e-30) if drifts else None
    still = ~_spread(moved.any(-1), mean.shape)
    return Residuals(noise, mean, variance, around, edge, still, drift)


def _steady(levels: Floats, changes: Floats, *, level: bool) -> tuple[float, float]:
    """Fit a line by medians (Theil 1950, Sen 1968), so that what moves has no part in it.

    Returns
    -------
    float
        Its height at 0.
    float
        Its slope, none if it has to be level.
    """
    if level:
        return float(np.median(changes)), 0.0
    one, other = np.triu_indices(len(levels), 1)
    apart = levels[other] - levels[one]
    slope = float(np.median((changes[other] - changes[one])[apart != 0] / apart[apart != 0]))
    return float(np.median(changes - slope * levels)), slope


def _spread(blocks: Mask, shape: tuple[int, ...]) -> Mask:
    """Give each pixel of (r, W, C) what its block has; what is beyond has the nearest one's."""
    tall, wide = min(_BLOCK, shape[0]), min(_BLOCK, shape[1])
    rows, columns = (
        np.minimum(np.arange(side) // length, count - 1)
        for side, length, count in zip(shape, (tall, wide), blocks.shape, strict=False)
    )
    return np.broadcast_to(blocks[rows[:, None], columns][..., None], shape)


def in_one_shot(shot: NDArray[Any]) -> Residuals:
    """Take a flat field (r, W, C) apart: what is left of it in whole blocks is its noise."""
    noise, freedom = unshaded(shot)
    smooth = shot[: noise.shape[0], : noise.shape[1]] - noise
    # Its own pixel has one part in a thousand in the surface.
    edge, still = np.zeros_like(smooth), np.ones(smooth.shape, bool)
    return Residuals(noise[None], smooth, np.square(noise) / freedom, smooth, edge, still, 0.0)


def _surroundings(mean: Floats) -> tuple[Floats, Floats]:
    """Give the brightness around each pixel, and the square of how it changes across."""
    boxes = _Boxes(mean)
    far, near, beyond = _OUTER, _INNER, _INNER + 1
    band = (2 * near + 1) * (far - near)
    down = (boxes(beyond, far, -near, near) - boxes(-far, -beyond, -near, near)) / band
    across = (boxes(-near, near, beyond, far) - boxes(-near, near, -far, -beyond)) / band
    return boxes.around(), np.square(down) + np.square(across)


def share_around(mask: Mask) -> Floats:
    """Give the share of each pixel's surroundings where a mask (r, W, C) is set."""
    # Sums of whole numbers are exact: where there is none, this is 0.
    return _Boxes(mask.astype(np.float64)).around()


class _Boxes:
    """Sums over boxes around each pixel of a picture (r, W, C), which goes on mirrored."""

    def __init__(self, picture: Floats) -> None:
        self._height, self._width, channels = picture.shape
        padded = np.pad(picture, ((_OUTER, _OUTER), (_OUTER, _OUTER), (0, 0)), mode="reflect")
        self._total = np.zeros((padded.shape[0] + 1, padded.shape[1] + 1, channels))
        self._total[1:, 1:] = padded.cumsum(0).cumsum(1)

    def __call__(self, top: int, bottom: int, left: int, right: int) -> Floats:
        """Sum from one row and column to another, counted from the pixel and both included."""
        upper, lower = (
            slice(_OUTER + edge, _OUTER + edge + self._height) for edge in (top, bottom + 1)
        )
        before, after = (
            slice(_OUTER + edge, _OUTER + edge + self._width) for edge in (left, right + 1)
        )
        total = self._total
        summed: Floats = (
            total[lower, after] - total[upper, after] - total[lower, before] + total[upper, before]
        )
        return summed

    def around(self) -> Floats:
        """Average over the surroundings, without what is near."""
        whole = self(-_OUTER, _OUTER, -_OUTER, _OUTER)
        hole = self(-_INNER, _INNER, -_INNER, _INNER)
        return (whole - hole) / ((2 * _OUTER + 1) ** 2 - (2 * _INNER + 1) ** 2)


def unshaded(picture: NDArray[Any]) -> tuple[Floats, float]:
    """Take a smooth surface out of each block of 32x32 pixels, one of the second degree.

    Returns
    -------
    ndarray
        (r, W, C) without the rows and columns that make no whole block.
    float
        The share of the freedom that is left.
    """
    blocks = in_blocks(picture.astype(np.float64))
    rows, tall, columns, wide, channels = blocks.shape
    y, x = np.meshgrid(np.linspace(-1, 1, tall), np.linspace(-1, 1, wide), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    surface, _ = np.linalg.qr(terms)
    flat = blocks.transpose(0, 2, 4, 1, 3).reshape(-1, tall * wide)
    rest = flat - (flat @ surface) @ surface.T
    apart = rest.reshape(rows, columns, channels, tall, wide).transpose(0, 3, 1, 4, 2)
    return apart.reshape(rows * tall, columns * wide, channels), max(
        1 - 6 / (tall * wide), _LEAST_FREEDOM
    )


def in_blocks(picture: NDArray[Any]) -> NDArray[Any]:
    """Cut (r, W, C) into whole blocks, (rows, side, columns, side, C); what is over is left out."""
    height, width, channels = picture.shape
    tall, wide = min(_BLOCK, height), min(_BLOCK, width)
    rows, columns = height // tall, width // wide
    whole = picture[: rows * tall, : columns * wide]
    return whole.reshape(rows, tall, columns, wide, channels)
