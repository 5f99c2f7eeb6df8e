"""Gaussian blur, and helpers for smooth random fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from autodenoise.noise.strength import Corruption, Limit, Strength, draw_per_image, finish

__all__ = ["Blur", "blur_valid", "gaussian_taps", "kernel_radius", "padded_white_noise", "smooth"]


@dataclass(frozen=True)
class Blur(Corruption):
    """Gaussian blur, `sigma` in pixels.

    Equal to SciPy's ``ndimage.gaussian_filter`` with its defaults: truncated at four sigma, edges
    mirrored with the border pixel repeated.
    """

    sigma: Strength
    clip: bool = False
    kind: Literal["blur"] = "blur"
    phrase = "Gaussian blur of sigma {sigma} pixels"
    limits = (Limit("sigma", 0),)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        sigma = draw_per_image(self.sigma, clean, generator)
        radius = int(4 * float(sigma.max()) + 0.5)
        padded = _mirror(_mirror(clean, radius, axis=2), radius, axis=3)
        return finish(blur_valid(padded, gaussian_taps(sigma, radius, 4)), clip=self.clip)


def kernel_radius(sigma: Strength) -> int:
    """Return the radius in pixels of a kernel truncated at three times the largest sigma."""
    # Beyond three sigma lies a quarter of a percent, too little to be seen in noise.
    return int(3 * (sigma[1] if isinstance(sigma, tuple) else sigma) + 0.5)


def gaussian_taps(sigma: Tensor, radius: int, truncate: float = 3) -> Tensor:
    """Sample Gaussians of `sigma` (B, 1, 1, 1) at -radius..radius; each (B, taps, 1, 1) sums to 1.

    Each is truncated at `truncate` times its own sigma.
    """
    wide = sigma.double()
    offsets = torch.arange(-radius, radius + 1, device=sigma.device).view(1, -1, 1, 1)
    # SciPy skips an axis from sigma 1e-15 down; the mask leaves one tap of weight 1.
    inside = offsets.abs() <= torch.floor(truncate * wide + 0.5)
    taps = torch.exp(-0.5 * (offsets / wide.clamp(min=1e-15)) ** 2) * inside
    return (taps / taps.sum(1, keepdim=True)).to(sigma.dtype)


def blur_valid(images: Tensor, taps: Tensor) -> Tensor:
    """Correlate each image with its own taps along both axes, where the kernel fits.

    (B, C, H + 2 * radius, W + 2 * radius) becomes (B, C, H, W).
    """
    return _correlate(_correlate(images, taps, axis=2), taps, axis=3)


def smooth(white: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Smooth white noise with a margin of `radius` pixels by Gaussians, keeping its variance."""
    taps = gaussian_taps(sigma, radius)
    return blur_valid(white, taps / taps.square().sum(1, keepdim=True).sqrt())


def padded_white_noise(
    like: Tensor, channels: int, radius: int, generator: torch.Generator
) -> Tensor:
    """Draw N(0, 1) with a margin of `radius` pixels, for `blur_valid`.

    The margin gives smoothed noise the same statistics at the borders as elsewhere.
    """
    batch, _, height, width = like.shape
    white = like.new_empty(batch, channels, height + 2 * radius, width + 2 * radius)
    return white.normal_(generator=generator)


def _mirror(images: Tensor, radius: int, axis: int) -> Tensor:
    size = images.shape[axis]
    position = torch.arange(-radius, size + radius, device=images.device)
    # Reflection with the edge repeated has period 2 * size: 2 1 0 | 0 1 2 ... n | n ... 2.
    position = position.remainder(2 * size)
    return images.index_select(axis, torch.minimum(position, 2 * size - 1 - position))


def _correlate(images: Tensor, taps: Tensor, axis: int) -> Tensor:
    """Shift and add: one pass per tap, without a dense kernel or an unfolded copy of the batch."""
    count = taps.shape[1]
    size = images.shape[axis] - count + 1
    total = images.narrow(axis, 0, size) * taps[:, :1]
    for tap in range(1, count):
        total.addcmul_(images.narrow(axis, tap, size), taps[:, tap : tap + 1])
    return total
