"""Training and validation loss by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator

from autodenoise.plots.figure import FAINT, INK, ORANGE, TEAL, blank, style_axes, write_title

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["LossCurve", "draw_loss_curve", "draw_loss_curves"]

# In inches: a panel, and the left edge, lower edge and width of the axes in it.
_PANEL, _LEFT, _BELOW, _WIDTH = 4.9, 0.8, 0.55, 4.0
_MAX_EPOCHS_WITH_MARKERS = 12
_TICK_STEPS = (1, 2, 5, 10)


class LossCurve(NamedTuple):
    """The losses of one training phase.

    Attributes
    ----------
    name
        Name of the phase.
    unit
        Name of the loss.
    loss, val_loss
        Training and validation loss of each epoch.
    printed
        Validation losses printed by the recipe's source, by epoch from 1.
    """

    name: str
    unit: str
    loss: Sequence[float]
    val_loss: Sequence[float]
    printed: Mapping[int, float]

    @property
    def printed_so_far(self) -> dict[int, float]:
        """The part of `printed` that belongs to finished epochs, and so to the figure."""
        last = max(len(self.loss), 2)
        return {epoch: loss for epoch, loss in self.printed.items() if epoch <= last}

    @property
    def last_epoch(self) -> int:
        """The last epoch in the figure."""
        return max([len(self.loss), *self.printed_so_far])

    @property
    def epoch_limits(self) -> tuple[float, float]:
        """Limits of the epoch axis."""
        room = 0.03 * (self.last_epoch - 1) or 0.5
        return 1 - room, self.last_epoch + room

    @property
    def loss_limits(self) -> tuple[float, float]:
        """Limits of the loss axis."""
        # The training loss of the first epoch averages over the steepest descent. It may leave the
        # axes, since it would flatten everything after it.
        first = 1 if len(self.loss) >= 10 else 0
        shown = [*self.loss[first:], *self.val_loss[first:], *self.printed_so_far.values()]
        low, high = min(shown), max(shown)
        room = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
        return low - room, high + room


def draw_loss_curves(phases: Sequence[LossCurve], title: str) -> Figure:
    """Draw training and validation loss by epoch, with a panel for each phase."""
    heading = 0.2 if len(phases) > 1 else 0.0
    figure = blank(0.2 + _PANEL * len(phases), 3.4 + heading)
    write_title(figure, title)
    for index, phase in enumerate(phases):
        axes = _add_axes(figure, index, above=0.55 + heading)
        _draw(axes, phase)
        if len(phases) > 1:
            axes.set_title(phase.name, size=9, color=INK, loc="left")
    return figure


def draw_loss_curve(phase: LossCurve) -> Figure:
    """Draw training and validation loss of one phase without a title, for a page.

    The axes' background has the identifier ``field``.
    """
    figure = blank(_PANEL, 2.9)
    axes = _add_axes(figure, 0, above=0.1)
    axes.patch.set(facecolor="none", gid="field")
    _draw(axes, phase)
    return figure


def _add_axes(figure: Figure, index: int, above: float) -> Axes:
    width, height = figure.get_size_inches()
    left = _LEFT + _PANEL * index
    return figure.add_axes(
        (left / width, _BELOW / height, _WIDTH / width, (height - _BELOW - above) / height)
    )


def _draw(axes: Axes, phase: LossCurve) -> None:
    epochs = np.arange(1, len(phase.loss) + 1)
    marker = "o" if len(epochs) <= _MAX_EPOCHS_WITH_MARKERS else ""
    for losses, color, label in (
        (phase.loss, FAINT, "training"),
        (phase.val_loss, TEAL, "validation"),
    ):
        axes.plot(
            epochs, losses, color=color, label=label, marker=marker, markersize=3.5, linewidth=1.6
        )
    printed = phase.printed_so_far
    if printed:
        axes.plot(
            [*printed],
            [*printed.values()],
            "o",
            color=ORANGE,
            label="validation, published by the source",
            markersize=6,
            markerfacecolor="none",
            markeredgewidth=1.4,
        )
    axes.set_xlim(phase.epoch_limits)
    axes.set_ylim(phase.loss_limits)
    last = phase.last_epoch
    ticks = MaxNLocator(nbins=7, integer=True, steps=_TICK_STEPS).tick_values(1, max(last, 2))
    # Epochs are counted from 1, and so are the ticks.
    axes.set_xticks([1, *(tick for tick in ticks if 1 < tick <= last)])
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=_TICK_STEPS))
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="upper right")
    style_axes(axes, "epoch", phase.unit)
