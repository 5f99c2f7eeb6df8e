"""Images that need no file."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Pixels", "noisy_and_clean", "photo"]

Pixels = np.ndarray[Any, Any]


def photo(shape: tuple[int, int, int] = (60, 70, 3)) -> Pixels:
    """Return a smooth 8-bit image with edges."""
    y, x, c = np.indices(shape)
    return np.asarray(127 + 80 * np.sin(x / 9 + c) + 40 * ((x + y) % 32 > 15), np.float64).astype(
        np.uint8
    )


def noisy_and_clean(
    shape: tuple[int, int, int], sigma: float, dtype: type = np.uint8
) -> tuple[Pixels, Pixels]:
    """Return a smooth image with noise and without."""
    height, width, _ = shape
    waves = np.sin(np.arange(height) / 9)[:, None] * np.cos(np.arange(width) / 13)
    clean = np.broadcast_to(0.5 + 0.2 * waves[..., None], shape)
    noisy = clean + np.random.default_rng(0).normal(0, sigma / 255, shape)
    most = np.iinfo(dtype).max
    return (noisy.clip(0, 1) * most).astype(dtype), (clean * most).astype(dtype)
