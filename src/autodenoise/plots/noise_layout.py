"""Noise laid out for a page: its variance by brightness, and how its pixels correlate."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator

from autodenoise.plots.loss_layout import Point, Tick, alike

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autodenoise.noise_estimation.autocorrelation import Autocorrelation
    from autodenoise.noise_estimation.estimate import QualityEstimate
    from autodenoise.noise_estimation.level import Curve

__all__ = ["Cell", "CorrelationMap", "VarianceChart", "correlation_map", "variance_chart"]

_WIDTH, _HEIGHT = 480.0, 270.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 14.0, 12.0, 46.0
_ROUND = (1, 2, 5, 10)
_CELL = 16.0
# Correlations are shown up to this one; most that matter are weaker.
_FULL = 0.5


class VarianceChart(NamedTuple):
    """Variance against brightness, in the units of its view box; y grows downwards.

    Attributes
    ----------
    width, height
        Of the view box.
    left, right, top, bottom
        The edges of the field that the curves lie in.
    noise
        A line for each channel.
    removed
        Points for each channel.
    exponent
        Variances are told in units of ten to this power.
    brightnesses, variances
        Ticks along the lower and the left edge.
    """

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    noise: list[list[Point]]
    removed: list[list[Point]]
    exponent: int
    brightnesses: list[Tick]
    variances: list[Tick]


class Cell(NamedTuple):
    """The correlation with the pixel so far away, and where its square lies in the drawing."""

    x: float
    y: float
    down: int
    across: int
    correlation: float
    opacity: float


class CorrelationMap(NamedTuple):
    """A square a pixel, the pixel itself in the middle; `side` is that of a square."""

    width: float
    side: float
    cells: list[Cell]


def variance_chart(estimate: QualityEstimate) -> VarianceChart:
    """Lay out the variance of the noise, and that of what was taken out."""
    curves = (*estimate.level.channels, *estimate.residual)
    means = [mean for curve in curves for mean in curve.means]
    most = max(variance for curve in curves for variance in curve.variances) or 1.0
    exponent = int(np.floor(np.log10(most)))
    unit = 10.0**exponent
    low, high = min(means), max(means)
    aside = 0.03 * (high - low) or 0.05
    low, high, top = low - aside, high + aside, 1.08 * most / unit
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def x(mean: float) -> float:
        return round(_LEFT + (mean - low) / (high - low) * (right - _LEFT), 2)

    def y(variance: float) -> float:
        return round(bottom - variance / top * (bottom - _TOP), 2)

    def points(channels: Iterable[Curve]) -> list[list[Point]]:
        return [
            [
                Point(x(mean), y(variance / unit))
                for mean, variance in zip(curve.means, curve.variances, strict=True)
            ]
            for curve in channels
        ]

    across, up = _ticks(low, high, 7), _ticks(0, top, 6)
    return VarianceChart(
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        right=right,
        top=_TOP,
        bottom=bottom,
        noise=points(estimate.level.channels),
        removed=points(estimate.residual),
        exponent=exponent,
        brightnesses=[Tick(x(tick), label) for tick, label in across],
        variances=[Tick(y(tick), label) for tick, label in up],
    )


def correlation_map(found: Autocorrelation) -> CorrelationMap:
    """Lay out an autocorrelation."""
    reach = len(found.map) // 2
    cells = [
        Cell(
            x=column * _CELL,
            y=row * _CELL,
            down=row - reach,
            across=column - reach,
            correlation=correlation,
            opacity=round(min(1.0, abs(correlation) / _FULL), 3),
        )
        for row, line in enumerate(found.map)
        for column, correlation in enumerate(line)
    ]
    return CorrelationMap(len(found.map) * _CELL, _CELL, cells)


def _ticks(low: float, high: float, count: int) -> list[tuple[float, str]]:
    marks = MaxNLocator(nbins=count, steps=_ROUND).tick_values(low, high)
    inside = [float(mark) for mark in marks if low <= mark <= high]
    return list(zip(inside, alike(inside), strict=True))
