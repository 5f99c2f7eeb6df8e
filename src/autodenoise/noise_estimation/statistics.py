"""What shots of the same view tell of their noise: its variance by brightness, its correlations.

All of it works on strips of a picture, so that a scene of any size is measured in little memory.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autodenoise.noise_estimation.residuals import (
    Residuals,
    between_shots,
    in_blocks,
    in_one_shot,
    share_around,
    unshaded,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["REACH", "Correlation", "Flatness", "Points", "Statistics", "correlation", "pairs"]

REACH = 5
"""How many pixels apart two values are whose correlation is measured."""

_GROUPS, _LEAST_GROUP = 64, 400
# A share of clipped samples that changes a variance by half a percent.
_CLIPPED = 0.0005
# Of a change of brightness across a pixel's surroundings, in units of the noise.
_EDGE = 5.0


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
        safe = share_around(~whole) == 0
        partly = ~whole & safe
        if len(strip) > 1:
            # Pixels that are clipped in all shots tell of nothing, and do no harm.
            partly &= np.any(inside, axis=0)
            measured = between_shots(strip, whole)
            if measured.drift is not None:
                self.drifts.append(measured.drift)
            self._blocks.append(_flatness(measured, whole, len(strip)))
        else:
            measured = in_one_shot(strip[0])
            height, width = measured.mean.shape[:2]
            whole, partly = whole[:height, :width], partly[:height, :width]
        whole &= measured.still & safe[: whole.shape[0], : whole.shape[1]]
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
        measured: Residuals,
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
    intensity_range = np.sqrt(np.maximum(covariance[own, REACH, REACH], 1e-12))
    maps = np.stack(
        [
            covariance[number] / (intensity_range[one] * intensity_range[other])
            for number, (one, other) in enumerate(pairs(channels))
        ]
    )
    maps[own, REACH, REACH] = 1
    # A variance is a mean of squares, which correlate by the square of what their values do.
    repeated = float(np.square(maps[own]).sum((1, 2)).mean())
    independent = max(sum(scene.independent for scene in scenes), 1)
    return Correlation(maps, float(np.sqrt(repeated / independent)), repeated)


def _flatness(measured: Residuals, whole: Mask, shots: int) -> Flatness:
    pattern, freedom = unshaded(measured.mean)
    spread, noise, inside = (
        in_blocks(values).mean(axis=(1, 3)) for values in (pattern**2, measured.variance, whole)
    )
    even = (inside == 1).all(-1)
    return Flatness(spread[even] / freedom, noise[even] / shots, noise[even])


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
