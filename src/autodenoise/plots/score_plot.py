"""Plot the quality of denoisers against their speed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from autodenoise.plots.figure import FAINT, INK, ORANGE, TEAL, blank, style_axes, write_title

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Point", "quality_against_speed"]

# Inches: the axes of a panel and the margins around them.
_WIDE, _TALL, _LEFT, _RIGHT, _ABOVE, _BELOW = 4.2, 3.3, 0.75, 0.35, 0.75, 0.6
# Inches: height of a line, width of a letter, gap between point and name, radius of a point.
_LINE, _LETTER, _GAP, _MARKER = 0.14, 0.068, 0.09, 0.06
_MAX_NAME_LENGTH = 26
# Heights of a name above its point, in order of preference.
_OFFSETS = (0, 0.1, -0.1, 0.2, -0.2, 0.3, -0.3, 0.45, -0.45, 0.6, -0.6)


class Point(NamedTuple):
    """A denoiser with its speed and quality; `ours` marks models of this project."""

    name: str
    mp_per_s: float
    psnr: float
    ours: bool


def quality_against_speed(panels: Mapping[str, Sequence[Point]], title: str) -> Figure:
    """Draw PSNR against megapixels per second, one panel for each heading.

    Parameters
    ----------
    panels
        The points of each panel, by its heading.
    title
        The title of the figure.
    """
    page_width, page_height = len(panels) * (_LEFT + _WIDE + _RIGHT), _BELOW + _TALL + _ABOVE
    figure = blank(page_width, page_height)
    write_title(figure, title)
    for number, (heading, points) in enumerate(panels.items()):
        left = number * (_LEFT + _WIDE + _RIGHT) + _LEFT
        size = _WIDE / page_width, _TALL / page_height
        axes = figure.add_axes((left / page_width, _BELOW / page_height, *size))
        axes.set_title(heading, size=9, color=INK, loc="left")
        _draw(figure, axes, points)
    return figure


def _draw(figure: Figure, axes: Axes, points: Sequence[Point]) -> None:
    axes.set_xscale("log")
    for ours, color, marker, label in (
        (True, TEAL, "o", "models"),
        (False, ORANGE, "s", "baselines"),
    ):
        group = [(point.mp_per_s, point.psnr) for point in points if point.ours is ours]
        if group:
            axes.plot(*zip(*group, strict=True), marker, color=color, label=label, markersize=6)
    slowest, fastest = (pick(point.mp_per_s for point in points) for pick in (min, max))
    worst, best = (pick(point.psnr for point in points) for pick in (min, max))
    # Show at least a decade, and leave room for the legend above the points.
    left, right = slowest / 2, max(fastest * 2.5, slowest * 10)
    axes.set_xlim(left, right)
    room = max(best - worst, 0.5)
    axes.set_ylim(worst - 0.1 * room, best + 0.2 * room)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if right < 1000 * left else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", color=FAINT)
    style_axes(axes, "megapixels a second", "PSNR, dB")
    axes.legend(
        frameon=False,
        fontsize=8,
        labelcolor=INK,
        loc="lower right",
        bbox_to_anchor=(1.0, 0.99),
        ncols=2,
        borderaxespad=0.0,
        handletextpad=0.2,
    )
    _write_names(figure, axes, points)


def _write_names(figure: Figure, axes: Axes, points: Sequence[Point]) -> None:
    """Write each name near its point without overlapping other names or points."""
    inches = axes.transData + figure.dpi_scale_trans.inverted()
    places = [inches.transform((point.mp_per_s, point.psnr)) for point in points]
    taken = [_Box(x - _MARKER, x + _MARKER, y - _MARKER, y + _MARKER) for x, y in places]
    (left, _), (right, _) = (inches.transform((edge, points[0].psnr)) for edge in axes.get_xlim())
    for point, (x, y) in zip(points, places, strict=True):
        # Long names are paths, which differ at their ends.
        name = (
            point.name
            if len(point.name) <= _MAX_NAME_LENGTH
            else f"..{point.name[2 - _MAX_NAME_LENGTH :]}"
        )
        width = _LETTER * len(name)
        candidates = [
            _Box(start, start + width, y + offset - _LINE / 2, y + offset + _LINE / 2)
            for offset in _OFFSETS
            for start in (x + _GAP, x - _GAP - width)
            if left < start and start + width < right + _RIGHT
        ]
        # Without free space, names overlap.
        box = next((box for box in candidates if not any(map(box.overlaps, taken))), candidates[0])
        taken.append(box)
        middle, right_of = (box.bottom + box.top) / 2, box.left > x
        line = {"arrowstyle": "-", "color": FAINT, "linewidth": 0.6, "shrinkB": 4}
        axes.annotate(
            name,
            (point.mp_per_s, point.psnr),
            xytext=(72 * (_GAP if right_of else -_GAP), 72 * (middle - y)),
            ha="left" if right_of else "right",
            textcoords="offset points",
            va="center",
            size=7.5,
            color=INK,
            parse_math=False,
            arrowprops=line if abs(middle - y) > _LINE else None,
        )


class _Box(NamedTuple):
    """A rectangle on the page, in inches."""

    left: float
    right: float
    bottom: float
    top: float

    def overlaps(self, other: _Box) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.bottom < other.top and other.bottom < self.top
