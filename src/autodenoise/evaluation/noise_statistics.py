"""What shots of the same view tell of their noise: its variance by brightness, its correlations.

All of it works on strips of a picture, so that a scene of any size is measured in little memory.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["REACH", "Correlation", "Flatness", "Points", "Statistics", "correlation", "pairs"]

REACH = 5
"""How many pixels apart two values are whose correlation is measured."""

# The brightness of a pixel is judged by its neighbours in a square of this radius, those within the
# inner radius left out: they may have noise in common with it.
_OUTER, _INNER = 4, 2
_GROUPS, _LEAST_GROUP = 64, 400
# A share of clipped samples that changes a variance by half a percent.
_CLIPPED = 0.0005
# Of a change of brightness across a pixel's surroundings, in units of the noise.
_EDGE = 5.0
_BLOCK = 32


class Points(NamedTuple):
    """Variances that were measured on pixels of about one brightness, of one channel.

    Attributes
    ----------
    means, variances
        (N,), of the samples.
    errors
        The standard errors of the variances, for noise without correlation.
    counts
        How many pixels a variance is worth.
    """

    means: Floats
    variances: Floats
    errors: Floats
    counts: Floats


class Flatness(NamedTuple):
    """How even the mean of the shots is, in blocks, each (N, C): what tells a fixed pattern.

    Attributes
    ----------
    spread
        The variance in a block of the mean over all shots, its smooth shading taken out.
    expected
        What the noise alone makes of it.
    noise
        The variance of one shot's noise.
    """

    spread: Floats
    expected: Floats
    noise: Floats


class Correlation(NamedTuple):
    """How alike the noise of neighbours is.

    Attributes
    ----------
    maps
        (P, 11, 11): for the pairs of channels in the order of `pairs`, the correlation with the
        value so many pixels below and right, from -5 to 5.
    error
        The standard error of each.
    repeated
        How many values tell as little of a variance as one would without correlation.
    """

    maps: Floats
    error: float
    repeated: float


def pairs(channels: int) -> list[tuple[int, int]]:
    """List the pairs of channels, each with itself and those after it."""
    return list(itertools.combinations_with_replacement(range(channels), 2))


class Statistics:
    """What the strips of a scene tell.

    Parameters
    ----------
    floor, ceiling
        (C,), the samples that are clipped: those up to here, and those from here.

    Attributes
    ----------
    products, weights
        (P, 11, 11), for `correlation`: sums over values and their neighbours.
    independent
        How many values went into these.
    drifts
        For each strip how much its shots differ in brightness, as a standard deviation over its
        mean.
    """

    def __init__(self, floor: Floats, ceiling: Floats) -> None:
        self.channels = len(floor)
        self.products = np.zeros((len(pairs(self.channels)), 2 * REACH + 1, 2 * REACH + 1))
        self.weights = np.zeros_like(self.products)
        self.independent = 0.0
        self.drifts: list[float] = []
        self._floor, self._ceiling = floor, ceiling
        self._points: list[list[tuple[float, float, float, float]]] = [[] for _ in floor]
        self._blocks = [Flatness(*np.zeros((3, 0, self.channels)))]

    def add(self, strip: NDArray[Any]) -> None:
        """Take a strip: (K, r, W, C), the scene's K shots in floats.

        Of a single shot the variance is measured inside the picture, around a smooth surface: it
        has to be a flat field.
        """
        inside = (strip > self._floor) & (strip < self._ceiling)
        whole = np.all(inside, axis=0)
        # To leave out what was clipped is to choose by the noise. What has nothing clipped around
        # it is another choice, and leaves few pixels that are clipped themselves.
        safe = _around(~whole) == 0
        partly = ~whole & safe
        if len(strip) > 1:
            # Pixels that are clipped in all shots tell of nothing, and do no harm.
            partly &= np.any(inside, axis=0)
            measured = _between_shots(strip, whole)
            self.drifts.append(measured.drift)
            self._blocks.append(_flatness(measured, whole, len(strip)))
        else:
            measured = _inside(strip[0])
            height, width = measured.mean.shape[:2]
            whole, partly = whole[:height, :width], partly[:height, :width]
        whole &= safe[: whole.shape[0], : whole.shape[1]]
        strength = np.zeros_like(measured.mean)
        trust = np.zeros_like(measured.mean)
        for channel in range(self.channels):
            self._group(channel, measured, whole, partly, len(strip), strength, trust)
        self._correlate(measured.noise, strength, trust)

    def points(self, channel: int) -> Points:
        """Give what was measured of a channel, from dark to bright."""
        table = np.array(sorted(self._points[channel])).reshape(-1, 4)
        return Points(*table.T)

    def flatness(self) -> Flatness:
        """Tell how even the mean of the shots is."""
        return Flatness(*(np.concatenate(part) for part in zip(*self._blocks, strict=True)))

    def _group(
        self,
        channel: int,
        measured: _Measured,
        whole: Mask,
        partly: Mask,
        shots: int,
        strength: Floats,
        trust: Floats,
    ) -> None:
        """Measure a channel's variance on pixels of about one brightness, group by group.

        Parameters
        ----------
        strength, trust
            (r, W, C), filled in: the standard deviation at each pixel, and how far it is from
            edges, from 0 to 1.
        """
        usable = whole[..., channel].ravel()
        mean = measured.mean[..., channel].ravel()
        variance = measured.variance[..., channel].ravel()
        edge = measured.edge[..., channel].ravel()
        clipped = partly[..., channel].ravel()
        chosen = np.flatnonzero(usable | clipped)
        if not len(chosen):
            return
        chosen = chosen[np.argsort(measured.around[..., channel].ravel()[chosen])]
        size = max(_LEAST_GROUP, -(-len(chosen) // _GROUPS))
        deviations, trusts = np.zeros(len(usable)), np.zeros(len(usable))
        for group in np.array_split(chosen, max(1, len(chosen) // size)):
            if np.count_nonzero(clipped[group]) > _CLIPPED * shots * len(group):
                continue
            own = group[usable[group]]
            typical = np.median(variance[own]) / _median_of_variance(max(shots - 1, 1))
            # Further off than noise ever is lies something that moved, or a ray.
            near = variance[own] <= _most_variance(max(shots - 1, 1)) * typical
            own = own[near] if typical else own
            level = float(variance[own].mean())
            weights = 1 / (1 + edge[own] / max(_EDGE**2 * level, 1e-30)) ** 2
            total = weights.sum()
            found = float(weights @ variance[own]) / total
            error = np.sqrt(np.square(weights * (variance[own] - found)).sum()) / total
            count = total**2 / np.square(weights).sum()
            self._points[channel].append(
                (float(weights @ mean[own]) / total, found, float(error), float(count))
            )
            deviations[own], trusts[own] = np.sqrt(found), np.sqrt(weights)
        strength[..., channel] = deviations.reshape(strength.shape[:2])
        trust[..., channel] = trusts.reshape(trust.shape[:2])

    def _correlate(self, noise: NDArray[Any], strength: Floats, trust: Floats) -> None:
        """Add the products of neighbours in noise (K, r, W, C), brought to one strength."""
        seen = strength > 0
        weights = np.where(seen, trust, 0)
        gain = np.divide(weights, strength, out=np.zeros_like(strength), where=seen)
        gain = gain.astype(noise.dtype)
        shape = tuple(_fast(side + REACH) for side in strength.shape[:2])
        spectra = [np.fft.rfft2(shot * gain, shape, axes=(0, 1)) for shot in noise]
        weighing = np.fft.rfft2(weights, shape, axes=(0, 1))
        for number, (one, other) in enumerate(pairs(self.channels)):
            products = sum(spectrum[..., one].conj() * spectrum[..., other] for spectrum in spectra)
            self.products[number] += _lags(np.asarray(products), shape)
            both = weighing[..., one].conj() * weighing[..., other]
            self.weights[number] += len(noise) * _lags(both, shape)
        # The shots' mean is taken from the same shots.
        self.independent += float(np.square(weights).mean(-1).sum()) * max(len(noise) - 1, 1)


def correlation(scenes: Sequence[Statistics]) -> Correlation:
    """Give the correlations in several scenes together; as of white noise if nothing was seen."""
    channels = scenes[0].channels
    weights = sum(scene.weights for scene in scenes)
    covariance = sum(scene.products for scene in scenes) / np.maximum(weights, 1e-12)
    own = [number for number, (one, other) in enumerate(pairs(channels)) if one == other]
    scale = np.sqrt(np.maximum(covariance[own, REACH, REACH], 1e-12))
    maps = np.stack(
        [
            covariance[number] / (scale[one] * scale[other])
            for number, (one, other) in enumerate(pairs(channels))
        ]
    )
    maps[own, REACH, REACH] = 1
    # A variance is a mean of squares, which correlate by the square of what their values do.
    repeated = float(np.square(maps[own]).sum((1, 2)).mean())
    independent = max(sum(scene.independent for scene in scenes), 1)
    return Correlation(maps, float(np.sqrt(repeated / independent)), repeated)


class _Measured(NamedTuple):
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
    drift
        How much the shots differ in brightness.
    """

    noise: NDArray[Any]
    mean: Floats
    variance: Floats
    around: Floats
    edge: Floats
    drift: float


