"""Fit or tabulate the variance of noise as a function of intensity."""

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

__all__ = ["MAX_DEVIATION", "Line", "fit_line", "merge_points", "standard_deviations"]

MAX_DEVIATION = 0.1
"""The largest mean relative deviation of the variances from an acceptable line."""

_MAX_BINS, _MAX_ERROR = 40, 0.05
# Lamps, sensors and lenses limit the accuracy of any variance to 1 %.
_MIN_ERROR = 0.01
_ITERATIONS = 25
_MAX_RESIDUAL = 2.5


@dataclass(frozen=True)
class Line:
    """The variance as a line: ``variance = gain * mean + floor``.

    It models photon noise and read noise, ``gain * (mean - black) + read**2``. The fit cannot
    separate the black level from the read noise: a high black level makes `floor` negative.

    Attributes
    ----------
    gain, floor
        In units of the samples and in squared units.
    covariance
        (2, 2), of the estimated gain and floor.
    r_squared
        The weighted coefficient of determination.
    deviation
        The mean relative deviation of the measured variances from the line, beyond their errors.

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
        """Return the line in units of the samples in files."""
        unit = intensity_range.high - intensity_range.low
        to_samples = np.array([[unit, 0], [-unit * intensity_range.low, unit**2]])
        gain, floor = to_samples @ (self.gain, self.floor)
        covariance = to_samples @ self.covariance @ to_samples.T
        return dataclasses.replace(
            self, gain=float(gain), floor=float(floor), covariance=covariance
        )

    def variance(self, mean: float) -> float:
        """Return the variance at an intensity; negative outside the range of the model."""
        return self.gain * mean + self.floor

    def error(self, mean: float) -> float:
        """Return the standard error of the variance at an intensity."""
        at = np.array([mean, 1.0])
        return float(np.sqrt(at @ self.covariance @ at))


def merge_points(measured: Iterable[Points]) -> Points:
    """Merge points of similar intensity until the error of each variance is at most 5 %."""
    means, variances, errors, counts = (
        np.concatenate(part) for part in zip(*measured, strict=True)
    )
    if not len(means):
        return Points(means, variances, errors, counts)
    low, high = means.min(), means.max()
    # Bins are narrower at low intensity, where the relative noise changes most.
    edges = low + (high - low) * np.linspace(0, 1, _MAX_BINS + 1)[1:-1] ** 2
    place = np.searchsorted(edges, means)
    rows: list[Points] = []
    pending = np.zeros(len(means), bool)
    for number in range(_MAX_BINS):
        pending |= place == number
        if not pending.any():
            continue
        row = _average(*(part[pending] for part in (means, variances, errors, counts)))
        if row.errors <= _MAX_ERROR * row.variances or number == _MAX_BINS - 1:
            rows.append(row)
            pending[:] = False
    return Points(*np.array(rows).T)


def _average(means: Floats, variances: Floats, errors: Floats, counts: Floats) -> Points:
    # Weighting by inverse variance would favor small variances.
    total = counts.sum()
    error = np.sqrt(np.square(counts * errors).sum()) / total
    return Points(counts @ means / total, counts @ variances / total, error, total)


def fit_line(points: Points) -> Line | None:
    """Fit a line by iteratively reweighted least squares (Huber 1964).

    The standard errors come from the line and not from the points, because a variance that is
    small by chance also has a small error.

    Returns
    -------
    Line or None
        None for fewer than three points, for points of one intensity, or for variances of 0.
    """
    means, variances, errors, counts = points
    if len(means) < 3 or not np.ptp(means) or not variances.min() > 0:
        return None
    spread = np.square(counts * errors / variances).sum() / counts.sum()
    relative = np.sqrt(spread / counts + _MIN_ERROR**2)
    design = np.stack([means, np.ones_like(means)], axis=1)
    line, minimum = variances, 1e-3 * np.median(variances)
    for _ in range(_ITERATIONS):
        scale = relative * np.maximum(line, minimum)
        off = np.abs(variances - line) / scale
        weights = np.minimum(1, _MAX_RESIDUAL / np.maximum(off, _MAX_RESIDUAL)) / scale**2
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


def standard_deviations(points: Points, means: Floats) -> Floats:
    """Return the standard deviation at intensities, interpolating the variance."""
    return np.sqrt(np.interp(means, points.means, points.variances))
