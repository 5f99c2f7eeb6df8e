"""How strong noise is at each brightness, measured from noisy images alone or from repeats."""

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
_BINS = 10
_IN_A_BIN = 1500
# Of the blocks of one brightness, the flattest: few enough to be flat, enough to be sure.
_SHARE = 0.01
_LEAST = 100
# Then all that are no less calm than noise of this strength alone would be, by this factor.
_CALM = 1.1
# What is black or white throughout was cut off there, and has no noise to measure.
_CUT_OFF = 0.5
_MOST = 400_000

# The median of normal values varies by so much more than their mean.
_MEDIANS = 1.253

_TURNS = np.arange(_SIDE)
# The orthonormal discrete cosine transform, a row a frequency.
_COSINES = np.sqrt(2 / _SIDE) * np.cos(np.pi * np.outer(_TURNS, 2 * _TURNS + 1) / (2 * _SIDE))
_COSINES[0] /= np.sqrt(2)
_FREQUENCY = _TURNS[:, None] + _TURNS
_LOW = (_FREQUENCY > 0) & (_FREQUENCY <= 8)
# Texture fades towards the highest, noise does not.
_HIGH = _FREQUENCY > 10


@dataclass(frozen=True)
class Curve:
    """Variance against brightness.

    Attributes
    ----------
    means
        Brightnesses in rising order.
    variances
        The variance at each of them; in between it goes along straight lines, beyond it stays.
    """

    means: tuple[float, ...]
    variances: tuple[float, ...]


@dataclass(frozen=True)
class NoiseLevel:
    """How strong noise is.

    Attributes
    ----------
    channels
        The variance of the noise against the brightness, for each channel.
    correlation
        Of the noise of each channel with that of each other, in one pixel.
    deviation
        The standard error of the mean of all variances; 0 where it is as good as none.
    """

    channels: tuple[Curve, ...]
    correlation: tuple[tuple[float, ...], ...]
    deviation: float = 0.0

    @classmethod
    def of(cls, channels: Iterable[Curve], noise: Floats, deviation: float = 0.0) -> Self:
        """Make one of its curves, and of noise (..., C) of which the correlation is taken."""
        values = noise.reshape(-1, noise.shape[-1])
        products = values.T @ values
        sigma = np.sqrt(np.diag(products))
        intensity_range = np.outer(sigma, sigma)
        correlation = np.divide(
            products, intensity_range, out=np.eye(len(sigma)), where=intensity_range > 0
        )
        return cls(tuple(channels), tuple(map(tuple, correlation.tolist())), deviation)

    def variance(self, images: NDArray[np.floating]) -> Floats:
        """Give the variance of the noise on images (N, H, W, C) that have none, or little."""
        each = [
            np.interp(images[..., channel], curve.means, curve.variances)
            for channel, curve in enumerate(self.channels)
        ]
        return np.stack(each, axis=-1)

    def draw(self, images: NDArray[np.floating], random: np.random.Generator) -> Floats:
        """Draw such noise for images (N, H, W, C): normal, independent from pixel to pixel."""
        values, vectors = np.linalg.eigh(np.array(self.correlation))
        root = vectors * np.sqrt(values.clip(min=0))
        noise: Floats = random.standard_normal(images.shape) @ root.T
        noise *= np.sqrt(self.variance(images))
        return noise


def from_images(images: Images) -> NoiseLevel | None:
    """Measure noise that is independent from pixel to pixel on images that nobody has cleaned.

    Of all blocks of 8x8 pixels of about one brightness, those with the least of the low and middle
    frequencies are flat. What high frequencies they hold is noise; the median over these leaves out
    the ones that some texture has. White noise has no more in one frequency than in another, so
    that choosing by the low ones does not favour blocks with little noise.

    Parameters
    ----------
    images
        (N, H, W, C), float, of one camera at one setting.

    Returns
    -------
    NoiseLevel or None
        None where the images are too small or too few to tell.

    References
    ----------
    Ponomarenko, Lukin, Zriakhov, Kaarna, Astola, "An automatic approach to lossy compression of
    AVIRIS images", IGARSS 2007, as analysed and taken on to noise that depends on the signal by
    Colom and Buades, "Analysis and extension of the Ponomarenko et al. method, estimating a noise
    curve from a single image", IPOL 2013.
    """
    parts = list(_blocks(images))
    if sum(len(part.flatness) for part in parts) < _LEAST:
        return None
    mean, flatness, high = map(np.concatenate, zip(*parts, strict=True))
    found = [
        [
            _measure(mean[rows, channel], flatness[rows], high[rows, channel])
            for rows in _by_brightness(mean[:, channel])
        ]
        for channel in range(images.shape[3])
    ]
    channels = (
        Curve(tuple(point.mean for point in points), tuple(point.variance for point in points))
        for points in found
    )
    flat = high[_flattest(flatness)].swapaxes(1, 2).astype(np.float64)
    return NoiseLevel.of(channels, flat, float(np.mean([_of_the_mean(one) for one in found])))