def _between_shots(strip: NDArray[Any], whole: Mask) -> _Measured:
    mean = strip.mean(axis=0, dtype=np.float64)
    noise = strip - mean.astype(strip.dtype)
    count = np.maximum(whole.sum((0, 1)), 1)
    centred = np.where(whole, mean - np.where(whole, mean, 0).sum((0, 1)) / count, 0)
    spread = np.maximum(np.square(centred).sum((0, 1)), 1e-30)
    drifts = []
    # A lamp that flickers makes a shot brighter as a whole, which is no noise.
    for shot in noise:
        offset = np.where(whole, shot, 0).sum((0, 1), dtype=np.float64) / count
        slope = (centred * shot).sum((0, 1), dtype=np.float64) / spread
        shot -= (offset + slope * centred).astype(strip.dtype)
        drifts.append(offset.mean())
    level = max(float(np.abs(mean.mean())), 1e-30)
    variance = np.square(noise, dtype=np.float64).sum(axis=0) / (len(strip) - 1)
    around, edge = _surroundings(mean)
    return _Measured(noise, mean, variance, around, edge, float(np.std(drifts)) / level)


def _inside(shot: NDArray[Any]) -> _Measured:
    noise, freedom = _unshaded(shot)
    smooth = shot[: noise.shape[0], : noise.shape[1]] - noise
    # Its own pixel has one part in a thousand in the surface.
    edge = np.zeros_like(smooth)
    return _Measured(noise[None], smooth, np.square(noise) / freedom, smooth, edge, 0.0)


