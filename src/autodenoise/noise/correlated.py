"""Noise whose neighbours are alike: Gaussian noise that went through a filter, and film grain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from autodenoise.noise.smoothing import (
    blur_inside,
    gaussian_taps,
    reach,
    unit_variance,
    white_around,
)
from autodenoise.noise.strength import Strength, check, draw, finish, for_each, text

__all__ = ["CorrelatedGaussian", "Grain"]


@dataclass(frozen=True)
class CorrelatedGaussian:
    """Add N(0, sigma^2) that is alike in neighbouring pixels, and in the channels if wanted.

    Attributes
    ----------
    sigma
        The standard deviation of what is added, after smoothing.
    smoothing
        Of the Gaussian that white noise is smoothed by, in pixels. The correlation of two pixels
        at distance d is near exp(-d^2 / (4 * smoothing^2)).
    channel_correlation
        Between any two channels, from 0 to 1.
    """

    sigma: Strength
    smoothing: Strength = (0.4, 1.3)
    channel_correlation: Strength = 0.0
    clip: bool = False
    kind: Literal["correlated-gaussian"] = "correlated-gaussian"

    def __post_init__(self) -> None:
        check(self.kind, "sigma", self.sigma, low=0)
        check(self.kind, "smoothing", self.smoothing, low=0)
        check(self.kind, "channel_correlation", self.channel_correlation, low=0, high=1)

    def describe(self) -> str:
        """See `Noise`."""
        return (
            f"Gaussian noise of sigma {text(self.sigma)}, smoothed over {text(self.smoothing)} "
            f"pixels, with a channel correlation of {text(self.channel_correlation)}"
        )

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        sigma = draw(self.sigma, clean, generator)
        smoothing = for_each(draw(self.smoothing, clean, generator), clean)
        shared = for_each(draw(self.channel_correlation, clean, generator), clean)
        radius = reach(self.smoothing)
        white = _alike(clean, radius, shared, generator)
        field = blur_inside(white, unit_variance(gaussian_taps(smoothing, radius)))
        return finish(field.mul_(sigma).add_(clean), clip=self.clip)


@dataclass(frozen=True)
class Grain:
    """Film grain: band-passed noise, strongest in the mid-tones.

    The standard deviation at brightness x is ``amplitude * 4 * x * (1 - x)``: where film is clear
    or fully exposed, all its crystals are alike.

    Attributes
    ----------
    amplitude
        The standard deviation at mid-grey.
    size
        Of the grain in pixels: the sigma of the narrower of two Gaussians whose difference is the
        band. The wider one is twice as wide.
    channel_correlation
        Between any two channels, from 0 to 1: 1 is the grain of black and white
        film.
    """

    amplitude: Strength
    size: Strength = (0.5, 1.2)
    channel_correlation: Strength = (0.3, 1.0)
    clip: bool = False
    kind: Literal["grain"] = "grain"

    def __post_init__(self) -> None:
        check(self.kind, "amplitude", self.amplitude, low=0)
        check(self.kind, "size", self.size, low=0.2)
        check(self.kind, "channel_correlation", self.channel_correlation, low=0, high=1)

    def describe(self) -> str:
        """See `Noise`."""
        return (
            f"film grain of amplitude {text(self.amplitude)} and size {text(self.size)} pixels, "
            f"with a channel correlation of {text(self.channel_correlation)}"
        )

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        amplitude = draw(self.amplitude, clean, generator)
        size = for_each(draw(self.size, clean, generator), clean)
        shared = for_each(draw(self.channel_correlation, clean, generator), clean)
        radius = 2 * reach(self.size)
        white = _alike(clean, radius, shared, generator)
        fine, coarse = gaussian_taps(size, radius), gaussian_taps(2 * size, radius)
        band = blur_inside(white, fine).sub_(blur_inside(white, coarse))
        # The energy of a difference of two separable kernels: both theirs less twice the overlap.
        energy = _overlap(fine, fine) - 2 * _overlap(fine, coarse) + _overlap(coarse, coarse)
        strength = (4 * clean * (1 - clean)).clamp_(min=0) * amplitude
        return finish(band.div_(energy.sqrt()).mul_(strength).add_(clean), clip=self.clip)


def _alike(like: Tensor, radius: int, shared: Tensor, generator: torch.Generator) -> Tensor:
    """Draw white noise whose channels correlate by `shared` (B, 1, 1, 1), all of variance 1."""
    white = white_around(like, like.shape[1] + 1, radius, generator)
    return white[:, 1:].mul(torch.sqrt(1 - shared)).addcmul_(white[:, :1], shared.sqrt())


def _overlap(one: Tensor, other: Tensor) -> Tensor:
    return (one * other).sum(1, keepdim=True).square()