def from_shots(first: Images, again: Images) -> NoiseLevel:
    """Measure noise of any kind from two shots of each scene: half their squared difference.

    Parameters
    ----------
    first, again
        (N, H, W, C), float, aligned; the noise of one independent of that of the other.
    """
    half = ((first - again) / np.sqrt(2)).astype(np.float64)
    return NoiseLevel.of(curves((first + again) / 2, np.square(half)), half)


def curves(images: NDArray[np.floating], squares: Floats) -> tuple[Curve, ...]:
    """Average squares against the brightness of images, both (N, H, W, C): a curve a channel."""
    found = []
    for channel in range(images.shape[3]):
        mean, square = images[..., channel].ravel(), squares[..., channel].ravel()
        groups = _by_brightness(mean)
        means = tuple(float(mean[rows].mean()) for rows in groups)
        found.append(Curve(means, tuple(float(square[rows].mean()) for rows in groups)))
    return tuple(found)


def low_energy(blocks: NDArray[np.floating]) -> Floats:
    """Give how much of low and middle frequencies, but for the mean, blocks (..., 8, 8) hold."""
    energy: Floats = np.square(_spectra(blocks)[..., _LOW]).mean(-1)
    return energy


class _Blocks(NamedTuple):
    """Some blocks: mean (B, C), flatness (B,), and what they hold of high frequencies (B, C, F)."""

    mean: Floats
    flatness: Floats
    high: NDArray[np.float32]


def _blocks(images: Images) -> Iterator[_Blocks]:
    """Cut images into overlapping blocks, until there are plenty."""
    if min(images.shape[1:3]) < _SIDE:
        return
    darkest, brightest = images.min(), images.max()
    found = 0
    for image in images:
        windows = np.lib.stride_tricks.sliding_window_view(image, (_SIDE, _SIDE), axis=(0, 1))
        blocks = windows[::_STEP, ::_STEP].reshape(-1, image.shape[2], _SIDE, _SIDE)
        cut_off = ((blocks <= darkest) | (blocks >= brightest)).mean((1, 2, 3))
        blocks = blocks[cut_off < _CUT_OFF]
        spectra = _spectra(blocks)
        flatness = np.square(spectra[..., _LOW]).mean((1, 2))
        yield _Blocks(blocks.mean((2, 3)), flatness, spectra[..., _HIGH].astype(np.float32))
        found += len(blocks)
        if found > _MOST:
            return


def _spectra(blocks: NDArray[np.floating]) -> Floats:
    spectra: Floats = _COSINES @ blocks @ _COSINES.T
    return spectra


def _flattest(flatness: Floats) -> NDArray[np.intp]:
    count = max(_LEAST, int(_SHARE * len(flatness)))
    return np.argsort(flatness, kind="stable")[:count]


class _Point(NamedTuple):
    """The variance at a brightness, and its standard error."""

    mean: float
    variance: float
    deviation: float


def _measure(mean: Floats, flatness: Floats, high: NDArray[np.float32]) -> _Point:
    rows = _flattest(flatness)
    variance = np.median(np.square(high[rows], dtype=np.float64).mean(0))
    calm = np.flatnonzero(flatness <= _CALM * variance)
    if len(calm) > len(rows):
        rows = calm
    each = np.square(high[rows], dtype=np.float64).mean(0)
    deviation = _MEDIANS * each.std(ddof=1) / np.sqrt(len(each))
    return _Point(float(mean[rows].mean()), float(np.median(each)), float(deviation))


def _of_the_mean(points: list[_Point]) -> float:
    """Give the standard error of a channel's mean variance."""
    return float(np.hypot.reduce([point.deviation for point in points]) / len(points))


def _by_brightness(mean: NDArray[np.floating]) -> list[NDArray[np.intp]]:
    """Sort by brightness, into as many groups of one size as leave enough in each."""
    bins = int(np.clip(len(mean) // _IN_A_BIN, 1, _BINS))
    return np.array_split(np.argsort(mean, kind="stable"), bins)
