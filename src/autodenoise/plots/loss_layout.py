"""Loss curves laid out for a page: where lines, points and ticks go in a small SVG."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from autodenoise.plots.images import Curve

__all__ = ["Chart", "Point", "Tick", "alike", "lay_out"]

_WIDTH, _HEIGHT = 480.0, 270.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 14.0, 12.0, 46.0
_FEW = 12
_ROUND = (1, 2, 5, 10)


class Tick(NamedTuple):
    """A mark on an axis: how far along it is, and what it says."""

    at: float
    label: str


class Point(NamedTuple):
    """A place in the drawing."""

    x: float
    y: float


class Chart(NamedTuple):
    """The picture of one phase's losses, in the units of its view box; y grows downwards.

    Attributes
    ----------
    width, height
        Of the view box.
    left, right, top, bottom
        The edges of the field that the curves lie in.
    loss, val_loss
        A point an epoch; may lie above the field.
    printed
        What the source prints.
    dots
        Whether the epochs are so few that each gets a dot.
    epochs, losses
        Ticks along the lower and the left edge.
    """

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    loss: list[Point]
    val_loss: list[Point]
    printed: list[Point]
    dots: bool
    epochs: list[Tick]
    losses: list[Tick]


def lay_out(curve: Curve) -> Chart:
    """Lay out a curve of at least one epoch."""
    last = max([len(curve.loss), *curve.within_reach])
    aside = 0.03 * (last - 1) or 0.5
    first_edge, last_edge = 1 - aside, last + aside
    low, high = curve.limits
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def x(epoch: float) -> float:
        share = (epoch - first_edge) / (last_edge - first_edge)
        return round(_LEFT + share * (right - _LEFT), 2)

    def y(loss: float) -> float:
        return round(bottom - (loss - low) / (high - low) * (bottom - _TOP), 2)

    def points(losses: Iterable[tuple[int, float]]) -> list[Point]:
        return [Point(x(epoch), y(loss)) for epoch, loss in losses]

    whole = MaxNLocator(nbins=7, integer=True, steps=_ROUND).tick_values(1, max(last, 2))
    # From 1 and not from 0: that is where counting epochs begins.
    epochs = [1.0, *(float(tick) for tick in whole if 1 < tick <= last)]
    marks = MaxNLocator(nbins=6, steps=_ROUND).tick_values(low, high)
    losses = [float(mark) for mark in marks if low <= mark <= high]
    return Chart(
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        right=right,
        top=_TOP,
        bottom=bottom,
        loss=points(enumerate(curve.loss, 1)),
        val_loss=points(enumerate(curve.val_loss, 1)),
        printed=points(curve.within_reach.items()),
        dots=len(curve.loss) <= _FEW,
        epochs=[Tick(x(epoch), f"{epoch:.0f}") for epoch in epochs],
        losses=[Tick(y(mark), label) for mark, label in zip(losses, alike(losses), strict=True)],
    )


def alike(values: Sequence[float]) -> list[str]:
    """Write evenly spaced numbers with as many decimals as tell them apart, all alike."""
    step = min((b - a for a, b in pairwise(values)), default=1.0)
    exact = (d for d in range(12) if all(abs(round(v, d) - v) < step / 100 for v in values))
    digits = next(exact, 12)
    return [f"{value:.{digits}f}" for value in values]
