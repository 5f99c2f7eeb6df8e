"""What scanning adds to an old print, slide or negative."""

from __future__ import annotations

import math
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
from autodenoise.noise.strength import Strength, check, draw, for_each, text

__all__ = ["Scan"]

_DUST_SIZE = (0.6, 1.8)


@dataclass(frozen=True)
class Scan:
    """Dust, scratches and banded rows; black or white in each image, as of a print or a negative.

    Attributes
    ----------
    dust
        The share of the area that specks cover.
    scratches
        How many there are in an image, straight or bent like a hair; rounded.
    banding
        The standard deviation of what is added to each row, or in every other image to each column.
    """

    dust: Strength = 0.0
    scratches: Strength = 0.0
    banding: Strength = 0.0
    kind: Literal["scan"] = "scan"

    def __post_init__(self) -> None:
        check(self.kind, "dust", self.dust, low=0, high=0.5)
        check(self.kind, "scratches", self.scratches, low=0)
        check(self.kind, "banding", self.banding, low=0)

    def describe(self) -> str:
        """See `Noise`."""
        return (
            f"scan defects: dust on a fraction {text(self.dust)} of the area, "
            f"{text(self.scratches)} scratches, banding of amplitude {text(self.banding)}"
        )

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        banded = clean + self._bands(clean, generator)
        covered = torch.maximum(self._specks(clean, generator), self._lines(clean, generator))
        # Dirt is never quite black or white, and lets some of the picture through.
        dark = _uniform(clean, generator) < 0.5
        level = torch.where(dark, 0.15, 0.85) + 0.15 * (2 * _uniform(clean, generator) - 1)
        opacity = 0.6 + 0.4 * _uniform(clean, generator)
        return torch.lerp(banded, level.expand_as(banded), covered * opacity)

    def _bands(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        batch, channels, height, width = clean.shape
        rows = clean.new_empty(batch, channels, height, 1).normal_(generator=generator)
        columns = clean.new_empty(batch, channels, 1, width).normal_(generator=generator)
        upright = _uniform(clean, generator) < 0.5
        return torch.where(upright, columns, rows) * draw(self.banding, clean, generator)

    def _specks(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Cover the places where a smooth random field is highest: irregular specks."""
        share = for_each(draw(self.dust, clean, generator), clean)
        low, high = _DUST_SIZE
        size = _uniform(clean, generator).mul_(high - low).add_(low)
        radius = reach(_DUST_SIZE)
        taps = unit_variance(gaussian_taps(size, radius))
        field = blur_inside(white_around(clean, 1, radius, generator), taps)
        height: Tensor = torch.special.ndtri(1 - share)
        # The smoother the field the less it falls in a pixel, which is how soft the edge is to be.
        return (field - height).mul_(2 * size).add_(0.5).clamp_(0, 1)

    def _lines(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        height, width = clean.shape[-2:]
        count = for_each(draw(self.scratches, clean, generator), clean).round()
        y = torch.arange(height, device=clean.device, dtype=clean.dtype).view(1, 1, -1, 1)
        x = torch.arange(width, device=clean.device, dtype=clean.dtype)
        covered = torch.zeros_like(clean[:, :1])
        most = self.scratches[1] if isinstance(self.scratches, tuple) else self.scratches
        for number in range(round(most)):
            place_y, place_x = (_uniform(clean, generator) * side for side in (height, width))
            angle = _uniform(clean, generator) * math.pi
            # Half are long and nearly straight scratches, half are short and bent hairs.
            hair = _uniform(clean, generator) < 0.5
            length = torch.where(hair, 12.0, 120.0) * (0.5 + _uniform(clean, generator))
            bend = torch.where(hair, 0.03, 0.001) * (2 * _uniform(clean, generator) - 1)
            thick = 0.4 + 1.2 * _uniform(clean, generator)
            along = (y - place_y) * angle.sin() + (x - place_x) * angle.cos()
            across = (y - place_y) * angle.cos() - (x - place_x) * angle.sin()
            beside = (across - bend * along.square()).abs()
            line = (thick / 2 + 0.5 - beside).clamp_(0, 1)
            line = line * (length / 2 - along.abs()).clamp_(0, 1) * (count > number)
            covered = torch.maximum(covered, line)
        return covered


def _uniform(clean: Tensor, generator: torch.Generator) -> Tensor:
    return clean.new_empty(len(clean), 1, 1, 1).uniform_(generator=generator)
