"""Measure the variance of noise by intensity, and its correlation, from shots of one view.

Images are processed in strips, so that the memory use does not depend on their size.
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
"""The largest lag of the measured correlations, in pixels."""

_MAX_GROUPS, _MIN_GROUP_SIZE = 64, 400
# This share of clipped samples changes a variance by half a percent.
_MAX_CLIPPED = 0.0005
# The intensity step around a pixel that reduces its weight to a quarter, in standard deviations.
_EDGE = 5.0


class Points(NamedTuple):
    """Variances of one channel, each measured on pixels of similar intensity.

    Attributes
    ----------
    means, variances
        (N,), the mean and the variance of the samples.
    errors
        (N,), the standard errors of the variances, for uncorrelated noise.
    counts
        (N,), the effective numbers of pixels.
    """

    means: Floats
    variances: Floats
    errors: Floats
    counts: Floats


class Flatness(NamedTuple):
    """Variances in blocks of the mean of the shots, each (N, C), to detect a fixed pattern.

    Attributes
    ----------
    spread
        The variance of the mean over all shots, without smooth shading.
    expected
        The part of that variance caused by noise.
    noise
        The noise variance of one shot.
    """

    spread: Floats
    expected: Floats
    noise: Floats


class Correlation(NamedTuple):
    """The correlation of noise between neighboring pixels and channels.

    Attributes
    ----------
    maps
        (P, 11, 11), the correlation of each pair of channels in the order of `pairs`, at lags
        from -5 to 5 pixels down and right.
    error
        The standard error of each correlation.
    repeated
        The number of values that determine a variance as well as one uncorrelated value.
    """

    maps: Floats
    error: float
    repeated: float


def pairs(channels: int) -> list[tuple[int, int]]:
    """Return the pairs of channels, each channel with itself and with later ones."""
    return list(itertools.combinations_with_replacement(range(channels), 2))


class Statistics:
    """Noise statistics of the shots of one view, accumulated over strips.

    Parameters
    ----------
    floor, ceiling
        (C,), the limits of the samples; samples at or beyond them are clipped.

    Attributes
    ----------
    products, weights
        (P, 11, 11), sums over pairs of pixels, for `correlation`.
    independent
        The effective number of values in these sums.
    drifts
        The standard deviation of the intensity of the shots over its mean, for each strip.
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
        """Add a strip (K, r, W, C) of floats from K shots.

        A single shot has to be a flat field: its variance is measured around a smooth surface.
        """
        inside = (strip > self._floor) & (strip < self._ceiling)
        whole = np.all(inside, axis=0)
        # Excluding clipped pixels would select by the noise. Excluding pixels with clipped
        # neighbors does not, and leaves few clipped pixels.
        safe = share_around(~whole) == 0
        partly = ~whole & safe
        if len(strip) > 1:
            # Pixels clipped in all shots do not count as partly clipped.
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
        """Return the measured variances of a channel, from dark to bright."""
        table = np.array(sorted(self._points[channel])).reshape(-1, 4)
        return Points(*table.T)

    def flatness(self) -> Flatness:
        """Return the variances in blocks of the mean of the shots."""
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
        """Measure the variance of a channel in groups of pixels of similar intensity.

        Parameters
        ----------
        strength, trust
            (r, W, C), filled in: the standard deviation of each pixel, and a weight from 0 at
            edges to 1.
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
        size = max(_MIN_GROUP_SIZE, -(-len(chosen) // _MAX_GROUPS))
        deviations, trusts = np.zeros(len(usable)), np.zeros(len(usable))
        for group in np.array_split(chosen, max(1, len(chosen) // size)):
            if np.count_nonzero(clipped[group]) > _MAX_CLIPPED * shots * len(group):
                continue
            unclipped = group[usable[group]]
            typical = np.median(variance[unclipped]) / _median_of_variance(max(shots - 1, 1))
            # Larger variances are due to motion or cosmic rays.
            near = variance[unclipped] <= _max_variance(max(shots - 1, 1)) * typical
            unclipped = unclipped[near] if typical else unclipped
            level = float(variance[unclipped].mean())
            weights = 1 / (1 + edge[unclipped] / max(_EDGE**2 * level, 1e-30)) ** 2
            total = weights.sum()
            found = float(weights @ variance[unclipped]) / total
            error = np.sqrt(np.square(weights * (variance[unclipped] - found)).sum()) / total
            count = total**2 / np.square(weights).sum()
            self._points[channel].append(
                (float(weights @ mean[unclipped]) / total, found, float(error), float(count))
            )
            deviations[unclipped], trusts[unclipped] = np.sqrt(found), np.sqrt(weights)
        strength[..., channel] = deviations.reshape(strength.shape[:2])
        trust[..., channel] = trusts.reshape(trust.shape[:2])

    def _correlate(self, noise: NDArray[Any], strength: Floats, trust: Floats) -> None:
        """Add the products of neighbors in noise (K, r, W, C), normalized to unit variance."""
        measured = strength > 0
        weights = np.where(measured, trust, 0)
        gain = np.divide(weights, strength, out=np.zeros_like(strength), where=measured)
        gain = gain.astype(noise.dtype)
        shape = tuple(_fast_length(side + REACH) for side in strength.shape[:2])
        spectra = [np.fft.rfft2(shot * gain, shape, axes=(0, 1)) for shot in noise]
        weight_spectra = np.fft.rfft2(weights, shape, axes=(0, 1))
        for number, (one, other) in enumerate(pairs(self.channels)):
            products = sum(spectrum[..., one].conj() * spectrum[..., other] for spectrum in spectra)
            self.products[number] += _lags(np.asarray(products), shape)
            both = weight_spectra[..., one].conj() * weight_spectra[..., other]
            self.weights[number] += len(noise) * _lags(both, shape)
        # Subtracting the mean of the shots costs one degree of freedom.
        self.independent += float(np.square(weights).mean(-1).sum()) * max(len(noise) - 1, 1)


def correlation(views: Sequence[Statistics]) -> Correlation:
    """Return the correlation over several views, or that of white noise without any data."""
    channels = views[0].channels
    weights = sum(view.weights for view in views)
    covariance = sum(view.products for view in views) / np.maximum(weights, 1e-12)
    same = [number for number, (one, other) in enumerate(pairs(channels)) if one == other]
    scale = np.sqrt(np.maximum(covariance[same, REACH, REACH], 1e-12))
    maps = np.stack(
        [
            covariance[number] / (scale[one] * scale[other])
            for number, (one, other) in enumerate(pairs(channels))
        ]
    )
    maps[same, REACH, REACH] = 1
    # Squares of Gaussian values are correlated by the square of the correlation of the values.
    repeated = float(np.square(maps[same]).sum((1, 2)).mean())
    independent = max(sum(view.independent for view in views), 1)
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


def _fast_length(side: int) -> int:
    """Return the next length with no prime factors except 2, 3 and 5, for fast transforms."""
    rest = side
    for factor in (2, 3, 5):
        while rest % factor == 0:
            rest //= factor
    return side if rest == 1 else _fast_length(side + 1)


def _median_of_variance(freedom: int) -> float:
    """Return the median over the mean of Gaussian variances (Wilson, Hilferty 1931)."""
    return 0.4549 if freedom == 1 else float((1 - 2 / (9 * freedom)) ** 3)


def _max_variance(freedom: int) -> float:
    """Return the bound over the mean that one in 10^7 Gaussian variances exceeds."""
    return float(1 + 5 * (2 / freedom) ** 0.5 + 25 / freedom)
