"""Grids of images with labels, headings and captions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from autodenoise.plots.figure import MARGIN, blank, write, write_title

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["image_groups", "image_rows"]

# In inches: the strip of the title, an image with the gap beside it, that gap, the space between
# blocks of rows.
_STRIP, _CELL, _GAP, _SPACE = 0.5, 0.8, 0.08, 0.25


def image_rows(
    rows: Mapping[str, NDArray[np.float32]], title: str, *, headings: Sequence[str] = ()
) -> Figure:
    """Draw labeled rows of images, with a heading above each column.

    `rows` maps labels to images (N, H, W, C), nominally in [0, 1], with the same N in each row.
    Three channels are shown as RGB; otherwise the first one is shown in gray. Labels and headings
    may have several lines. A label that begins with a newline leaves a gap above its row.
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
        write(figure, middle, bottom + 0.05, heading, size=8, ha="center", va="bottom")
    for name, images in rows.items():
        bottom -= tall + (_SPACE if name.startswith("\n") else 0)
        write(figure, MARGIN, bottom + (tall + _GAP) / 2, name.strip(), size=9)
        for column, image in enumerate(images):
            _show(figure, (label + column * _CELL, bottom + _GAP), image)
    return figure


def image_groups(
    groups: NDArray[np.float32], title: str, *, captions: Sequence[str], headings: Sequence[str]
) -> Figure:
    """Draw groups (N, K, H, W, C) of K related images, such as triptychs, two groups per line.

    The K captions are above the images of the first line, the N headings in front of the groups;
    headings may be empty.
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
            write(figure, place, bottom + tall / 2, headings[index], size=9, ha="right")
        for member, image in enumerate(group):
            corner = left + before + member * _CELL
            _show(figure, (corner, bottom), image)
            if not line:
                middle = corner + (_CELL - _GAP) / 2
                write(figure, middle, top + 0.05, captions[member], size=8, ha="center")
    return figure


def _heading_height(headings: Sequence[str]) -> float:
    lines = max((heading.count("\n") + 1 for heading in headings), default=0)
    return 0.06 + 0.15 * lines if lines else 0.0


def _label_width(name: str) -> float:
    """Return the width to reserve for a label, in inches."""
    return 0.3 + 0.08 * max(len(line) for line in name.split("\n"))


def _show(figure: Figure, corner: tuple[float, float], image: NDArray[np.float32]) -> None:
    """Draw an image in the cell with this lower left corner, in inches."""
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
