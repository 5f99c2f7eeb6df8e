"""Pictures of what a denoiser does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from autodenoise.files import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["INK", "image_rows", "save"]

INK = "#22252b"


def image_rows(rows: Mapping[str, NDArray[np.float32]], title: str) -> Figure:
    """Draw rows of images under each other, a label before each.

    Parameters
    ----------
    rows
        Label, of one line or several, to images (N, H, W, C) in [0, 1] nominally; the same N for
        all. Three channels are shown as RGB, of any other number the first as grey.
    title
        Above all.
    """
    count = len(next(iter(rows.values())))
    height, width = next(iter(rows.values())).shape[1:3]
    cell = 0.8
    # Inches: a margin for the labels, a strip for the title, square cells with a gap between.
    label, strip, gap = 1.35, 0.5, 0.08
    tall = cell * height / width
    total = (label + count * cell + gap, strip + len(rows) * (tall + gap) + gap)
    figure = Figure(figsize=total, dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(
        0.12 / total[0], 1 - 0.27 / total[1], title, size=11, weight="bold", color=INK, va="center"
    )
    for row, (name, images) in enumerate(rows.items()):
        bottom = total[1] - strip - (row + 1) * (tall + gap) + gap
        figure.text(
            0.12 / total[0], (bottom + tall / 2) / total[1], name, size=9, color=INK, va="center"
        )
        for column, image in enumerate(images):
            place = (
                (label + column * cell) / total[0],
                bottom / total[1],
                (cell - gap) / total[0],
                (tall - gap * height / width) / total[1],
            )
            axes = figure.add_axes(place)
            shown = np.clip(image, 0, 1)
            if shown.shape[2] != 3:
                axes.imshow(shown[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            else:
                axes.imshow(shown, interpolation="nearest")
            axes.set_axis_off()
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's ending; the same figure gives the same bytes."""
    # No date, no program, and SVG identifiers that do not change from run to run.
    unsigned = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    with replacing(path) as temporary, rc_context({"svg.hashsalt": "autodenoise"}):
        figure.savefig(temporary, metadata=unsigned)
