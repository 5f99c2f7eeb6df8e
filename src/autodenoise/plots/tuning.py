"""Plot the trials of a hyperparameter search and the importance of each setting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patheffects import withStroke

from autodenoise.metrics import loss_text
from autodenoise.plots.figure import INK, ORANGE, TEAL, blank, write_title

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Axis", "importances", "parallel_coordinates"]

_MARGIN = 0.02
_GRAY = "#c9ced6"
_LOSSES = LinearSegmentedColormap.from_list("losses", [TEAL, "#a9d2cf"])


@dataclass(frozen=True)
class Axis:
    """A setting in a plot of parallel coordinates.

    Attributes
    ----------
    name
        The label below the axis.
    values
        The value of each trial; for a categorical setting, its index in `choices`.
    low, high
        The limits of the axis.
    log
        Whether the axis is logarithmic.
    choices
        The values of a categorical setting; empty for a number.
    """

    name: str
    values: tuple[float, ...]
    low: float
    high: float
    log: bool = False
    choices: tuple[str, ...] = ()

    def height(self, value: float) -> float:
        """Return the position of a value, from 0 at the low end to 1 at the high one."""
        if self.high == self.low:
            return 0.5
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Return the height and the label of each tick."""
        if self.choices:
            return [(self.height(n), choice) for n, choice in enumerate(self.choices)]
        if self.high == self.low:
            return [(0.5, _number(self.low))]
        values = [self.low, self.high]
        if self.log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            between = [10.0**power for power in range(first, last + 1)]
        else:
            between = [self.low + (self.high - self.low) * part / 4 for part in (1, 2, 3)]
        # Labels close to an end would overlap.
        values += [value for value in between if 0.06 < self.height(value) < 0.94]
        return [(self.height(value), _number(value)) for value in sorted(values)]


def parallel_coordinates(axes: Sequence[Axis], losses: Sequence[float | None]) -> Figure:
    """Draw each trial as a line through its settings to its loss and highlight the best one.

    Parameters
    ----------
    axes
        The settings, at least one.
    losses
        The validation loss of each trial, at least one of them a number; None for a trial that
        was stopped early, whose line ends at the last setting.
    """
    known = [loss for loss in losses if loss is not None]
    low, high = min(known), max(known)
    spread = Axis("val_loss", tuple(known), low, high, log=low > 0 and high > 10 * low)
    # Inches, with room for the labels to the right of each axis.
    places = [0.45]
    for axis in axes:
        longest = max(len(text) for _, text in axis.ticks())
        places.append(places[-1] + max(1.35, 0.45 + 0.07 * longest, 0.35 + 0.075 * len(axis.name)))
    # A plot of few settings is widened to fit the title.
    stretch = max(1.0, 4.2 / (places[-1] - places[0]))
    places = [places[0] + (place - places[0]) * stretch for place in places]
    figure, drawing = _canvas(width=places[-1] + 1.15, height=4.5, header=0.9, footer=0.5)
    best = losses.index(low)
    order = sorted(range(len(losses)), key=lambda n: (losses[n] is not None, -(losses[n] or 0)))
    for trial in order:
        heights = [axis.height(axis.values[trial]) for axis in axes]
        loss = losses[trial]
        if loss is None:
            drawing.plot(places[:-1], heights, color=_GRAY, linewidth=0.9, linestyle=(0, (4, 3)))
            continue
        chosen = trial == best
        drawing.plot(
            places,
            [*heights, spread.height(loss)],
            color=ORANGE if chosen else _LOSSES(spread.height(loss)),
            linewidth=2.4 if chosen else 1.2,
            solid_joinstyle="round",
        )
    for place, axis in zip(places, (*axes, spread), strict=True):
        _draw_axis(drawing, place, axis)
    title = f"{len(known)} trial{'s' * (len(known) != 1)}, lowest validation loss {loss_text(low)}"
    given_up = len(losses) - len(known)
    note = "orange: the best; the darker, the lower the loss"
    if given_up:
        note += f"; dashed: {given_up} given up"
    write_title(figure, title)
    width, height = figure.get_size_inches()
    figure.text(0.12 / width, 1 - 0.5 / height, note, size=8, color=INK, va="center")
    return figure


def _draw_axis(drawing: Axes, place: float, axis: Axis) -> None:
    drawing.plot([place, place], [0, 1], color=INK, linewidth=1.1, zorder=3)
    for height, text in axis.ticks():
        drawing.plot([place, place + 0.05], [height, height], color=INK, linewidth=1.1, zorder=3)
        drawing.text(
            place + 0.07,
            height + 0.012,  # above horizontal lines
            text,
            size=8,
            color=INK,
            va="bottom",
            zorder=4,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )
    drawing.text(place, -0.09, axis.name, size=9, weight="bold", color=INK, ha="left", va="top")


def importances(shares: Mapping[str, float]) -> Figure:
    """Draw each setting's share of the variance of the loss as a bar.

    Parameters
    ----------
    shares
        The share of each setting, from 0 to 1, in descending order.
    """
    label = 0.35 + 0.085 * max(len(name) for name in shares)
    figure, drawing = _canvas(
        width=label + 4.2, height=0.95 + 0.34 * len(shares), header=0.55, footer=0.2
    )
    for row, (name, share) in enumerate(shares.items()):
        height = 1 - (row + 0.5) / len(shares)
        thickness = 0.58 / len(shares)
        drawing.barh(height, 3.2 * share, thickness, left=label, color=TEAL)
        drawing.text(label - 0.12, height, name, size=9, color=INK, ha="right", va="center")
        drawing.text(
            label + 3.2 * share + 0.08, height, f"{share:.0%}", size=9, color=INK, va="center"
        )
    write_title(figure, "What the validation loss depends on")
    return figure


def _canvas(width: float, height: float, header: float, footer: float) -> tuple[Figure, Axes]:
    """Return an empty figure with x in inches and y from 0 to 1."""
    figure = blank(width, height)
    drawing = figure.add_axes((0, footer / height, 1, (height - header - footer) / height))
    drawing.set_xlim(0, width)
    drawing.set_ylim(-_MARGIN, 1 + _MARGIN)  # room for thick lines at the ends
    drawing.set_axis_off()
    return figure, drawing


def _number(value: float) -> str:
    return f"{value:.4g}"
