"""The autocorrelation of noise, and whether it is independent between pixels."""

from __future__ import annotations

import dataclasses
import warnings
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
    "of_flat_areas",
    "of_residual",
    "of_shots",
]

REACH = 6
"""Largest lag of the autocorrelation, in pixels."""

Direction = Literal["rows", "columns", "all"]

# Weaker correlation has little effect on training, and may be faint texture.
_MIN_CORRELATION = 0.1
# In standard deviations: beyond chance, even for the largest of 84 lags.
_SIGNIFICANT = 5.0
_ASIDE = 0.5

# A patch of 2x2 blocks of 8 pixels is flat if the ring of blocks around it is. The patch itself
# is not examined: selecting patches with little noise would select less correlated noise.
_BLOCK = 8
_SIDE = 2 * _BLOCK
_SHARE = 0.01
_MIN_FLAT_PATCHES = 40
_MIN_PATCHES = 6
_CALMEST = 0.7
_MAX_PATCHES = 20_000
# Neighbors in order of brightness, on either side, for the running median.
_AROUND = 12
# Clipping at black or white reduces the noise: patches with a larger share are skipped.
_MAX_CLIPPED = 0.05
# The strength of noise patches varies by chance, that of texture patches far more.
_UNEVEN = 1.6
_DECILES = 2.563  # from the first decile to the last, in standard deviations of normal values


@dataclass(frozen=True)
class Autocorrelation:
    """The autocorrelation of noise.

    Attributes
    ----------
    map
        The autocorrelation up to 6 rows and columns away: 13 rows of 13, with 1 at the center.
    correlation
        The value that is farthest from 0, except the center.
    down, across
        Lag of that value, in pixels.
    chance
        Standard error of each value.
    direction
        Direction of the correlation; None if the noise looks independent between pixels.
    certain
        False if the correlation may be texture, because the images have no flat areas.
    """

    map: tuple[tuple[float, ...], ...]
    correlation: float
    down: int
    across: int
    chance: float
    direction: Direction | None
    certain: bool = True

    @property
    def description(self) -> str:
        """The result, as the rest of a sentence that begins with "The noise"."""
        if self.direction is None:
            return "looks independent between pixels"
        along = "in all directions" if self.direction == "all" else f"along {self.direction}"
        far = max(abs(self.down), abs(self.across))
        found = f"is correlated {along} ({self.correlation:.2f} at {far} px)"
        return found if self.certain else f"{found}, unless that is image texture"

    @property
    def verdict(self) -> str:
        """Deprecated name of `description`."""
        message = "Autocorrelation.verdict is deprecated; use description"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return self.description


def of_flat_areas(images: Images) -> Autocorrelation | None:
    """Estimate the autocorrelation of the noise in flat areas of float images (N, H, W, C).

    Return None if the images are too small or too few, or have no noise.
    """
    patches = _flat_patches(images)
    if len(patches) < _MIN_PATCHES:
        return None
    strength = np.square(patches).mean((1, 2))
    usual = _running_median(strength)
    if not usual.all():
        return None
    # Brighter patches may have stronger noise; all get the same weight.
    relative = strength / usual
    even = patches / np.sqrt(usual)[:, None, None]
    calm = even[relative <= np.quantile(relative, _CALMEST)]
    correlations = _autocorrelation(calm)
    found = _summarize(correlations, calm.size)
    # The variance of the strength of Gaussian noise with this autocorrelation.
    expected = 2 * np.square(correlations).sum() / _SIDE**2
    low, high = np.quantile(relative, (0.1, 0.9))
    uneven = ((high - low) / _DECILES) ** 2 > _UNEVEN * expected
    return dataclasses.replace(found, certain=bool(found.direction is None or not uneven))


