"""Images and folders to run benchmarks on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from autodenoise import images
from autodenoise.benchmark import AddedNoise
from tests.helpers.synthetic_images import photo

__all__ = ["noisy_pairs", "photo_folder"]


def photo_folder(folder: str, count: int = 3, channels: int = 3) -> Path:
    """Write images of slightly different widths into a new folder."""
    path = Path(folder)
    path.mkdir()
    for number in range(count):
        images.write(path / f"{number}.png", photo((40, 44 + number, channels)))
    return path


def noisy_pairs(dtype: type[np.unsignedinteger] = np.uint8) -> None:
    """Write two noisy images to ``noisy/`` and their clean versions to ``clean/``."""
    factor = np.iinfo(dtype).max // 255
    for folder in ("noisy", "clean"):
        Path(folder).mkdir()
    for number in range(2):
        clean = photo((40, 44, 3))
        noisy = images.from_float(AddedNoise("gaussian", 10)(images.to_float(clean)), clean.dtype)
        images.write(Path(f"clean/{number}.png"), clean.astype(dtype) * dtype(factor))
        images.write(Path(f"noisy/{number}.tif"), noisy.astype(dtype) * dtype(factor))