def _flatness(measured: _Measured, whole: Mask, shots: int) -> Flatness:
    pattern, freedom = _unshaded(measured.mean)
    spread, noise, inside = (
        _blocks(values).mean(axis=(1, 3)) for values in (pattern**2, measured.variance, whole)
    )
    even = (inside == 1).all(-1)
    return Flatness(spread[even] / freedom, noise[even] / shots, noise[even])


def _surroundings(mean: Floats) -> tuple[Floats, Floats]:
    """Give the brightness around each pixel, and the square of how it changes across."""
    boxes = _Boxes(mean)
    far, near, beyond = _OUTER, _INNER, _INNER + 1
    band = (2 * near + 1) * (far - near)
    down = (boxes(beyond, far, -near, near) - boxes(-far, -beyond, -near, near)) / band
    across = (boxes(-near, near, beyond, far) - boxes(-near, near, -far, -beyond)) / band
    return boxes.around(), np.square(down) + np.square(across)


def _around(mask: Mask) -> Floats:
    # Sums of whole numbers are exact.
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


def _unshaded(picture: NDArray[Any]) -> tuple[Floats, float]:
    """Take a smooth surface out of each block of 32x32 pixels, one of the second degree.

    Returns
    -------
    ndarray
        (r, W, C) without the rows and columns that make no whole block.
    float
        The share of the freedom that is left.
    """
    blocks = _blocks(picture.astype(np.float64))
    rows, tall, columns, wide, channels = blocks.shape
    y, x = np.meshgrid(np.linspace(-1, 1, tall), np.linspace(-1, 1, wide), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    surface, _ = np.linalg.qr(terms)
    flat = blocks.transpose(0, 2, 4, 1, 3).reshape(-1, tall * wide)
    rest = flat - (flat @ surface) @ surface.T
    apart = rest.reshape(rows, columns, channels, tall, wide).transpose(0, 3, 1, 4, 2)
    return apart.reshape(rows * tall, columns * wide, channels), 1 - 6 / (tall * wide)


def _blocks(picture: NDArray[Any]) -> NDArray[Any]:
    """Cut (r, W, C) into whole blocks, (rows, side, columns, side, C); what is over is left out."""
    height, width, channels = picture.shape
    tall, wide = min(_BLOCK, height), min(_BLOCK, width)
    rows, columns = height // tall, width // wide
    whole = picture[: rows * tall, : columns * wide]
    return whole.reshape(rows, tall, columns, wide, channels)


def _lags(products: NDArray[Any], shape: tuple[int, ...]) -> Floats:
    lags = np.arange(-REACH, REACH + 1)
    return np.fft.irfft2(products, shape)[np.ix_(lags, lags)]


def _fast(side: int) -> int:
    """Give the next length that has no prime factors but 2, 3 and 5, which transforms fast."""
    rest = side
    for factor in (2, 3, 5):
        while rest % factor == 0:
            rest //= factor
    return side if rest == 1 else _fast(side + 1)


def _median_of_variance(freedom: int) -> float:
    """Give the median of a variance of Gaussian noise, over its mean (Wilson, Hilferty 1931)."""
    return 0.4549 if freedom == 1 else float((1 - 2 / (9 * freedom)) ** 3)


def _most_variance(freedom: int) -> float:
    """Give what a variance of Gaussian noise stays below, over its mean, but for one in 10^7."""
    return float(1 + 5 * (2 / freedom) ** 0.5 + 25 / freedom)
