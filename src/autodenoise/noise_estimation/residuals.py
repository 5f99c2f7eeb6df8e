"""The noise of shots: what remains after subtracting the view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["Residuals", "between_shots", "in_blocks", "in_one_shot", "share_around", "unshaded"]

# The intensity of a pixel is estimated from neighbors within the outer radius. Those within the
# inner radius are excluded, since their noise may be correlated with it.
_OUTER, _INNER = 4, 2
_BLOCK = 32
# A block has moved if the change of its mean exceeds this fraction of its variance; in small blocks
# noise changes the mean more.
_MOVED, _MOVED_PIXELS = 0.1, 30
# A view is uneven if its intensities vary by this many times the effect of noise.
_UNEVEN = 20.0
# In a block of few pixels, the fitted surface leaves no residual.
_MIN_FREEDOM = 0.01


class Residuals(NamedTuple):
    """The noise of a strip. All arrays are (r, W, C) except `noise`.

    Attributes
    ----------
    noise
        (K, r, W, C), the shots minus the view.
    mean, variance
        Of each pixel over the shots.
    around
        The intensity around a pixel, independent of the pixel's own noise, so that averages over
        pixels of equal value are unbiased.
    edge
        The squared intensity gradient around the pixel.
    still
        True where nothing moved.
    drift
        Relative brightness change between the shots; None if everything is clipped.
    """

    noise: NDArray[Any]
    mean: Floats
    variance: Floats
    around: Floats
    edge: Floats
    still: Mask
    drift: float | None


def between_shots(strip: NDArray[Any], whole: Mask) -> Residuals:
    """Subtract the mean of repeated shots, and correct differences in brightness.

    Parameters
    ----------
    strip
        (K, r, W, C) float samples of at least two shots.
    whole
        (r, W, C), True where no shot is clipped.
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
    # The blocks of a flat field differ only by noise, so no line can be fitted.
    chance = averaged(np.square(noise).mean(axis=0)) / np.maximum(seen, 1)
    drifts = []
    # A flickering lamp changes the brightness of a whole shot; this is not noise.
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
    # Motion changes the mean of a block, noise hardly does.
    most = np.square(changes).max(axis=0)
    moved = most > np.maximum(_MOVED, _MOVED_PIXELS / np.maximum(seen, 1)) * averaged(variance)
    around, edge = _surroundings(mean)
    drift = float(np.std(drifts)) / max(np.abs(mean[whole]).mean(), 1e-30) if drifts else None
    still = ~_spread(moved.any(-1), mean.shape)
    return Residuals(noise, mean, variance, around, edge, still, drift)


def _steady(levels: Floats, changes: Floats, *, level: bool) -> tuple[float, float]:
    """Return offset and slope of a line fitted by medians, which ignore motion.

    The slope is 0 if `level` is set.

    References
    ----------
    Theil 1950, Sen 1968.
    """
    if level:
        return float(np.median(changes)), 0.0
    one, other = np.triu_indices(len(levels), 1)
    apart = levels[other] - levels[one]
    slope = float(np.median((changes[other] - changes[one])[apart != 0] / apart[apart != 0]))
    return float(np.median(changes - slope * levels)), slope


def _spread(blocks: Mask, shape: tuple[int, ...]) -> Mask:
    """Expand a mask of blocks to pixels (r, W, C); the remainder is like the last block."""
    tall, wide = min(_BLOCK, shape[0]), min(_BLOCK, shape[1])
    rows, columns = (
        np.minimum(np.arange(side) // length, count - 1)
        for side, length, count in zip(shape, (tall, wide), blocks.shape, strict=False)
    )
    return np.broadcast_to(blocks[rows[:, None], columns][..., None], shape)


def in_one_shot(shot: NDArray[Any]) -> Residuals:
    """Return the noise of a single flat field (r, W, C), in whole blocks."""
    noise, freedom = unshaded(shot)
    smooth = shot[: noise.shape[0], : noise.shape[1]] - noise
    # A pixel contributes only about a thousandth to the surface.
    edge, still = np.zeros_like(smooth), np.ones(smooth.shape, bool)
    return Residuals(noise[None], smooth, np.square(noise) / freedom, smooth, edge, still, 0.0)


def _surroundings(mean: Floats) -> tuple[Floats, Floats]:
    """Return the intensity around each pixel, and its squared gradient."""
    boxes = _Boxes(mean)
    far, near, beyond = _OUTER, _INNER, _INNER + 1
    band = (2 * near + 1) * (far - near)
    down = (boxes(beyond, far, -near, near) - boxes(-far, -beyond, -near, near)) / band
    across = (boxes(-near, near, beyond, far) - boxes(-near, near, -far, -beyond)) / band
    return boxes.around(), np.square(down) + np.square(across)


def share_around(mask: Mask) -> Floats:
    """Return the fraction of each pixel's surroundings where a mask (r, W, C) is set."""
    # Sums of integers are exact, so this is exactly 0 where the mask is empty.
    return _Boxes(mask.astype(np.float64)).around()


class _Boxes:
    """Sums over boxes around each pixel of an image (r, W, C), with mirrored borders."""

    def __init__(self, image: Floats) -> None:
        self._height, self._width, channels = image.shape
        padded = np.pad(image, ((_OUTER, _OUTER), (_OUTER, _OUTER), (0, 0)), mode="reflect")
        self._total = np.zeros((padded.shape[0] + 1, padded.shape[1] + 1, channels))
        self._total[1:, 1:] = padded.cumsum(0).cumsum(1)

    def __call__(self, top: int, bottom: int, left: int, right: int) -> Floats:
        """Return sums between two offsets from each pixel in both directions, inclusive."""
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
        """Return means over the surroundings, without the inner square."""
        whole = self(-_OUTER, _OUTER, -_OUTER, _OUTER)
        hole = self(-_INNER, _INNER, -_INNER, _INNER)
        return (whole - hole) / ((2 * _OUTER + 1) ** 2 - (2 * _INNER + 1) ** 2)


def unshaded(image: NDArray[Any]) -> tuple[Floats, float]:
    """Subtract a quadratic surface from each block of 32x32 pixels.

    Returns
    -------
    ndarray
        (r, W, C), without the rows and columns that do not fill a block.
    float
        The remaining fraction of the degrees of freedom.
    """
    blocks = in_blocks(image.astype(np.float64))
    rows, tall, columns, wide, channels = blocks.shape
    y, x = np.meshgrid(np.linspace(-1, 1, tall), np.linspace(-1, 1, wide), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    surface, _ = np.linalg.qr(terms)
    flat = blocks.transpose(0, 2, 4, 1, 3).reshape(-1, tall * wide)
    rest = flat - (flat @ surface) @ surface.T
    apart = rest.reshape(rows, columns, channels, tall, wide).transpose(0, 3, 1, 4, 2)
    return apart.reshape(rows * tall, columns * wide, channels), max(
        1 - 6 / (tall * wide), _MIN_FREEDOM
    )


def in_blocks(image: NDArray[Any]) -> NDArray[Any]:
    """Divide (r, W, C) into whole blocks, (rows, side, columns, side, C), without the remainder."""
    height, width, channels = image.shape
    tall, wide = min(_BLOCK, height), min(_BLOCK, width)
    rows, columns = height // tall, width // wide
    whole = image[: rows * tall, : columns * wide]
    return whole.reshape(rows, tall, columns, wide, channels)
