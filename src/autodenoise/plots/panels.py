"""Lay out small images with labels in rows and columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from autodenoise import images
from autodenoise.images import IntensityRange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Pixels = NDArray[np.float32]
    Canvas = NDArray[np.uint8]

__all__ = ["GAP", "MIN_COLUMN", "Panel", "label_length", "lay_out"]

GAP = 16
"""Gap between columns in pixels."""

MIN_COLUMN = 240
"""Minimum width of a column in pixels."""

_MARGIN, _LABEL_GAP = 20, 6
_MIN_COLUMNS = 3
_BACKGROUND, _INK = 36, 214
_BYTES = IntensityRange(0, 255)

# Printable ASCII in DejaVu Sans Mono, since servers and containers often have no fonts.
_LETTERS = Path(__file__).with_name("letters.png")
_FIRST_LETTER, _LETTER_WIDTH = ord(" "), 9


class Panel(NamedTuple):
    """An image (H, W, 3) and its label in printable ASCII."""

    label: str
    pixels: Canvas

    @classmethod
    def of(cls, label: str, image: Pixels, zoom: int = 1) -> Self:
        """Return a panel of an image (H, W, C) in [0, 1], with pixels repeated `zoom` times."""
        shown = _BYTES.from_float(image, np.dtype(np.uint8))
        colors = np.repeat(shown, 3, axis=2) if shown.shape[2] == 1 else shown
        return cls(label, np.kron(colors, np.ones((zoom, zoom, 1), np.uint8)))

    def blank(self) -> Panel:
        """Return an empty panel of the same size."""
        return Panel(" ", np.full_like(self.pixels, _BACKGROUND))


def label_length(width: int) -> int:
    """Return the number of characters that fit above a panel of a width in pixels."""
    return width // _LETTER_WIDTH


def lay_out(rows: Sequence[Sequence[Panel]]) -> Canvas:
    """Return panels centered in columns below their labels; a single panel spans its row."""
    widths = [panel.pixels.shape[1] for row in rows for panel in row if len(row) > 1]
    column = max(MIN_COLUMN, *widths)
    columns = max(_MIN_COLUMNS, *(len(row) for row in rows))
    span = max(columns * (column + GAP) - GAP, *(row[0].pixels.shape[1] for row in rows))
    letters = images.read(_LETTERS)[..., 0]
    lines = []
    for row in rows:
        width = column if len(row) > 1 else span
        cells = [
            np.concatenate(
                [
                    _padded(_centered(_rendered(panel.label, letters), width), bottom=_LABEL_GAP),
                    _centered(panel.pixels, width),
                ]
            )
            for panel in row
        ]
        parts = [cells[0], *(_padded(cell, left=GAP) for cell in cells[1:])]
        lines.append(_padded(_centered(np.concatenate(parts, axis=1), span), bottom=GAP))
    return _padded(
        np.concatenate(lines), top=_MARGIN, bottom=_MARGIN - GAP, left=_MARGIN, right=_MARGIN
    )


def _rendered(text: str, letters: NDArray[np.generic]) -> Canvas:
    starts = [(ord(letter) - _FIRST_LETTER) * _LETTER_WIDTH for letter in text]
    line = np.concatenate([letters[:, start : start + _LETTER_WIDTH] for start in starts], axis=1)
    ink = images.to_float(line)[..., None] * (_INK - _BACKGROUND) + _BACKGROUND
    return np.repeat(np.rint(ink).astype(np.uint8), 3, axis=2)


def _centered(pixels: Canvas, width: int) -> Canvas:
    left = (width - pixels.shape[1]) // 2
    return _padded(pixels, left=left, right=width - pixels.shape[1] - left)


def _padded(
    pixels: Canvas, *, top: int = 0, bottom: int = 0, left: int = 0, right: int = 0
) -> Canvas:
    return np.pad(pixels, ((top, bottom), (left, right), (0, 0)), constant_values=_BACKGROUND)