def of_shots(first: Images, again: Images) -> Autocorrelation | None:
    """Return the autocorrelation of the difference of two aligned shots, which is noise alone.

    Return None if the shots (N, H, W, C) are equal, or smaller than 8 pixels on a side.
    """
    planes = _differences(first, again)
    return None if planes is None else _summarize(_autocorrelation(planes), planes.size)


def of_residual(noisy: Images, denoised: Images) -> Autocorrelation | None:
    """Return the autocorrelation of what a denoiser removed from images (N, H, W, C).

    A positive correlation between neighbors is either correlated noise or removed structure. A
    negative one means neither: subtracting the average of a pixel's neighbors causes it too, so it
    does not count. Return None as `of_shots` does.
    """
    planes = _differences(noisy, denoised)
    if planes is None:
        return None
    correlations = _autocorrelation(planes)
    return _summarize(correlations, planes.size, relevant=correlations.clip(min=0))


def _differences(one: Images, other: Images) -> Floats | None:
    """Return the difference as zero-mean planes (P, H, W); None if too small or all zero."""
    difference = (one - other).astype(np.float64)
    difference -= difference.mean((1, 2), keepdims=True)
    planes = difference.transpose(0, 3, 1, 2).reshape(-1, *difference.shape[1:3])
    return planes if min(planes.shape[1:]) >= _BLOCK and planes.any() else None


def _flat_patches(images: Images) -> Floats:
    """Return the flattest patches, (P, 16, 16), minus mean and slope, by rising brightness."""
    parts = list(_patches(images))
    if not parts:
        return np.empty((0, _SIDE, _SIDE))
    activity, patches = map(np.concatenate, zip(*parts, strict=True))
    count = max(_MIN_FLAT_PATCHES, int(_SHARE * len(patches)))
    flat = patches[np.argsort(activity, kind="stable")[:count]].reshape(-1, _SIDE**2)
    flat = flat[np.argsort(flat.mean(1), kind="stable")]
    down, across = np.mgrid[:_SIDE, :_SIDE].reshape(2, -1)
    slopes, _ = np.linalg.qr(np.stack([np.ones(_SIDE**2), down, across], axis=1))
    even: Floats = flat - (flat @ slopes) @ slopes.T
    return even.reshape(-1, _SIDE, _SIDE)


def _running_median(values: Floats) -> Floats:
    """Return the running median."""
    padded = np.pad(values, min(_AROUND, len(values) - 1), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(padded) - len(values) + 1)
    return np.asarray(np.median(windows, axis=1))


def _patches(images: Images) -> Iterator[tuple[Floats, Floats]]:
    """Yield the activity around patches, (P,), and the patches, (P, 16, 16), of each plane.

    Patches overlap by half. Stops after `_MAX_PATCHES`.
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
        seen = windows(cut_off, (4, 4)).mean((2, 3)) < _MAX_CLIPPED
        inside = whole[_BLOCK:-_BLOCK, _BLOCK:-_BLOCK]
        patches = windows(inside, (_SIDE, _SIDE))[::_BLOCK, ::_BLOCK]
        yield ring[seen], patches[seen]
        found += int(seen.sum())
        if found > _MAX_PATCHES:
            return


def _autocorrelation(planes: Floats) -> Floats:
    """Return the mean autocorrelation of planes (P, H, W), up to `REACH`: (13, 13)."""
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


def _summarize(
    correlations: Floats, values: int, relevant: Floats | None = None
) -> Autocorrelation:
    """Find the strongest correlation and its direction, in `relevant` if it is given."""
    chance = 1 / np.sqrt(values)
    apart = np.abs(correlations) if relevant is None else relevant.copy()
    apart[REACH, REACH] = 0
    down, across = (int(place) - REACH for place in np.unravel_index(apart.argmax(), apart.shape))
    # The map is point-symmetric: report the half below and to the right.
    if (down, across) < (0, 0):
        down, across = -down, -across
    strongest = float(apart.max())
    direction: Direction | None = None
    if strongest > max(_MIN_CORRELATION, _SIGNIFICANT * chance):
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
