"""Draw a network diagram: layers as slabs, down the encoder and up the decoder."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from autodenoise.nets.summary import format_shape
from autodenoise.plots.figure import FAINT, INK, ORANGE, TEAL, blank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from autodenoise.nets.summary import LayerSummary, NetworkSummary

__all__ = ["diagram"]

_SLATE, _GRAY, _LINE = "#4c6a92", "#6a707a", "#a9aeb6"
_Column = Literal["left", "middle", "right"]
_COLORS: dict[_Column, str] = {"left": _SLATE, "middle": ORANGE, "right": TEAL}

# Inches: page margin; upper edge to first row, between rows, last row to code, code to lower edge.
_MARGIN, _HEADER, _ROW_DISTANCE, _CODE_DISTANCE, _FOOTER = 0.25, 1.3, 0.52, 0.75, 0.95
_MAX_WIDTH, _MIN_THICKNESS, _MAX_THICKNESS = 1.5, 0.07, 0.34
_COLUMN_DISTANCE, _TEXT_GAP = 2.3, 0.16
# Points.
_TITLE_SIZE, _NAME_SIZE, _SHAPE_SIZE, _LEGEND_SIZE = 11, 8.5, 7.5, 7
# Path codes of matplotlib: a quadratic and a cubic Bezier curve.
_CORNER = [Path.MOVETO, Path.CURVE3, Path.CURVE3]
_WAVE = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]


@dataclass(frozen=True)
class _Slab:
    """The center and size of a drawn layer output, in inches from the lower left."""

    column: _Column
    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        return self.y + self.height / 2

    @property
    def bottom(self) -> float:
        return self.y - self.height / 2


def diagram(summary: NetworkSummary, title: str) -> Figure:
    """Draw the encoder on the left, the code at the bottom and the decoder on the right.

    Each slab shows the output of a layer: its width is the side of the feature maps, its
    thickness the logarithm of their number. A vector is a thin bar, as wide as a square image
    with as many pixels. Skip connections cross from left to right.
    """
    layers, code = summary.layers, summary.code[-1]
    down, up = layers[:code], layers[code + 1 :]
    left = _MARGIN + _text_width(down) + _TEXT_GAP + _MAX_WIDTH / 2
    middle, right = left + _COLUMN_DISTANCE / 2, left + _COLUMN_DISTANCE
    size = f"{summary.parameters:,} parameters; code: {summary.code_description}"
    legend = _legend(summary)
    width = _MARGIN + max(
        right + _MAX_WIDTH / 2 + _TEXT_GAP + _text_width(up),
        _MARGIN + _width(title, _TITLE_SIZE, "bold"),
        _MARGIN + _width(size, _NAME_SIZE),
        _MARGIN + _width(legend, _LEGEND_SIZE),
    )
    bottom = _FOOTER + _CODE_DISTANCE
    top = bottom + (max(len(down), len(up)) - 1) * _ROW_DISTANCE
    height = top + _HEADER
    figure = blank(width, height)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()

    places: list[tuple[_Column, float, float]] = [
        *(("left", left, y) for y in _spread(top, bottom, len(down))),
        ("middle", middle, _FOOTER),
        *(("right", right, y) for y in _spread(bottom, top, len(up))),
    ]
    slabs = _slabs(layers, places)
    for layer, slab in zip(layers, slabs, strict=True):
        for source in layer.inputs:
            _connect(axes, slabs[source], slab)
    edge = _MAX_WIDTH / 2 + _TEXT_GAP
    for layer, slab in zip(layers, slabs, strict=True):
        _draw(axes, slab, _COLORS[slab.column] if layer.inputs else FAINT)
        match slab.column:
            case "left":
                _describe(axes, layer, left - edge, slab.y, "right")
            case "middle":
                _describe(axes, layer, middle, slab.bottom - 0.24, "center")
            case "right":
                _describe(axes, layer, right + edge, slab.y, "left")

    for x, y, heading, color in (
        (left, top + 0.4, "encoder", _SLATE),
        (middle, slabs[code].top + 0.14, "code", ORANGE),
        (right, top + 0.4, "decoder", TEAL),
    ):
        _write(axes, x, y, heading, 9, color, weight="bold")
    _write(axes, _MARGIN, height - 0.28, title, _TITLE_SIZE, INK, ha="left", weight="bold")
    _write(axes, _MARGIN, height - 0.53, size, _NAME_SIZE, _GRAY, ha="left")
    _write(axes, _MARGIN, 0.2, legend, _LEGEND_SIZE, _GRAY, ha="left")
    return figure


def _spread(first: float, last: float, count: int) -> list[float]:
    """Return evenly spaced heights."""
    step = (last - first) / max(count - 1, 1)
    return [first + index * step for index in range(count)]


def _slabs(
    layers: Sequence[LayerSummary], places: Sequence[tuple[_Column, float, float]]
) -> list[_Slab]:
    """Return the slabs of layers at the given places."""
    # A vector is drawn as one square map.
    sides = [math.sqrt(math.prod(layer.shape[1:] or layer.shape)) for layer in layers]
    maps = [layer.shape[0] if layer.shape[1:] else 1 for layer in layers]
    across = _MAX_WIDTH / max(sides)
    # Up to 64 maps, the scale is the same in all diagrams; more maps leave room for the arrows.
    thick = (_MAX_THICKNESS - _MIN_THICKNESS) / math.log2(max(64, *maps))
    return [
        _Slab(
            column,
            x,
            y,
            max(across * side, _MIN_THICKNESS),
            _MIN_THICKNESS + thick * math.log2(count),
        )
        for (column, x, y), side, count in zip(places, sides, maps, strict=True)
    ]


def _text_width(layers: Sequence[LayerSummary]) -> float:
    """Return the width of the longest line of text beside slabs, in inches."""
    return max(_width(text, size) for layer in layers for text, size in _texts(layer))


def _width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of a line of text, in inches."""
    page = blank(1, 1)
    line = page.text(0, 0, text, size=size, weight=weight)
    line.set_parse_math(False)
    return line.get_window_extent().width / page.dpi


