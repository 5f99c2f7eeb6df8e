"""Cameras whose noise is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import convolve
from skimage.data import astronaut

from autodenoise import images

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["VIEW", "SyntheticCamera", "flat", "save"]

VIEW: Floats = astronaut()[:320, 64:384] / 255
"""(320, 320, 3) in [0, 1]."""


@dataclass(frozen=True)
class SyntheticCamera:
    """All in samples: Gaussian noise of variance gain * (mean - black) + read^2, then rounded.

    Light from 0 to 1 goes from `black` to `white`; a sensor is full at `full`. `kernel` smooths the
    noise, `shared` is what its channels have in common.
    """

    gain: float
    read: float
    black: float = 0.0
    white: float = 65535.0
    full: float = 65535.0
    dtype: type[np.generic] = np.uint16
    kernel: tuple[tuple[float, ...], ...] = ((1.0,),)
    shared: float = 0.0

    def shoot(self, light: Floats, count: int, seed: int = 0) -> NDArray[Any]:
        """Give (count, H, W, C)."""
        random = np.random.default_rng(seed)
        mean = self.black + light * (self.white - self.black)
        sigma = np.sqrt(np.maximum(self.gain * (mean - self.black), 0) + self.read**2)
        kernel = np.array(self.kernel)
        kernel /= np.sqrt(np.square(kernel).sum())
        shots = []
        for _ in range(count):
            own, common = random.normal(size=mean.shape), random.normal(size=mean.shape[:2])
            white = np.sqrt(1 - self.shared) * own + np.sqrt(self.shared) * common[..., None]
            noise = convolve(white, kernel[..., None], mode="wrap")
            shots.append(np.clip(np.rint(mean + sigma * noise), 0, self.full))
        return np.stack(shots).astype(self.dtype)


def flat(level: float, side: int = 192) -> Floats:
    """Give evenly lit paper, a little darker in the corners, (side, side, 1)."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    shaded: Floats = (level * (1 - 0.1 * (x**2 + y**2)))[..., None]
    return shaded


def save(folder: Path, shots: NDArray[Any]) -> None:
    """Write shots as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, shot in enumerate(shots):
        images.write(folder / f"{number:02}.png", shot)
