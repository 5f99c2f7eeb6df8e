"""Spatially correlated noise: smoothed Gaussian noise and film grain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from autodenoise.noise.smoothing import (
    blur_valid,
    gaussian_taps,
    kernel_radius,
    padded_white_noise,
    smooth,
)
from autodenoise.noise.strength import Corruption, Limit, Strength, draw, draw_per_image, finish

__all__ = ["CorrelatedGaussian", "Grain"]


@dataclass(frozen=True)
class CorrelatedGaussian(Corruption):
    """Add N(0, sigma^2) that is correlated between neighboring pixels and, optionally, channels.

    Attributes
    ----------
    sigma
        Standard deviation of the added noise, after smoothing.
    smoothing
        Sigma of the Gaussian that smooths white noise, in pixels. The correlation of two pixels
        at distance d is about exp(-d^2 / (4 * smoothing^2)).
    channel_correlation
        Between any two channels, from 0 to 1.
    """

    sigma: Strength
    smoothing: Strength = (0.4, 1.3)
    channel_correlation: Strength = 0.0
    clip: bool = False
    kind: Literal["correlated-gaussian"] = "correlated-gaussian"
    phrase = (
        "Gaussian noise of sigma {sigma}, smoothed over {smoothing} pixels, "
        "with a channel correlation of {channel_correlation}"
    )
    limits = (Limit("sigma", 0), Limit("smoothing", 0), Limit("channel_correlation", 0, 1))

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        sigma = draw(self.sigma, clean, generator)
        smoothing = draw_per_image(self.smoothing, clean, generator)
        shared = draw_per_image(self.channel_correlation, clean, generator)
        radius = kernel_radius(self.smoothing)
        white = _correlated_white(clean, radius, shared, generator)
        return finish(smooth(white, smoothing, radius).mul_(sigma).add_(clean), clip=self.clip)


@dataclass(frozen=True)
class Grain(Corruption):
    """Film grain: band-passed noise, strongest in the mid-tones.

    The standard deviation at intensity x is ``amplitude * 4 * x * (1 - x)``: clear and fully
    exposed film has no grain.

    Attributes
    ----------
    amplitude
        Standard deviation at mid-gray.
    size
        Grain size in pixels: the sigma of the narrower of the two Gaussians whose difference is
        the band. The wider one has twice that sigma.
    channel_correlation
        Between any two channels, from 0 to 1: 1 is the grain of black-and-white film.
    """

    amplitude: Strength
    size: Strength = (0.5, 1.2)
    channel_correlation: Strength = (0.3, 1.0)
    clip: bool = False
    kind: Literal["grain"] = "grain"
    phrase = (
        "film grain of amplitude {amplitude} and size {size} pixels, "
        "with a channel correlation of {channel_correlation}"
    )
    limits = (Limit("amplitude", 0), Limit("size", 0.2), Limit("channel_correlation", 0, 1))

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        amplitude = draw(self.amplitude, clean, generator)
        size = draw_per_image(self.size, clean, generator)
        shared = draw_per_image(self.channel_correlation, clean, generator)
        radius = 2 * kernel_radius(self.size)
        white = _correlated_white(clean, radius, shared, generator)
        fine, coarse = gaussian_taps(size, radius), gaussian_taps(2 * size, radius)
        band = blur_valid(white, fine).sub_(blur_valid(white, coarse))
        # Energy of a difference of two separable kernels: both energies minus twice the overlap.
        energy = _overlap(fine, fine) - 2 * _overlap(fine, coarse) + _overlap(coarse, coarse)
        strength = (4 * clean * (1 - clean)).clamp_(min=0) * amplitude
        return finish(band.div_(energy.sqrt()).mul_(strength).add_(clean), clip=self.clip)


def _correlated_white(
    like: Tensor, radius: int, shared: Tensor, generator: torch.Generator
) -> Tensor:
    """Draw white noise of variance 1 whose channels correlate by `shared` (B, 1, 1, 1)."""
    white = padded_white_noise(like, like.shape[1] + 1, radius, generator)
    return white[:, 1:].mul(torch.sqrt(1 - shared)).addcmul_(white[:, :1], shared.sqrt())


def _overlap(one: Tensor, other: Tensor) -> Tensor:
    return (one * other).sum(1, keepdim=True).square()