def _texts(layer: LayerSummary) -> tuple[tuple[str, float], tuple[str, float]]:
    """Return the two lines of text about a layer, with their font sizes."""
    weights = f" · {layer.parameters:,} parameters" if layer.parameters else ""
    return (layer.operation, _NAME_SIZE), (format_shape(layer.shape) + weights, _SHAPE_SIZE)


def _legend(summary: NetworkSummary) -> str:
    parts = ["width: side of the feature maps", "thickness: how many maps"]
    if any(not layer.shape[1:] for layer in summary.layers):
        parts[0] += ", or of a square with as many pixels as the vector has numbers"
    if len(summary.code) > 1:
        parts.append("dashed: skip connection")
    return "; ".join(parts)


def _describe(axes: Axes, layer: LayerSummary, x: float, y: float, ha: str) -> None:
    (name, name_size), (shape, shape_size) = _texts(layer)
    _write(axes, x, y + 0.075, name, name_size, INK, ha=ha)
    _write(axes, x, y - 0.075, shape, shape_size, _GRAY, ha=ha)


def _write(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    size: float,
    color: str,
    *,
    ha: str = "center",
    weight: str = "normal",
) -> None:
    line = axes.text(x, y, text, ha=ha, va="center", size=size, color=color, weight=weight)
    # A $ in a name is not math.
    line.set_parse_math(False)


def _draw(axes: Axes, slab: _Slab, color: str) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (slab.left, slab.bottom),
            slab.width,
            slab.height,
            boxstyle="round,pad=0,rounding_size=0.025",
            facecolor=color,
            edgecolor="none",
        )
    )


def _connect(axes: Axes, source: _Slab, target: _Slab) -> None:
    """Draw an arrow along a column, around the corner at the code, or across as a skip."""
    gap = 0.04
    skips = False
    match source.column, target.column:
        case "left", "middle":
            start, end = (source.x, source.bottom - gap), (target.left - gap, target.y)
            path = Path([start, (source.x, target.y), end], _CORNER)
        case "middle", "right":
            start, end = (source.right + gap, source.y), (target.x, target.bottom - gap)
            path = Path([start, (target.x, source.y), end], _CORNER)
        case "left", "right":
            skips = True
            start, end = (source.right + gap, source.y), (target.left - gap, target.y)
            half = (start[0] + end[0]) / 2
            path = Path([start, (half, source.y), (half, target.y), end], _WAVE)
        case "left", _:
            path = Path([(source.x, source.bottom - gap), (target.x, target.top + gap)])
        case _:
            path = Path([(source.x, source.top + gap), (target.x, target.bottom - gap)])
    axes.add_patch(
        FancyArrowPatch(
            path=path,
            arrowstyle="-|>,head_length=3,head_width=1.6",
            linewidth=0.9,
            color=_SLATE if skips else _LINE,
            linestyle=(0, (4, 2)) if skips else "-",
        )
    )
