"""Combinations of corruptions, and the registry of all of them."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import torch
from pydantic import Field
from torch import Tensor

from autodenoise.errors import UsageError
from autodenoise.noise.basic import Gaussian, Poisson, PoissonGaussian, SaltPepper, Speckle, Uniform
from autodenoise.noise.camera import Camera
from autodenoise.noise.correlated import CorrelatedGaussian, Grain
from autodenoise.noise.jpeg import Jpeg
from autodenoise.noise.measured import Measured
from autodenoise.noise.scan import Scan
from autodenoise.noise.smoothing import Blur
from autodenoise.noise.strength import Noise, varies

__all__ = [
    *("NOISES", "AnyNoise", "Compose", "Mixture", "MixturePart"),
    *("is_fixed_zero_mean", "without_clipping"),
]


@dataclass(frozen=True)
class Compose:
    """Apply several corruptions in order; without any, return the images unchanged."""

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
    """Return the corruption without clipping, since clipped noise does not have zero mean."""
    if isinstance(noise, Compose):
        return Compose(tuple(map(without_clipping, noise.parts)))
    if dataclasses.is_dataclass(noise) and getattr(noise, "clip", False):
        return dataclasses.replace(noise, clip=False)
    return noise


_ZERO_MEAN = (CorrelatedGaussian, Gaussian, Measured, Poisson, PoissonGaussian, Speckle)


def is_fixed_zero_mean(noise: Noise) -> bool:
    """Return whether a corruption adds zero-mean noise of the same strength to every image."""
    return isinstance(noise, _ZERO_MEAN) and not varies(noise)


@dataclass(frozen=True)
class MixturePart:
    """One of the alternatives of a `Mixture`.

    Attributes
    ----------
    weight
        Probability, relative to the other parts.
    noise
        Corruptions, applied in order; without any, the image stays clean.
    """

    weight: float
    noise: tuple[AnyNoise, ...] = ()

    def __post_init__(self) -> None:
        if not (0 <= self.weight < math.inf):
            raise UsageError(f"mixture noise: a weight is {self.weight!r}; expected 0 or more")


@dataclass(frozen=True)
class Mixture:
    """Corrupt each image by one of several alternatives, drawn by weight."""

    parts: tuple[MixturePart, ...]
    kind: Literal["mixture"] = "mixture"

    def __post_init__(self) -> None:
        if not sum(part.weight for part in self.parts) > 0:
            raise UsageError("mixture noise: expected at least one part with a weight above 0")

    def describe(self) -> str:
        """See `Noise`."""
        total = sum(part.weight for part in self.parts)
        parts = (
            f"{part.weight / total:.0%} {Compose(part.noise).describe()}" for part in self.parts
        )
        return f"one of ({'; '.join(parts)})"

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`. Each part runs on the images that drew it."""
        weights = torch.tensor([part.weight for part in self.parts], device=clean.device)
        chosen = torch.multinomial(weights, len(clean), replacement=True, generator=generator)
        noisy = clean.clone()
        for number, part in enumerate(self.parts):
            rows = (chosen == number).nonzero().flatten()
            if part.noise and len(rows):
                noisy[rows] = Compose(part.noise)(clean[rows], generator)
        return noisy


AnyNoise = Annotated[
    Gaussian
    | Uniform
    | Blur
    | Poisson
    | PoissonGaussian
    | SaltPepper
    | Speckle
    | Jpeg
    | Camera
    | CorrelatedGaussian
    | Grain
    | Scan
    | Measured
    | Mixture,
    Field(discriminator="kind"),
]
"""The registry of corruptions: any table with a ``kind`` in a recipe."""

NOISES: dict[str, type[Noise]] = {spec.kind: spec for spec in get_args(get_args(AnyNoise)[0])}
"""Each corruption by its ``kind``."""
