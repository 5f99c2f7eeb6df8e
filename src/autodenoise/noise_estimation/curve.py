"""How noise follows the brightness: a line through measured variances, or a table of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autodenoise.noise_estimation.statistics import Points

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from autodenoise.images import IntensityRange

    Floats = NDArray[np.float64]

__all__ = ["MOST_DEVIATION", "Line", "fit_line", "joined", "tabulated"]

MOST_DEVIATION = 0.1
"""How far a line may miss the measured variances, on average, to be taken for the noise's law."""

_BINS, _PRECISE = 40, 0.05
# No variance is trusted beyond a hundredth: lamps, sensors and lenses are not that even.
_TRUST = 0.01
_ROUNDS = 25
_OUTLIER = 2.5


@dataclass(frozen=True)
class Line:
    """The variance as a line over the mean: ``variance = gain * mean + floor``.

    That is the noise of photons and of reading them out, ``gain * (mean - black) + read**2``. The
    black level and the read noise cannot be told apart by it: `floor` is below 0 where the black
    level is high.

    Attributes
    ----------
    gain, floor
        In the unit of the samples, and in its square.
    covariance
        (2, 2), of these two as they were estimated.
    r_squared
        The share of the variances' spread that the line explains, by the fit's weights.
    deviation
        How far the line misses the measured variances on average, as a share of them, beyond what
        their own errors explain.

    References
    ----------
    Foi, Trimeche, Katkovnik, Egiazarian, "Practical Poissonian-Gaussian noise modeling and fitting
    for single-image raw-data", IEEE TIP 2008.
    """

    gain: float
    floor: float
    covariance: Floats
    r_squared: float
    deviation: float

    @property
    def gain_error(self) -> float:
        """The standard error of the gain."""
        return float(np.sqrt(self.covariance[0, 0]))

    @property
    def floor_error(self) -> float:
        """The standard error of the floor."""
        return float(np.sqrt(self.covariance[1, 1]))

    def in_samples(self, intensity_range: IntensityRange) -> Line:
        """Give the line in the files' samples, for means and variances of those."""
        unit = intensity_range.high - intensity_range.low
        to_samples = np.array([[unit, 0], [-unit * intensity_range.low, unit**2]])
        gain, floor = to_samples @ (self.gain, self.floor)
        covariance = to_samples @ self.covariance @ to_samples.T
        return dataclasses.replace(
            self, gain=float(gain), floor=float(floor), covariance=covariance
        )

    def variance(self, mean: float) -> float:
        """Read the line; below 0 where it makes no sense."""
        return self.gain * mean + self.floor

    def error(self, mean: float) -> float:
        """Give the standard error of the variance there."""
        at = np.array([mean, 1.0])
        return float(np.sqrt(at @ self.covariance @ at))


def joined(measured: Iterable[Points]) -> Points:
    """Put points together that are near in brightness, until each variance is known to 5 %."""
    means, variances, errors, counts = (
        np.concatenate(part) for part in zip(*measured, strict=True)
    )
    if not len(means):
        return Points(means, variances, errors, counts)
    low, high = means.min(), means.max()
    # Narrower where it is dark, and the noise changes most.
    edges = low + (high - low) * np.linspace(0, 1, _BINS + 1)[1:-1] ** 2
    place = np.searchsorted(edges, means)
    rows: list[Points] = []
    open_rows = np.zeros(len(means), bool)
    for number in range(_BINS):
        open_rows |= place == number
        if not open_rows.any():
            continue
        row = _one(*(part[open_rows] for part in (means, variances, errors, counts)))
        if row.errors <= _PRECISE * row.variances:
            rows.append(row)
            open_rows[:] = False
    if open_rows.any():
        rows.append(_one(*(part[open_rows] for part in (means, variances, errors, counts))))
    return Points(*np.array(rows).T)


def _one(means: Floats, variances: Floats, errors: Floats, counts: Floats) -> Points:
    # Weights that follow the variance would favour small ones.
    total = counts.sum()
    error = np.sqrt(np.square(counts * errors).sum()) / total
    return Points(counts @ means / total, counts @ variances / total, error, total)


def fit_line(points: Points) -> Line | None:
    """Fit a line by iterated weighted least squares, with outliers held back (Huber 1964).

    Each point weighs by its standard error, which is read off the line and not off the point
    itself: a variance that came out small by chance also looks exact.

    Returns
    -------
    Line or None
        None where the points do not tell one: fewer than three, or of one brightness.
    """
    means, variances, errors, counts = points
    if len(means) < 3 or not np.ptp(means) or not variances.min() > 0:
        return None
    spread = np.square(counts * errors / variances).sum() / counts.sum()
    relative = np.sqrt(spread / counts + _TRUST**2)
    design = np.stack([means, np.ones_like(means)], axis=1)
    line, least = variances, 1e-3 * np.median(variances)
    for _ in range(_ROUNDS):
        intensity_range = relative * np.maximum(line, least)
        off = np.abs(variances - line) / intensity_range
        weights = np.minimum(1, _OUTLIER / np.maximum(off, _OUTLIER)) / intensity_range**2
        inverse = np.linalg.pinv(design.T @ (weights[:, None] * design))
        gain, floor = inverse @ (design.T @ (weights * variances))
        line = gain * means + floor
    rest = np.square(variances - line)
    excess = weights @ rest / max(len(means) - 2, 1)
    average = weights @ variances / weights.sum()
    explained = 1 - weights @ rest / (weights @ np.square(variances - average))
    deviation = np.inf
    if line.min() > 0:
        deviation = np.sqrt(max(0.0, (rest / line**2 - spread / counts).mean()))
    return Line(
        float(gain), float(floor), inverse * max(1, excess), float(explained), float(deviation)
    )


def tabulated(points: Points, means: Floats) -> Floats:
    """Give the standard deviation at these brightnesses, between points by their variances."""
    return np.sqrt(np.interp(means, points.means, points.variances))
