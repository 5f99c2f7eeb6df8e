"""The same center crop from every denoiser, side by side, with the errors below."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import TYPE_CHECKING

import numpy as np

from autodenoise import images
from autodenoise.benchmark.baselines import INPUT
from autodenoise.files import make_folder
from autodenoise.images import from_float, to_float
from autodenoise.plots.panels import MIN_COLUMN, Panel, label_length, lay_out

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from autodenoise.benchmark.datasets import BenchmarkImage
    from autodenoise.benchmark.results_table import ResultAverage

    Pixels = NDArray[np.float32]

__all__ = ["GAIN", "SIDE", "arrange", "save"]

SIDE = 120
"""Side of a crop, in pixels."""

GAIN = 4
"""Factor by which differences from the clean image are amplified."""

_FOLDER = "crops"
_MAX_COLUMNS = 6


def save(folder: Path, noise: str, denoiser: str, identity: str, output: Pixels) -> None:
    """Save the center crop of a denoiser's output (H, W, C) in an output folder."""
    path = _path(folder, noise, denoiser, identity)
    make_folder(path.parent)
    images.write(path, from_float(_center(output), np.dtype(np.uint8)))


def arrange(
    folder: Path, image: BenchmarkImage, averages: Sequence[ResultAverage]
) -> NDArray[np.uint8]:
    """Arrange the saved crops of an image as one, (H, W, 3): a block per noise.

    The denoisers come in the order of `averages`, but the noisy input first. Below each crop is its
    difference from the clean image.
    """
    clean = _center(to_float(image.read()[0]))
    zoom = max(1, MIN_COLUMN // max(clean.shape[:2]))
    blocks: list[tuple[list[Panel], list[Panel]]] = []
    for noise in dict.fromkeys(one.noise for one in averages):
        outputs: list[Panel] = []
        errors: list[Panel] = []
        shown = [one for one in averages if one.noise == noise]
        for one in sorted(shown, key=lambda one: one.denoiser != INPUT):
            path = _path(folder, noise, one.denoiser, one.identity)
            if path.exists():
                output = to_float(images.read(path))
                outputs.append(Panel.of(_label(one, clean.shape[1] * zoom), output, zoom))
                errors.append(Panel.of(f"error x{GAIN}", 0.5 + GAIN * (output - clean), zoom))
        outputs.append(Panel.of("clean", clean, zoom))
        errors.append(outputs[-1].blank())
        blocks.append((outputs, errors))
    # Rows of about equal length.
    longest = max(len(outputs) for outputs, _ in blocks)
    columns = -(-longest // -(-longest // _MAX_COLUMNS))
    rows: list[list[Panel]] = []
    for block in blocks:
        for start, panels in itertools.product(range(0, len(block[0]), columns), block):
            row = panels[start : start + columns]
            rows.append(row + [panels[0].blank()] * (columns - len(row)))
    return lay_out(rows)


def _label(one: ResultAverage, width: int) -> str:
    score = f" {one.psnr:.2f}, {one.noise}" if one.denoiser == INPUT else f" {one.psnr:.2f}"
    longest = label_length(max(width, MIN_COLUMN))
    name, room = one.denoiser, longest - len(score)
    if len(name) > room:
        # Names may be paths, whose end is more distinctive.
        name = f"..{name[2 - room :]}" if room > 2 else ""
    return (name.encode("ascii", "replace").decode() + score)[:longest]


def _center(image: Pixels) -> Pixels:
    height, width, _ = image.shape
    top, left = max(height - SIDE, 0) // 2, max(width - SIDE, 0) // 2
    return image[top : top + SIDE, left : left + SIDE]


def _path(folder: Path, noise: str, denoiser: str, identity: str) -> Path:
    # Hashed, because names may be paths of any length.
    key = json.dumps([noise, denoiser, identity])
    return folder / _FOLDER / f"{hashlib.sha256(key.encode()).hexdigest()}.png"
