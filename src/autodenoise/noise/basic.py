"""Noise that is independent in every value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from autodenoise.noise.strength import (
    Corruption,
    Limit,
    Strength,
    draw,
    finish,
    normal_like,
    text,
    uniform_like,
)

__all__ = ["Gaussian", "Poisson", "PoissonGaussian", "SaltPepper", "Speckle", "Uniform"]


@dataclass(frozen=True)
class Gaussian(Corruption):
    """Add N(0, sigma^2), independent in every value."""

    sigma: Strength
    clip: bool = False
    kind: Literal["gaussian"] = "gaussian"
    phrase = "Gaussian noise of sigma {sigma}"
    limits = (Limit("sigma", 0),)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        sigma = draw(self.sigma, clean, generator)
        return finish(normal_like(clean, generator).mul_(sigma).add_(clean), clip=self.clip)


@dataclass(frozen=True)
class Uniform(Corruption):
    """Add U[0, amplitude), or U[-amplitude, amplitude) if `symmetric`."""

    amplitude: Strength
    symmetric: bool = False
    clip: bool = False
    kind: Literal["uniform"] = "uniform"
    limits = (Limit("amplitude", 0),)

    def describe(self) -> str:
        """See `Noise`."""
        words = "symmetric uniform" if self.symmetric else "uniform"
        return f"{words} noise of amplitude {text(self.amplitude)}"

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        amplitude = draw(self.amplitude, clean, generator)
        noise = uniform_like(clean, generator)
        if self.symmetric:
            noise = noise.mul_(2).sub_(1)
        return finish(noise.mul_(amplitude).add_(clean), clip=self.clip)


@dataclass(frozen=True)
class Poisson(Corruption):
    """Shot noise: ``Poisson(peak * x) / peak``, where `peak` is the photon count at white.

    The variance is ``x / peak``. Negative values count as 0.
    """

    peak: Strength
    clip: bool = False
    kind: Literal["poisson"] = "poisson"
    phrase = "Poisson noise at {peak} photons for white"
    limits = (Limit("peak", 0, open_low=True),)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        return finish(_photons(clean, self.peak, generator), clip=self.clip)


@dataclass(frozen=True)
class PoissonGaussian(Corruption):
    """Shot and read noise: ``Poisson(peak * x) / peak + N(0, sigma^2)``; variance x/peak + sigma^2.

    References
    ----------
    Foi, Trimeche, Katkovnik, Egiazarian, "Practical Poissonian-Gaussian noise modeling and fitting
    for single-image raw-data", IEEE TIP 2008, equation 1.
    """

    peak: Strength
    sigma: Strength
    clip: bool = False
    kind: Literal["poisson-gaussian"] = "poisson-gaussian"
    phrase = "Poisson noise at {peak} photons for white and Gaussian noise of sigma {sigma}"
    limits = (Limit("peak", 0, open_low=True), Limit("sigma", 0))

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        shot = _photons(clean, self.peak, generator)
        sigma = draw(self.sigma, clean, generator)
        return finish(normal_like(clean, generator).mul_(sigma).add_(shot), clip=self.clip)


@dataclass(frozen=True)
class SaltPepper(Corruption):
    """Replace a fraction `amount` of the values: by 1 with probability `salt`, otherwise by 0."""

    amount: Strength
    salt: float = 0.5
    kind: Literal["salt-pepper"] = "salt-pepper"
    phrase = "salt and pepper noise in a fraction {amount} of the values"
    limits = (Limit("amount", 0, 1), Limit("salt", 0, 1))

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        amount = draw(self.amount, clean, generator)
        hit = uniform_like(clean, generator) < amount
        salted = uniform_like(clean, generator) < self.salt
        return torch.where(hit, salted.to(clean.dtype), clean)


@dataclass(frozen=True)
class Speckle(Corruption):
    """Multiply by 1 + N(0, sigma^2)."""

    sigma: Strength
    clip: bool = False
    kind: Literal["speckle"] = "speckle"
    phrase = "speckle of sigma {sigma}, proportional to the intensity"
    limits = (Limit("sigma", 0),)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        sigma = draw(self.sigma, clean, generator)
        return finish(normal_like(clean, generator).mul_(sigma).add_(1).mul_(clean), self.clip)


def _photons(clean: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    peak = draw(strength, clean, generator)
    return torch.poisson(clean.clamp(min=0) * peak, generator=generator) / peak
