"""Corruptions made of others: one after the other, or one of several."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from autodenoise.errors import UsageError
from autodenoise.noise.basic import (
    Gaussian,
    Poisson,
    PoissonGaussian,
    SaltPepper,
    Speckle,
    Uniform,
)
from autodenoise.noise.camera import Camera
from autodenoise.noise.correlated import CorrelatedGaussian, Grain
from autodenoise.noise.jpeg import Jpeg
from autodenoise.noise.measured import Measured
from autodenoise.noise.scan import Scan
from autodenoise.noise.smoothing import Blur
from autodenoise.noise.strength import Noise, varies

__all__ = [
    "AnyNoise",
    "Compose",
    "Mixture",
    "MixturePart",
    "is_fixed_zero_mean",
    "without_clipping",
]


@dataclass(frozen=True)
class Compose:
    """Several corruptions, one after the other; none of them leaves the images as they are."""

    parts: tuple[Noise, ...]

    def describe(self) -> str:
        """See `Noise`."""
        return ", then ".join(part.describe() for part in self.parts) or "no noise"

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        for part in self.parts:
            clean = part(clean, generator)
        return clean


def without_clipping(noise: Noise) -> Noise:
    """Give a corruption that cuts nothing off at black and white.

    What is cut off is not zero on average.
    """
    if isinstance(noise, Compose):
        return Compose(tuple(map(without_clipping, noise.parts)))
    if dataclasses.is_dataclass(noise) and getattr(noise, "clip", False):
        return dataclasses.replace(noise, clip=False)
    return noise


_ADDED = (CorrelatedGaussian, Gaussian, Measured, Poisson, PoissonGaussian, Speckle)


def is_fixed_zero_mean(noise: Noise) -> bool:
    """Tell whether a corruption adds what is 0 on average, and as strong in every image."""
    return isinstance(noise, _ADDED) and not varies(noise)


@dataclass(frozen=True)
class MixturePart:
    """One of the ways in which a `Mixture` corrupts.

    Attributes
    ----------
    weight
        How often, relative to the other parts.
    noise
        Corruptions, one after the other. None: the image stays clean.
    """

    weight: float
    noise: tuple[AnyNoise, ...] = ()

    def __post_init__(self) -> None:
        if not (0 <= self.weight < math.inf):
            raise UsageError(f"mixture noise: a weight is {self.weight!r}; expected 0 or more")


@dataclass(frozen=True)
class Mixture:
    """Corrupt each image in one of several ways, drawn by weight."""

    parts: tuple[MixturePart, ...]
    kind: Literal["mixture"] = "mixture"

    def __post_init__(self) -> None:
        if not sum(part.weight for part in self.parts) > 0:
            raise UsageError("mixture noise: expected at least one part with a weight above 0")

    def describe(self) -> str:
        """See `Noise`."""
        total = sum(part.weight for part in self.parts)
        ways = (
            f"{part.weight / total:.0%} {Compose(part.noise).describe()}" for part in self.parts
        )
        return f"one of ({'; '.join(ways)})"

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`. Each part runs on its own images alone."""
        weights = torch.tensor([part.weight for part in self.parts], device=clean.device)
        chosen = torch.multinomial(weights, len(clean), replacement=True, generator=generator)
        noisy = clean.clone()
        for number, part in enumerate(self.parts):
            own = (chosen == number).nonzero().flatten()
            if part.noise and len(own):
                noisy[own] = Compose(part.noise)(clean[own], generator)
        return noisy


AnyNoise = Annotated[
    Blur
    | Camera
    | CorrelatedGaussian
    | Gaussian
    | Grain
    | Jpeg
    | Measured
    | Mixture
    | Poisson
    | PoissonGaussian
    | SaltPepper
    | Scan
    | Speckle
    | Uniform,
    Field(discriminator="kind"),
]
"""Any corruption, as recipes write it: a table with a ``kind``."""
