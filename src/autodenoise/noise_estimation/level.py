"""Measure the noise level by intensity, from noisy images alone or from repeats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    Images = NDArray[np.float32]
    Floats = NDArray[np.float64]

__all__ = ["Curve", "NoiseLevel", "curves", "from_images", "from_shots", "low_energy"]

_SIDE = 8
_STEP = 3
_MAX_BINS = 10
_MIN_BIN_SIZE = 1500
# The share of flattest blocks for a first estimate: few enough to be flat, enough to be precise.
_FLAT_SHARE = 0.01
_MIN_BLOCKS = 100
# All blocks with at most this many times the energy of the noise count as flat then.
_MAX_FLAT_ENERGY = 1.1
# Clipped areas have no noise to measure.
_MAX_CLIPPED = 0.5
_MAX_BLOCKS = 400_000
# The standard error of the median of normal values over that of their mean.
_MEDIAN_ERROR = 1.253

_TURNS = np.arange(_SIDE)
# The orthonormal discrete cosine transform, one row for each frequency.
_COSINES = np.sqrt(2 / _SIDE) * np.cos(np.pi * np.outer(_TURNS, 2 * _TURNS + 1) / (2 * _SIDE))
_COSINES[0] /= np.sqrt(2)
_FREQUENCY = _TURNS[:, None] + _TURNS
_LOW = (_FREQUENCY > 0) & (_FREQUENCY <= 8)
# Texture has little energy at the highest frequencies, but white noise has.
_HIGH = _FREQUENCY > 10


@dataclass(frozen=True)
class Curve:
    """The variance as a function of intensity.

    Attributes
    ----------
    means
        Intensities in ascending order.
    variances
        The variance at each of them, interpolated linearly and constant beyond them.
    """

    means: tuple[float, ...]
    variances: tuple[float, ...]


@dataclass(frozen=True)
class NoiseLevel:
    """The noise level of images.

    Attributes
    ----------
    channels
        The variance by intensity, for each channel.
    correlation
        The correlation matrix of the channels of one pixel.
    deviation
        The standard error of the mean variance; 0 if negligible.
    """

    channels: tuple[Curve, ...]
    correlation: tuple[tuple[float, ...], ...]
    deviation: float = 0.0

    @classmethod
    def of(cls, channels: Iterable[Curve], noise: Floats, deviation: float = 0.0) -> Self:
        """Return the level with these curves and the correlation of noise (..., C)."""
        values = noise.reshape(-1, noise.shape[-1])
        products = values.T @ values
        sigma = np.sqrt(np.diag(products))
        scale = np.outer(sigma, sigma)
        correlation = np.divide(products, scale, out=np.eye(len(sigma)), where=scale > 0)
        return cls(tuple(channels), tuple(map(tuple, correlation.tolist())), deviation)

    def variance(self, images: NDArray[np.floating]) -> Floats:
        """Return the variance at each sample of clean or nearly clean images (N, H, W, C)."""
        each = [
            np.interp(images[..., channel], curve.means, curve.variances)
            for channel, curve in enumerate(self.channels)
        ]
        return np.stack(each, axis=-1)

    def draw(self, images: NDArray[np.floating], random: np.random.Generator) -> Floats:
        """Draw Gaussian noise for images (N, H, W, C), independent between pixels."""
        values, vectors = np.linalg.eigh(np.array(self.correlation))
        root = vectors * np.sqrt(values.clip(min=0))
        noise: Floats = random.standard_normal(images.shape) @ root.T
        noise *= np.sqrt(self.variance(images))
        return noise


def from_images(images: Images) -> NoiseLevel | None:
    """Measure noise that is independent between pixels on float images (N, H, W, C) alone.

    Among blocks of 8x8 pixels of similar intensity, those with the least energy at low and middle
    frequencies are flat. Their high frequencies are noise; the median over frequencies is robust
    against texture. Since the frequencies of white noise are independent, selecting by the low ones
    does not favor blocks with little noise. Return None if the images are too small or too few.

    References
    ----------
    Ponomarenko, Lukin, Zriakhov, Kaarna, Astola, "An automatic approach to lossy compression of
    AVIRIS images", IGARSS 2007. Extended to signal-dependent noise by Colom and Buades,
    "Analysis and extension of the Ponomarenko et al. method, estimating a noise
    curve from a single image", IPOL 2013.
    """
    parts = list(_blocks(images))
    if sum(len(part.flatness) for part in parts) < _MIN_BLOCKS:
        return None
    mean, flatness, high = map(np.concatenate, zip(*parts, strict=True))
    found = [
        [
            _measure(mean[rows, channel], flatness[rows], high[rows, channel])
            for rows in _intensity_bins(mean[:, channel])
        ]
        for channel in range(images.shape[3])
    ]
    channels = (
        Curve(tuple(point.mean for point in points), tuple(point.variance for point in points))
        for points in found
    )
    flat = high[_flattest(flatness)].swapaxes(1, 2).astype(np.float64)
    errors = [np.hypot.reduce([point.deviation for point in one]) / len(one) for one in found]
    return NoiseLevel.of(channels, flat, float(np.mean(errors)))


def from_shots(first: Images, again: Images) -> NoiseLevel:
    """Measure noise of any kind as half the squared difference of two shots of each view.

    Parameters
    ----------
    first, again
        (N, H, W, C), float, aligned, with independent noise.
    """
    half = ((first - again) / np.sqrt(2)).astype(np.float64)
    return NoiseLevel.of(curves((first + again) / 2, np.square(half)), half)


def curves(images: NDArray[np.floating], squares: Floats) -> tuple[Curve, ...]:
    """Return the mean of squares by intensity of images, both (N, H, W, C), for each channel."""
    found = []
    for channel in range(images.shape[3]):
        mean, square = images[..., channel].ravel(), squares[..., channel].ravel()
        groups = _intensity_bins(mean)
        means = tuple(float(mean[rows].mean()) for rows in groups)
        found.append(Curve(means, tuple(float(square[rows].mean()) for rows in groups)))
    return tuple(found)


def low_energy(blocks: NDArray[np.floating]) -> Floats:
    """Return the energy of blocks (..., 8, 8) at low and middle frequencies, without the mean."""
    energy: Floats = np.square(_spectra(blocks)[..., _LOW]).mean(-1)
    return energy


class _Blocks(NamedTuple):
    """The mean (B, C), low energy (B,) and high frequencies (B, C, F) of blocks."""

    mean: Floats
    flatness: Floats
    high: NDArray[np.float32]


def _blocks(images: Images) -> Iterator[_Blocks]:
    """Cut images into overlapping blocks, up to a maximum number."""
    if min(images.shape[1:3]) < _SIDE:
        return
    darkest, brightest = images.min(), images.max()
    found = 0
    for image in images:
        windows = np.lib.stride_tricks.sliding_window_view(image, (_SIDE, _SIDE), axis=(0, 1))
        blocks = windows[::_STEP, ::_STEP].reshape(-1, image.shape[2], _SIDE, _SIDE)
        clipped = ((blocks <= darkest) | (blocks >= brightest)).mean((1, 2, 3))
        blocks = blocks[clipped < _MAX_CLIPPED]
        spectra = _spectra(blocks)
        flatness = np.square(spectra[..., _LOW]).mean((1, 2))
        yield _Blocks(blocks.mean((2, 3)), flatness, spectra[..., _HIGH].astype(np.float32))
        found += len(blocks)
        if found > _MAX_BLOCKS:
            return


def _spectra(blocks: NDArray[np.floating]) -> Floats:
    spectra: Floats = _COSINES @ blocks @ _COSINES.T
    return spectra


def _flattest(flatness: Floats) -> NDArray[np.intp]:
    count = max(_MIN_BLOCKS, int(_FLAT_SHARE * len(flatness)))
    return np.argsort(flatness, kind="stable")[:count]


class _Point(NamedTuple):
    """The variance at an intensity, and its standard error."""

    mean: float
    variance: float
    deviation: float


def _measure(mean: Floats, flatness: Floats, high: NDArray[np.float32]) -> _Point:
    rows = _flattest(flatness)
    variance = np.median(np.square(high[rows], dtype=np.float64).mean(0))
    flat = np.flatnonzero(flatness <= _MAX_FLAT_ENERGY * variance)
    rows = max(rows, flat, key=len)
    each = np.square(high[rows], dtype=np.float64).mean(0)
    deviation = _MEDIAN_ERROR * each.std(ddof=1) / np.sqrt(len(each))
    return _Point(float(mean[rows].mean()), float(np.median(each)), float(deviation))


def _intensity_bins(mean: NDArray[np.floating]) -> list[NDArray[np.intp]]:
    """Return the rows of bins of equal size, sorted by intensity."""
    bins = int(np.clip(len(mean) // _MIN_BIN_SIZE, 1, _MAX_BINS))
    return np.array_split(np.argsort(mean, kind="stable"), bins)
