"""Defects of scanned prints, slides and negatives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from autodenoise.noise.smoothing import kernel_radius, padded_white_noise, smooth
from autodenoise.noise.strength import (
    Corruption,
    Limit,
    Strength,
    draw,
    draw_per_image,
    uniform_per_image,
)

__all__ = ["Scan"]

_DUST_SIZE = (0.6, 1.8)


@dataclass(frozen=True)
class Scan(Corruption):
    """Add dust, scratches and banding; dark or light in each image, as on a print or a negative.

    Attributes
    ----------
    dust
        Fraction of the area that specks cover.
    scratches
        Number of scratches and hairs in an image, rounded.
    banding
        Standard deviation of the offset of each row or, in half of the images, each column.
    """

    dust: Strength = 0.0
    scratches: Strength = 0.0
    banding: Strength = 0.0
    kind: Literal["scan"] = "scan"
    phrase = (
        "scan defects: dust on a fraction {dust} of the area, {scratches} scratches, "
        "banding of amplitude {banding}"
    )
    limits = (Limit("dust", 0, 0.5), Limit("scratches", 0), Limit("banding", 0))

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        banded = clean + self._bands(clean, generator)
        covered = torch.maximum(self._specks(clean, generator), self._lines(clean, generator))
        # Dirt is never quite black or white, and is partly transparent.
        dark = uniform_per_image(clean, generator) < 0.5
        level = torch.where(dark, 0.15, 0.85) + 0.15 * (2 * uniform_per_image(clean, generator) - 1)
        opacity = 0.6 + 0.4 * uniform_per_image(clean, generator)
        return torch.lerp(banded, level.expand_as(banded), covered * opacity)

    def _bands(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        batch, channels, height, width = clean.shape
        rows = clean.new_empty(batch, channels, height, 1).normal_(generator=generator)
        columns = clean.new_empty(batch, channels, 1, width).normal_(generator=generator)
        upright = uniform_per_image(clean, generator) < 0.5
        return torch.where(upright, columns, rows) * draw(self.banding, clean, generator)

    def _specks(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Cover the highest values of a smooth random field: irregular specks."""
        share = draw_per_image(self.dust, clean, generator)
        low, high = _DUST_SIZE
        size = uniform_per_image(clean, generator).mul_(high - low).add_(low)
        radius = kernel_radius(_DUST_SIZE)
        field = smooth(padded_white_noise(clean, 1, radius, generator), size, radius)
        height: Tensor = torch.special.ndtri(1 - share)
        # A smoother field falls less per pixel; scale it so that every edge is a pixel wide.
        return (field - height).mul_(2 * size).add_(0.5).clamp_(0, 1)

    def _lines(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        height, width = clean.shape[-2:]
        count = draw_per_image(self.scratches, clean, generator).round()
        y = torch.arange(height, device=clean.device, dtype=clean.dtype).view(1, 1, -1, 1)
        x = torch.arange(width, device=clean.device, dtype=clean.dtype)
        covered = torch.zeros_like(clean[:, :1])
        most = self.scratches[1] if isinstance(self.scratches, tuple) else self.scratches
        uniform = partial(uniform_per_image, clean, generator)
        for number in range(round(most)):
            place_y, place_x = uniform() * height, uniform() * width
            angle = uniform() * math.pi
            # Half are long and nearly straight scratches, half are short and bent hairs.
            hair = uniform() < 0.5
            length = torch.where(hair, 12.0, 120.0) * (0.5 + uniform())
            bend = torch.where(hair, 0.03, 0.001) * (2 * uniform() - 1)
            thick = 0.4 + 1.2 * uniform()
            along = (y - place_y) * angle.sin() + (x - place_x) * angle.cos()
            across = (y - place_y) * angle.cos() - (x - place_x) * angle.sin()
            beside = (across - bend * along.square()).abs()
            line = (thick / 2 + 0.5 - beside).clamp_(0, 1)
            line = line * (length / 2 - along.abs()).clamp_(0, 1) * (count > number)
            covered = torch.maximum(covered, line)
        return covered
