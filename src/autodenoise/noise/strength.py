"""Strengths of noise, drawn for each image, and random values in the layout of a batch."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from autodenoise.errors import UsageError

__all__ = [
    *("Corruption", "Limit", "Noise", "Strength", "draw", "draw_per_image", "finish", "luma"),
    *("normal_like", "text", "uniform_like", "uniform_per_image", "varies"),
]

Strength = float | tuple[float, float]
"""One value for all images, or (low, high): drawn uniformly for each image."""


class Noise(Protocol):
    """A corruption."""

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Return the noisy version of a (B, C, H, W) batch."""
        ...

    def describe(self) -> str:
        """Return one English phrase, such as "Gaussian noise of sigma 0.1"."""
        ...


class Limit(NamedTuple):
    """The range [low, high] of a strength; without `low` itself if `open_low`."""

    name: str
    low: float
    high: float = math.inf
    open_low: bool = False

    def check(self, noise: Any) -> None:
        """Raise UsageError if the strength is outside, or a pair that is not (low, high)."""
        name, low, high, open_low = self
        strength = getattr(noise, name)
        ends = strength if isinstance(strength, tuple) else (strength,)
        inside = all(low <= end <= high and math.isfinite(end) for end in ends)
        if not inside or ends[0] > ends[-1] or (open_low and ends[0] == low):
            least = f"above {low:g}" if open_low else f"at least {low:g}"
            most = "" if high == math.inf else f" and at most {high:g}"
            raise UsageError(
                f"{noise.kind} noise: {name} is {strength!r}; expected a number {least}{most}, "
                "or a pair (low, high) of such numbers"
            )


class Corruption:
    """Base of corruptions with a table of limits; `phrase` has their strengths in braces."""

    limits: ClassVar[tuple[Limit, ...]]
    phrase: ClassVar[str]

    def __post_init__(self) -> None:
        for limit in self.limits:
            limit.check(self)

    def describe(self) -> str:
        """See `Noise`."""
        return self.phrase.format(**{name: text(one) for name, one in _strengths(self).items()})


def text(strength: Strength) -> str:
    """Return a strength as it appears in a description: "0.1" or "0.1 to 0.5"."""
    ends = strength if isinstance(strength, tuple) else (strength,)
    return " to ".join(f"{end:.4g}" for end in ends)


def draw(strength: Strength, clean: Tensor, generator: torch.Generator) -> Tensor | float:
    """Return a strength that broadcasts over the batch; a range becomes (B, 1, 1, 1)."""
    if not isinstance(strength, tuple):
        return strength
    low, high = strength
    return uniform_per_image(clean, generator).mul_(high - low).add_(low)


def draw_per_image(strength: Strength, clean: Tensor, generator: torch.Generator) -> Tensor:
    """Return a strength as one number per image, (B, 1, 1, 1)."""
    drawn = torch.as_tensor(
        draw(strength, clean, generator), dtype=clean.dtype, device=clean.device
    )
    return drawn.expand(len(clean), 1, 1, 1)


def _strengths(noise: Any) -> dict[str, Strength]:
    names = [entry.name for entry in dataclasses.fields(noise) if entry.type == "Strength"]
    return {name: getattr(noise, name) for name in names}


def varies(noise: Any) -> bool:
    """Return whether a strength of a corruption is drawn for each image."""
    return any(isinstance(strength, tuple) for strength in _strengths(noise).values())


def normal_like(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Draw N(0, 1) in the memory layout of the images, so that sums with them need no copies."""
    return torch.empty_like(clean).normal_(generator=generator)


def uniform_like(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Draw U[0, 1) in the memory layout of the images."""
    return torch.empty_like(clean).uniform_(generator=generator)


def uniform_per_image(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Draw U[0, 1) for each image, (B, 1, 1, 1)."""
    return clean.new_empty(len(clean), 1, 1, 1).uniform_(generator=generator)


def luma(rgb: Tensor) -> Tensor:
    """Return the luma (ITU-R BT.601) of (B, 3, H, W) as (B, 1, H, W)."""
    weights = rgb.new_tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)
    return (rgb * weights).sum(1, keepdim=True)


def finish(noisy: Tensor, clip: bool) -> Tensor:
    """Clip in place if `clip`."""
    return noisy.clamp_(0, 1) if clip else noisy
