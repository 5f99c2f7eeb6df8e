"""Small pictures under their labels, laid out in rows and columns as one."""

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

__all__ = ["GAP", "NARROWEST", "Panel", "label_length", "laid_out"]

GAP = 16
"""Between columns, in pixels."""

NARROWEST = 240
"""The least width of a column."""

_MARGIN, _LABEL_GAP = 20, 6
_LEAST_COLUMNS = 3
_BACKGROUND, _INK = 36, 214
_BYTES = IntensityRange(0, 255)

# Printable ASCII in DejaVu Sans Mono, drawn once: the servers and containers that pictures are
# denoised on have no fonts.
_LETTERS = Path(__file__).with_name("letters.png")
_FIRST_LETTER, _LETTER_WIDTH = ord(" "), 9


class Panel(NamedTuple):
    """A picture (H, W, 3), and what stands above it in printable ASCII."""

    label: str
    pixels: Canvas

    @classmethod
    def of(cls, label: str, image: Pixels, zoom: int = 1) -> Self:
        """Show an image (H, W, C) in [0, 1] nominally, each pixel as a square of `zoom`."""
        shown = _BYTES.from_float(image, np.dtype(np.uint8))
        colours = np.repeat(shown, 3, axis=2) if shown.shape[2] == 1 else shown
        return cls(label, np.kron(colours, np.ones((zoom, zoom, 1), np.uint8)))

    def blank(self) -> Panel:
        """Give an empty place of the same size."""
        return Panel(" ", np.full_like(self.pixels, _BACKGROUND))


def label_length(width: int) -> int:
    """Give how many letters fit above a panel of so many pixels."""
    return width // _LETTER_WIDTH


def laid_out(rows: Sequence[Sequence[Panel]]) -> Canvas:
    """Centre panels in columns under their labels; one that has a row to itself spans them all."""
    widths = [panel.pixels.shape[1] for row in rows for panel in row if len(row) > 1]
    column = max(NARROWEST, *widths)
    columns = max(_LEAST_COLUMNS, *(len(row) for row in rows))
    span = max(columns * (column + GAP) - GAP, *(row[0].pixels.shape[1] for row in rows))
    letters = images.read(_LETTERS)[..., 0]
    lines = []
    for row in rows:
        width = column if len(row) > 1 else span
        cells = [
            np.concatenate(
                [
                    _padded(_centred(_written(panel.label, letters), width), bottom=_LABEL_GAP),
                    _centred(panel.pixels, width),
                ]
            )
            for panel in row
        ]
        parts = [cells[0], *(_padded(cell, left=GAP) for cell in cells[1:])]
        lines.append(_padded(_centred(np.concatenate(parts, axis=1), span), bottom=GAP))
    return _padded(
        np.concatenate(lines), top=_MARGIN, bottom=_MARGIN - GAP, left=_MARGIN, right=_MARGIN
    )


def _written(text: str, letters: NDArray[np.generic]) -> Canvas:
    starts = [(ord(letter) - _FIRST_LETTER) * _LETTER_WIDTH for letter in text]
    line = np.concatenate([letters[:, start : start + _LETTER_WIDTH] for start in starts], axis=1)
    ink = images.to_float(line)[..., None] * (_INK - _BACKGROUND) + _BACKGROUND
    return np.repeat(np.rint(ink).astype(np.uint8), 3, axis=2)


def _centred(pixels: Canvas, width: int) -> Canvas:
    left = (width - pixels.shape[1]) // 2
    return _padded(pixels, left=left, right=width - pixels.shape[1] - left)


def _padded(
    pixels: Canvas, *, top: int = 0, bottom: int = 0, left: int = 0, right: int = 0
) -> Canvas:
    return np.pad(pixels, ((top, bottom), (left, right), (0, 0)), constant_values=_BACKGROUND)
