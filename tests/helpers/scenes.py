"""Clean images, and noise whose truth is known."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autodenoise import images

Images = NDArray[np.float32]


def smooth_scenes(count: int = 6, side: int = 160) -> Images:
    """Draw grey scenes with slopes, discs and edges, (N, H, W, 1)."""
    down, across = np.mgrid[:side, :side] / side
    random = np.random.default_rng(7)
    scenes = []
    for _ in range(count):
        a, b, c = random.uniform(-1, 1, 3)
        scene = 0.5 + 0.3 * a * (across - 0.5) + 0.3 * b * np.sin(4 * down + 3 * c)
        for y, x, radius, step in random.uniform((0, 0, 0.05, -0.3), (1, 1, 0.2, 0.3), (8, 4)):
            scene = scene + step * ((down - y) ** 2 + (across - x) ** 2 < radius**2)
        scenes.append(scene)
    return np.stack(scenes)[..., None].clip(0.02, 0.98).astype(np.float32)


@functools.lru_cache(maxsize=1)
def photos(data: Path, count: int, side: int = 256) -> Images:
    """Read the luma of the middles of photos, (N, side, side, 1)."""
    found = []
    for file in sorted((data / "bsds-val32").iterdir())[:count]:
        photo = images.to_float(images.read(file)) @ np.array([0.299, 0.587, 0.114], np.float32)
        top, left = ((length - side) // 2 for length in photo.shape)
        found.append(photo[top : top + side, left : left + side, None])
    together = np.stack(found)
    together.flags.writeable = False
    return together


def white(shape: tuple[int, ...], seed: int = 0) -> Images:
    """Draw noise of variance 1, independent from pixel to pixel."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def along_rows(shape: tuple[int, ...], correlation: float) -> Images:
    """Draw noise of variance 1 in which a pixel has so much of the one left of it."""
    noise = white(shape)
    for column in range(1, shape[2]):
        fresh = np.sqrt(1 - correlation**2) * noise[:, :, column]
        noise[:, :, column] = correlation * noise[:, :, column - 1] + fresh
    return noise
