"""What all figures share: colors, titles, axes, and writing them to files and pages."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from autodenoise.errors import UsageError
from autodenoise.files import replacing

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = [
    "FAINT",
    "GRID",
    "INK",
    "MARGIN",
    "ORANGE",
    "TEAL",
    "blank",
    "inline_svg",
    "save",
    "set_tooltip",
    "style_axes",
    "write",
    "write_title",
]

INK, FAINT, GRID = "#22252b", "#8a8f98", "#e8e9eb"
TEAL, ORANGE = "#1b7f79", "#d9662b"

MARGIN = 0.12
"""Margin of a figure, in inches."""

# The CSS variables of the report page that replace these colors, for light and dark mode.
_CSS_COLORS = {
    INK: "var(--ink)",
    FAINT: "var(--training)",
    GRID: "var(--line)",
    TEAL: "var(--validation)",
    ORANGE: "var(--printed)",
}
_TOOLTIP = "tooltip: "


def write_title(figure: Figure, title: str) -> None:
    """Write the title in the upper left corner."""
    height = figure.get_size_inches()[1]
    write(figure, MARGIN, height - 0.26, title, size=11, weight="bold")


def write(
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
    """Write text at a position in inches from the lower left corner."""
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
    # A name may contain a $.
    line.set_parse_math(False)


def style_axes(axes: Axes, across: str, up: str) -> None:
    """Label the axes and style them: thin gray spines, a light horizontal grid, no box."""
    axes.set_xlabel(across, size=8, color=INK)
    axes.set_ylabel(up, size=8, color=INK)
    axes.tick_params(labelsize=8, color=FAINT, labelcolor=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def blank(width: float, height: float) -> Figure:
    """Return an empty white figure of this size in inches."""
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


# Without the date and the program, equal figures are equal bytes.
_PAGE_METADATA = ("Date", "Creator", "Format", "Type")
_METADATA: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def _svg_settings(salt: str) -> AbstractContextManager[None]:
    """Write SVG with reproducible identifiers and with text that can be searched."""
    return rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"})


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's suffix; equal figures give equal bytes.

    Raises
    ------
    UsageError
        The suffix is none of ``.png``, ``.svg`` and ``.pdf``.
    OutputError
        The file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in _METADATA:
        raise UsageError(f"a figure must end in {', '.join(_METADATA)}; got {path}")
    with (
        replacing(path) as temporary,
        _svg_settings("autodenoise"),
    ):
        figure.savefig(temporary, metadata=_METADATA[suffix])


def set_tooltip(artist: Artist, text: str) -> None:
    """Set the text that a page shows when the pointer rests on an artist."""
    artist.set_gid(_TOOLTIP + text)


def inline_svg(figure: Figure, name: str) -> str:
    """Return a figure as an ``<svg>`` element for the report page, in the page's colors.

    Equal figures give equal text. Identifiers that were set on artists become classes, so that
    several figures fit on one page; `name` is unique on the page. The background of the figure
    becomes transparent.
    """
    figure.patch.set_visible(False)
    file = io.StringIO()
    with _svg_settings(name):
        figure.savefig(file, format="svg", metadata=dict.fromkeys(_PAGE_METADATA))
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<svg [^>]*(viewBox=\"[^\"]*\")[^>]*>", r"<svg \1>", svg, count=1)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r" font-family: [^;\"]*;| transform=\"rotate\(-0 [^\"]*\"", "", svg)
    svg = re.sub(rf'<g id="{_TOOLTIP}([^"]*)">', r"<g><title>\1</title>", svg)
    svg = re.sub(r'<g id="[^"]*_\d+">', "<g>", svg)
    svg = re.sub(r'<g id="', '<g class="', svg)
    return re.sub("|".join(_CSS_COLORS), lambda color: _CSS_COLORS[color[0]], svg)
