"""Gaussian blur, and random fields that are smooth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from autodenoise.noise.strength import Strength, check, draw, finish, for_each, text

__all__ = ["Blur", "blur_inside", "gaussian_taps", "reach", "unit_variance", "white_around"]


@dataclass(frozen=True)
class Blur:
    """Gaussian blur, `sigma` in pixels; the one corruption here that draws no noise of its own.

    Equal to SciPy's ``ndimage.gaussian_filter`` with its defaults: taps to four sigma, edges
    mirrored with the border pixel repeated.
    """

    sigma: Strength
    clip: bool = False
    kind: Literal["blur"] = "blur"

    def __post_init__(self) -> None:
        check(self.kind, "sigma", self.sigma, low=0)

    def describe(self) -> str:
        """See `Noise`."""
        return f"Gaussian blur of sigma {text(self.sigma)} pixels"

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        sigma = for_each(draw(self.sigma, clean, generator), clean)
        radius = int(4 * float(sigma.max()) + 0.5)
        padded = _mirror(_mirror(clean, radius, axis=2), radius, axis=3)
        return finish(blur_inside(padded, gaussian_taps(sigma, radius, 4)), clip=self.clip)


def reach(sigma: Strength) -> int:
    """Give how many pixels away from its middle a kernel of three sigma ends at most."""
    # Beyond three sigma lies a quarter of a percent, too little to be seen in noise.
    return int(3 * (sigma[1] if isinstance(sigma, tuple) else sigma) + 0.5)


def gaussian_taps(sigma: Tensor, radius: int, truncate: float = 3) -> Tensor:
    """Sample Gaussians of `sigma` (B, 1, 1, 1) at -radius..radius; each (B, taps, 1, 1) sums to 1.

    Each ends at `truncate` times its own sigma.
    """
    wide = sigma.double()
    offsets = torch.arange(-radius, radius + 1, device=sigma.device).view(1, -1, 1, 1)
    # SciPy leaves an axis alone from sigma 1e-15 down; the mask makes that one tap of weight 1.
    inside = offsets.abs() <= torch.floor(truncate * wide + 0.5)
    taps = torch.exp(-0.5 * (offsets / wide.clamp(min=1e-15)) ** 2) * inside
    return (taps / taps.sum(1, keepdim=True)).to(sigma.dtype)


def blur_inside(images: Tensor, taps: Tensor) -> Tensor:
    """Correlate each image with its own taps along both axes, where the kernel fits.

    (B, C, H + 2 * radius, W + 2 * radius) becomes (B, C, H, W).
    """
    return _correlate(_correlate(images, taps, axis=2), taps, axis=3)


def unit_variance(taps: Tensor) -> Tensor:
    """Scale taps so that white noise keeps its variance when they are applied along both axes."""
    return taps / taps.square().sum(1, keepdim=True).sqrt()


def white_around(like: Tensor, channels: int, radius: int, generator: torch.Generator) -> Tensor:
    """Draw N(0, 1) for images of this size and `radius` pixels around: what `blur_inside` takes.

    Smoothed noise is the same at the borders as elsewhere if what lies outside is drawn as well.
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
    """Shift and add: as many passes as taps, and no dense kernel or unfolded copy of the batch."""
    count = taps.shape[1]
    size = images.shape[axis] - count + 1
    total = images.narrow(axis, 0, size) * taps[:, :1]
    for tap in range(1, count):
        total.addcmul_(images.narrow(axis, tap, size), taps[:, tap : tap + 1])
    return total
