"""The same small part of one picture by every denoiser, side by side, and what is wrong with it.

Nobody chooses the part: it is the middle of the picture that is in the middle of the list.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from autodenoise import images
from autodenoise.benchmark.baselines import INPUT
from autodenoise.files import make_folder
from autodenoise.images import from_float, to_float
from autodenoise.plots.panels import NARROWEST, Panel, label_length, laid_out

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from autodenoise.benchmark.datasets import ReferenceImage
    from autodenoise.benchmark.results_table import ResultAverage

    Pixels = NDArray[np.float32]

__all__ = ["GAIN", "SIDE", "compose", "keep"]

SIDE = 120
"""Of the part, in pixels."""

GAIN = 4
"""What differences from the reference are multiplied by."""

_FOLDER = "crops"
_COLUMNS = 6


def keep(folder: Path, noise: str, denoiser: str, identity: str, output: Pixels) -> None:
    """Put the part of a denoiser's answer (H, W, C) into a table's folder."""
    path = _path(folder, noise, denoiser, identity)
    make_folder(path.parent)
    images.write(path, from_float(_middle(output), np.dtype(np.uint8)))


def compose(
    folder: Path, reference: ReferenceImage, averages: Sequence[ResultAverage]
) -> NDArray[np.uint8]:
    """Lay out what `keep` has kept: for each noise all parts, and below each its difference.

    Parameters
    ----------
    folder
        The table's.
    reference
        The picture.
    averages
        Whose parts are shown, the input's first, with their PSNR over all pictures above them.

    Returns
    -------
    ndarray
        (H, W, 3).
    """
    clean = _middle(to_float(reference.read()[0]))
    zoom = max(1, NARROWEST // max(clean.shape[:2]))
    blocks: list[tuple[list[Panel], list[Panel]]] = []
    for noise in dict.fromkeys(one.noise for one in averages):
        above: list[Panel] = []
        below: list[Panel] = []
        shown = [one for one in averages if one.noise == noise]
        # What it was, what became of it, what it should be.
        for one in sorted(shown, key=lambda one: one.denoiser != INPUT):
            path = _path(folder, noise, one.denoiser, one.identity)
            if not path.exists():
                continue
            output = to_float(images.read(path))
            above.append(Panel.of(_label(one, clean.shape[1] * zoom), output, zoom))
            below.append(Panel.of(f"error x{GAIN}", 0.5 + GAIN * (output - clean), zoom))
        above.append(Panel.of("clean", clean, zoom))
        below.append(above[-1].blank())
        blocks.append((above, below))
    # Lines of about the same length, each above its differences.
    most = max(len(above) for above, _ in blocks)
    length = -(-most // -(-most // _COLUMNS))
    rows: list[list[Panel]] = []
    for above, below in blocks:
        for start in range(0, len(above), length):
            for line in (above, below):
                part = line[start : start + length]
                rows.append(part + [line[0].blank()] * (length - len(part)))
    return laid_out(rows)


def _label(one: ResultAverage, width: int) -> str:
    score = f" {one.psnr:.2f}"
    told = f"{score}, {one.noise}" if one.denoiser == INPUT else score
    most = label_length(max(width, NARROWEST))
    room = most - len(told)
    name = one.denoiser
    if len(name) > room:
        # Of a path the end tells more than the beginning.
        name = f"..{name[2 - room :]}" if room > 2 else ""
    return (name.encode("ascii", "replace").decode() + told)[:most]


def _middle(image: Pixels) -> Pixels:
    height, width, _ = image.shape
    top, left = max(height - SIDE, 0) // 2, max(width - SIDE, 0) // 2
    return image[top : top + SIDE, left : left + SIDE]


def _path(folder: Path, noise: str, denoiser: str, identity: str) -> Path:
    # Names may be paths, and of any length.
    what = json.dumps([noise, denoiser, identity])
    return folder / _FOLDER / f"{hashlib.sha256(what.encode()).hexdigest()}.png"
