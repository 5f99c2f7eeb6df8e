"""Whether noise is independent from pixel to pixel: its autocorrelation, and what that means."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from autodenoise.noise_estimation.level import low_energy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Images = NDArray[np.float32]
    Floats = NDArray[np.float64]

__all__ = [
    "REACH",
    "Autocorrelation",
    "Direction",
    "check_independence",
    "of_residual",
    "of_shots",
]

REACH = 6
"""As many pixels away the correlation is looked at."""

Direction = Literal["rows", "columns", "all"]

# What correlates less changes little in what is learnt, and could be faint texture.
_TOLERATED = 0.1
# So many standard deviations are more than chance gives, at the best of 84 places.
_SIGNIFICANT = 5.0
_ASIDE = 0.5

# A patch of 2x2 blocks of 8 pixels is flat if the ring of blocks around it is. The patch itself
# has no say: choosing calm noise would be choosing noise that correlates less.
_BLOCK = 8
_SIDE = 2 * _BLOCK
_SHARE = 0.01
_LEAST = 40
_FEWEST = 6
_CALMEST = 0.7
_MOST = 20_000
# Patches of about one brightness: so many darker, and so many brighter.
_AROUND = 12
# Where much is cut off at black or white, there is less noise.
_CUT_OFF = 0.05
# Patches of noise differ in strength by chance, those of texture by far more.
_UNEVEN = 1.6
_DECILES = 2.563  # from the first decile to the last, in standard deviations of normal values


@dataclass(frozen=True)
class Autocorrelation:
    """How the noise of pixels hangs together.

    Attributes
    ----------
    map
        The autocorrelation up to 6 rows and columns away, 13 rows of 13; 1 in the middle.
    correlation
        The one that is farthest from 0, apart from the middle.
    down, across
        Where that is, in pixels.
    chance
        The standard deviation that each of them has by chance.
    direction
        Along which lines pixels correlate; None where they are independent as far as can be seen.
    certain
        False where it may be the texture of pictures without flat places that correlates.
    """

    map: tuple[tuple[float, ...], ...]
    correlation: float
    down: int
    across: int
    chance: float
    direction: Direction | None
    certain: bool = True

    @property
    def verdict(self) -> str:
        """What was found of the noise, as the rest of a sentence."""
        if self.direction is None:
            return "looks independent from pixel to pixel"
        along = "in all directions" if self.direction == "all" else f"along {self.direction}"
        far = max(abs(self.down), abs(self.across))
        found = f"is correlated {along} ({self.correlation:.2f} at {far} px)"
        return found if self.certain else f"{found}, unless that is texture of the pictures"


def check_independence(images: Images) -> Autocorrelation | None:
    """Look at the noise in the flat places of images that nobody has cleaned.

    Parameters
    ----------
    images
        (N, H, W, C), float.

    Returns
    -------
    Independence or None
        None where the images are too small or too few to tell, or have no noise.
    """
    patches = _flat_patches(images)
    if len(patches) < _FEWEST:
        return None
    strength = np.square(patches).mean((1, 2))
    usual = _running_median(strength)
    if not usual.all():
        return None
    # Brighter patches may have stronger noise, and count no more for it.
    relative = strength / usual
    even = patches / np.sqrt(usual)[:, None, None]
    calm = even[relative <= np.quantile(relative, _CALMEST)]
    correlations = _autocorrelation(calm)
    found = _judged(correlations, calm.size)
    # The variance of the strength of normal noise that correlates so.
    expected = 2 * np.square(correlations).sum() / _SIDE**2
    low, high = np.quantile(relative, (0.1, 0.9))
    uneven = ((high - low) / _DECILES) ** 2 > _UNEVEN * expected
    return dataclasses.replace(found, certain=bool(found.direction is None or not uneven))


def of_shots(first: Images, again: Images) -> Autocorrelation | None:
    """Look at what two shots of each scene differ by, which is noise alone.

    Parameters
    ----------
    first, again
        (N, H, W, C), float, aligned.

    Returns
    -------
    Independence or None
        None where the two are the same, or have sides of less than 8 pixels.
    """
    planes = _differences(first, again)
    return None if planes is None else _judged(_autocorrelation(planes), planes.size)


def of_residual(noisy: Images, denoised: Images) -> Autocorrelation | None:
    """Look at what a denoiser took out of images.

    Where it took out noise alone that is noise. Neighbours that are alike are either noise that
    correlates, or structure that went with it. That they differ says nothing of the kind: so it is
    with what is left when a pixel is averaged with those around.

    Parameters
    ----------
    noisy, denoised
        (N, H, W, C), float.

    Returns
    -------
    Independence or None
        As `of_shots`.
    """
    planes = _differences(noisy, denoised)
    if planes is None:
        return None
    correlations = _autocorrelation(planes)
    return _judged(correlations, planes.size, alike=correlations.clip(min=0))


def _differences(one: Images, other: Images) -> Floats | None:
    """Give the difference as planes (P, H, W) of mean 0; None where there is nothing to look at."""
    difference = (one - other).astype(np.float64)
    difference -= difference.mean((1, 2), keepdims=True)
    planes = difference.transpose(0, 3, 1, 2).reshape(-1, *difference.shape[1:3])
    return planes if min(planes.shape[1:]) >= _BLOCK and planes.any() else None


def _flat_patches(images: Images) -> Floats:
    """Cut the flattest patches out of images, (P, 16, 16), without their mean and slope.

    They come in the order of their brightness.
    """
    parts = list(_patches(images))
    if not parts:
        return np.empty((0, _SIDE, _SIDE))
    restless, patches = map(np.concatenate, zip(*parts, strict=True))
    count = max(_LEAST, int(_SHARE * len(patches)))
    flat = patches[np.argsort(restless, kind="stable")[:count]].reshape(-1, _SIDE**2)
    flat = flat[np.argsort(flat.mean(1), kind="stable")]
    down, across = np.mgrid[:_SIDE, :_SIDE].reshape(2, -1)
    slopes, _ = np.linalg.qr(np.stack([np.ones(_SIDE**2), down, across], axis=1))
    even: Floats = flat - (flat @ slopes) @ slopes.T
    return even.reshape(-1, _SIDE, _SIDE)


def _running_median(values: Floats) -> Floats:
    """Give the median around each value."""
    padded = np.pad(values, min(_AROUND, len(values) - 1), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(padded) - len(values) + 1)
    return np.asarray(np.median(windows, axis=1))


def _patches(images: Images) -> Iterator[tuple[Floats, Floats]]:
    """Give how restless it is around patches, (P,), and the patches, (P, 16, 16); plane by plane.

    They overlap by half. It ends when there are plenty.
    """
    rows, columns = (side // _BLOCK for side in images.shape[1:3])
    if min(rows, columns) < 4:
        return
    darkest, brightest = images.min(), images.max()
    windows = np.lib.stride_tricks.sliding_window_view
    found = 0
    planes = (image[..., channel] for image in images for channel in range(image.shape[2]))
    for plane in planes:
        whole = plane[: rows * _BLOCK, : columns * _BLOCK].astype(np.float64)
        blocks = whole.reshape(rows, _BLOCK, columns, _BLOCK).swapaxes(1, 2)
        energy = low_energy(blocks)
        ring = windows(energy, (4, 4)).sum((2, 3)) - windows(energy[1:-1, 1:-1], (2, 2)).sum((2, 3))
        cut_off = ((blocks <= darkest) | (blocks >= brightest)).mean((2, 3))
        seen = windows(cut_off, (4, 4)).mean((2, 3)) < _CUT_OFF
        inside = whole[_BLOCK:-_BLOCK, _BLOCK:-_BLOCK]
        patches = windows(inside, (_SIDE, _SIDE))[::_BLOCK, ::_BLOCK]
        yield ring[seen], patches[seen]
        found += int(seen.sum())
        if found > _MOST:
            return


def _autocorrelation(planes: Floats) -> Floats:
    """Give the mean autocorrelation of planes (P, H, W), up to `REACH`: (13, 13)."""
    height, width = planes.shape[1:]
    padded = height + REACH, width + REACH
    power = np.zeros((padded[0], padded[1] // 2 + 1))
    for plane in planes:
        power += np.square(np.abs(np.fft.rfft2(plane, padded)))
    sums = np.roll(np.fft.irfft2(power, padded), (REACH, REACH), (0, 1))
    steps = np.abs(np.arange(-REACH, REACH + 1))
    pairs = np.outer((height - steps).clip(min=0), (width - steps).clip(min=0))
    side = 2 * REACH + 1
    means = sums[:side, :side] / pairs.clip(min=1) * (pairs > 0)
    correlations: Floats = means / means[REACH, REACH]
    return correlations


def _judged(correlations: Floats, values: int, alike: Floats | None = None) -> Autocorrelation:
    """Judge the autocorrelation of so many values by its size, or by another map."""
    chance = 1 / np.sqrt(values)
    apart = np.abs(correlations) if alike is None else alike.copy()
    apart[REACH, REACH] = 0
    down, across = (int(place) - REACH for place in np.unravel_index(apart.argmax(), apart.shape))
    # The map is the same read backwards; told is the half that lies below and right.
    if (down, across) < (0, 0):
        down, across = -down, -across
    strongest = float(apart.max())
    direction: Direction | None = None
    if strongest > max(_TOLERATED, _SIGNIFICANT * chance):
        row, column = float(apart[REACH].max()), float(apart[:, REACH].max())
        direction = "all"
        if down == 0 and column < _ASIDE * row:
            direction = "rows"
        elif across == 0 and row < _ASIDE * column:
            direction = "columns"
    return Autocorrelation(
        map=tuple(map(tuple, correlations.round(4).tolist())),
        correlation=float(correlations[down + REACH, across + REACH]),
        down=down,
        across=across,
        chance=float(chance),
        direction=direction,
    )
