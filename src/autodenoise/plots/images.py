"""Pictures of what a denoiser does, and of how it learnt to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from autodenoise.errors import UsageError
from autodenoise.files import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = [
    "FAINT",
    "INK",
    "ORANGE",
    "TEAL",
    "Curve",
    "blank",
    "curves",
    "image_groups",
    "image_rows",
    "save",
    "write_title",
]

INK, FAINT = "#22252b", "#8a8f98"
TEAL, ORANGE = "#1b7f79", "#d9662b"

# Inches: left of the labels, for the title, an image with the gap beside it, between blocks.
_MARGIN, _STRIP, _CELL, _GAP, _SPACE = 0.12, 0.5, 0.8, 0.08, 0.25


def image_rows(
    rows: Mapping[str, NDArray[np.float32]], title: str, *, headings: Sequence[str] = ()
) -> Figure:
    """Draw rows of images under each other, a label before each.

    Parameters
    ----------
    rows
        Label, of one line or several, to images (N, H, W, C) in [0, 1] nominally; the same N for
        all. Three channels are shown as RGB, of any other number the first as grey. A label that
        begins with an empty line leaves a gap above its row.
    title
        Above all.
    headings
        One above each column, of one line or several.
    """
    count, height, width = next(iter(rows.values())).shape[:3]
    tall = _CELL * height / width
    label = max(_label_width(name) for name in rows)
    above = _heading_height(headings)
    spaces = sum(name.startswith("\n") for name in rows) * _SPACE
    figure = blank(
        max(label + count * _CELL, _label_width(title) + 0.3),
        _STRIP + above + len(rows) * tall + spaces + _GAP,
    )
    page_height = figure.get_size_inches()[1]
    write_title(figure, title)
    bottom = page_height - _STRIP - above
    for column, heading in enumerate(headings):
        middle = label + (column + 0.5) * _CELL - _GAP / 2
        _write(figure, middle, bottom + 0.05, heading, size=8, ha="center", va="bottom")
    for name, images in rows.items():
        bottom -= tall + (_SPACE if name.startswith("\n") else 0)
        _write(figure, _MARGIN, bottom + (tall + _GAP) / 2, name.strip(), size=9)
        for column, image in enumerate(images):
            _show(figure, (label + column * _CELL, bottom + _GAP), image)
    return figure


def image_groups(
    groups: NDArray[np.float32], title: str, *, captions: Sequence[str], headings: Sequence[str]
) -> Figure:
    """Draw groups of images that belong together, such as triptychs, two groups a line.

    Parameters
    ----------
    groups
        (N, K, H, W, C): N groups of K images.
    title
        Above all.
    captions
        K, above the images of the first line.
    headings
        N, one before each group; or none.
    """
    count, members, height, width = groups.shape[:4]
    tall = _CELL * height / width
    before = max((_label_width(heading) for heading in headings), default=0.25)
    lines = math.ceil(count / 2)
    wide = before + members * _CELL
    above = _heading_height(captions)
    figure = blank(
        max(min(count, 2) * wide + 0.2, _label_width(title) + 0.3),
        _STRIP + above + lines * (tall + _GAP) + _GAP,
    )
    top = figure.get_size_inches()[1] - _STRIP - above
    write_title(figure, title)
    for index, group in enumerate(groups):
        line, side = divmod(index, 2)
        left = side * (wide + 0.1)
        bottom = top - (line + 1) * (tall + _GAP) + _GAP
        if headings:
            place = left + before - 0.12
            _write(figure, place, bottom + tall / 2, headings[index], size=9, ha="right")
        for member, image in enumerate(group):
            corner = left + before + member * _CELL
            _show(figure, (corner, bottom), image)
            if not line:
                middle = corner + (_CELL - _GAP) / 2
                _write(figure, middle, top + 0.05, captions[member], size=8, ha="center")
    return figure


def _heading_height(headings: Sequence[str]) -> float:
    lines = max((heading.count("\n") + 1 for heading in headings), default=0)
    return 0.06 + 0.15 * lines if lines else 0.0


def _label_width(name: str) -> float:
    """Give room enough for a label, in inches."""
    return 0.3 + 0.08 * max(len(line) for line in name.split("\n"))


def write_title(figure: Figure, title: str) -> None:
    """Write a title in the upper left corner."""
    height = figure.get_size_inches()[1]
    _write(figure, _MARGIN, height - 0.26, title, size=11, weight="bold")


def _write(
    figure: Figure,
    x: float,
    y: float,
    text: str,
    *,
    size: float,
    weight: str = "normal",
    ha: str = "left",
    va: str = "center",
) -> None:
    """Write at a place in inches from the lower left."""
    width, height = figure.get_size_inches()
    line = figure.text(
        x / width,
        y / height,
        text,
        size=size,
        weight=weight,
        ha=ha,
        va=va,
        color=INK,
        linespacing=1.15,
    )
    # A name may hold a $.
    line.set_parse_math(False)


def _show(figure: Figure, corner: tuple[float, float], image: NDArray[np.float32]) -> None:
    """Put an image in a cell whose lower left corner is at a place in inches."""
    page_width, page_height = figure.get_size_inches()
    side = _CELL - _GAP
    place = (
        corner[0] / page_width,
        corner[1] / page_height,
        side / page_width,
        side * image.shape[0] / image.shape[1] / page_height,
    )
    axes = figure.add_axes(place)
    shown = np.clip(image, 0, 1)
    if shown.shape[2] != 3:
        axes.imshow(shown[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    else:
        axes.imshow(shown, interpolation="nearest")
    axes.set_axis_off()


class Curve(NamedTuple):
    """The losses of one phase.

    Attributes
    ----------
    name
        Of the phase.
    unit
        What the loss is.
    loss, val_loss
        An entry an epoch.
    printed
        The validation loss that the source prints, by epoch from 1.
    """

    name: str
    unit: str
    loss: Sequence[float]
    val_loss: Sequence[float]
    printed: Mapping[int, float]

    @property
    def within_reach(self) -> dict[int, float]:
        """What of `printed` lies in the epochs that are done, and so in the picture."""
        last = max(len(self.loss), 2)
        return {epoch: loss for epoch, loss in self.printed.items() if epoch <= last}

    @property
    def limits(self) -> tuple[float, float]:
        """The losses between which the picture shows the curve, with some room."""
        # The first epoch's training loss is an average over the steepest descent: it runs out of
        # the picture rather than flattening everything after it.
        first = 1 if len(self.loss) >= 10 else 0
        shown = [*self.loss[first:], *self.val_loss[first:], *self.within_reach.values()]
        low, high = min(shown), max(shown)
        room = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
        return low - room, high + room


def curves(phases: Sequence[Curve], title: str) -> Figure:
    """Draw training and validation loss against the epoch, a panel a phase."""
    named = 0.2 if len(phases) > 1 else 0.0
    figure = blank(0.2 + 4.9 * len(phases), 3.4 + named)
    page_width, page_height = figure.get_size_inches()
    write_title(figure, title)
    for index, phase in enumerate(phases):
        place = (
            (0.8 + 4.9 * index) / page_width,
            0.55 / page_height,
            4.0 / page_width,
            (page_height - 1.1 - named) / page_height,
        )
        axes = figure.add_axes(place)
        _draw_curve(axes, phase)
        if len(phases) > 1:
            axes.set_title(phase.name, size=9, color=INK, loc="left")
    return figure


def _draw_curve(axes: Axes, phase: Curve) -> None:
    epochs = np.arange(1, len(phase.loss) + 1)
    marker = "o" if len(epochs) <= 12 else ""
    for losses, color, label in (
        (phase.loss, FAINT, "training"),
        (phase.val_loss, TEAL, "validation"),
    ):
        axes.plot(
            epochs, losses, color=color, label=label, marker=marker, markersize=3.5, linewidth=1.6
        )
    printed = phase.within_reach
    if printed:
        axes.plot(
            [*printed],
            [*printed.values()],
            "o",
            color=ORANGE,
            label="validation, as its source prints",
            markersize=6,
            markerfacecolor="none",
            markeredgewidth=1.4,
        )
    axes.set_ylim(phase.limits)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="upper right")
    quiet_axes(axes, "epoch", phase.unit)


def quiet_axes(axes: Axes, across: str, up: str) -> None:
    """Name the axes, and take the frame and all loud colours off a plot."""
    axes.set_xlabel(across, size=8, color=INK)
    axes.set_ylabel(up, size=8, color=INK)
    axes.tick_params(labelsize=8, color=FAINT, labelcolor=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.grid(axis="y", color="#e8e9eb", linewidth=0.8)
    axes.set_axisbelow(True)


def blank(width: float, height: float) -> Figure:
    """Make an empty white page of so many inches."""
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


# No date and no program.
_UNSIGNED: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's ending; the same figure gives the same bytes.

    Raises
    ------
    UsageError
        The ending is none of ``.png``, ``.svg`` and ``.pdf``.
    OutputError
        The file cannot be written.
    """
    ending = path.suffix.lower()
    if ending not in _UNSIGNED:
        raise UsageError(f"a figure ends in {', '.join(_UNSIGNED)}; {path} does not")
    with (
        replacing(path) as temporary,
        # Identifiers that do not change from run to run, and text that can be searched.
        rc_context({"svg.hashsalt": "autodenoise", "svg.fonttype": "none"}),
    ):
        figure.savefig(temporary, metadata=_UNSIGNED[ending])
