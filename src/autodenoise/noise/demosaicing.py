"""The Bayer color filter array, and linear demosaicking."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["MARGIN", "Bayer", "demosaic", "mosaic"]

MARGIN = 2
"""Border in pixels that `demosaic` needs and removes."""


class Bayer(NamedTuple):
    """The Bayer pattern of each image, as masks (B, 1, H, 1) and (B, 1, 1, W).

    Red is measured where both are true, blue where neither is, green elsewhere.
    """

    red_rows: Tensor
    red_columns: Tensor

    @classmethod
    def draw(cls, batch: int, height: int, width: int, generator: torch.Generator) -> Bayer:
        """Draw a random phase of the pattern for each image, as in a crop of a photo."""
        device = generator.device
        first = torch.randint(2, (2, batch, 1, 1, 1), generator=generator, device=device)
        rows = torch.arange(height, device=device).view(1, 1, -1, 1) + first[0]
        columns = torch.arange(width, device=device).view(1, 1, 1, -1) + first[1]
        return cls(rows % 2 == 0, columns % 2 == 0)


def mosaic(images: Tensor, bayer: Bayer) -> Tensor:
    """Select the color that each pixel measures: (B, 3, H, W) to (B, 1, H, W)."""
    red, green, blue = images[:, :1], images[:, 1:2], images[:, 2:]
    rows, columns = bayer
    return torch.where(rows, torch.where(columns, red, green), torch.where(columns, green, blue))


def demosaic(measured: Tensor, bayer: Bayer, correction: Tensor) -> Tensor:
    """Estimate all three colors of every pixel, (B, 3, H, W), by linear filters.

    `measured` is (B, 1, H + 2 * MARGIN, W + 2 * MARGIN). `correction` (B, 1, 1, 1) is from 0,
    bilinear interpolation, to 1, corrected by the gradient of the measured color as in the
    reference.

    References
    ----------
    Malvar, He, Cutler, "High-quality linear interpolation for demosaicing of Bayer-patterned color
    images", ICASSP 2004, equations 2 to 7.
    """

    def shifted(down: int, right: int) -> Tensor:
        height, width = (side - 2 * MARGIN for side in measured.shape[-2:])
        return measured[..., MARGIN + down :, MARGIN + right :][..., :height, :width]

    center = shifted(0, 0)
    beside, above = shifted(0, -1) + shifted(0, 1), shifted(-1, 0) + shifted(1, 0)
    corners = shifted(-1, -1) + shifted(-1, 1) + shifted(1, -1) + shifted(1, 1)
    far_beside, far_above = shifted(0, -2) + shifted(0, 2), shifted(-2, 0) + shifted(2, 0)
    gradient = (4 * center - far_beside - far_above) * correction / 8
    # Green at red and blue; red or blue at green with its samples in this row, and in this column;
    # red at blue and blue at red.
    cross = (beside + above) / 4 + gradient
    common = 5 * center - corners
    along = beside / 2 + (common - far_beside + far_above / 2) * correction / 8
    across = above / 2 + (common - far_above + far_beside / 2) * correction / 8
    diagonal = corners / 4 + 1.5 * gradient
    inside = slice(MARGIN, -MARGIN)
    rows, columns = bayer.red_rows[:, :, inside], bayer.red_columns[..., inside]
    red = torch.where(
        rows, torch.where(columns, center, along), torch.where(columns, across, diagonal)
    )
    green = torch.where(rows == columns, cross, center)
    blue = torch.where(
        rows, torch.where(columns, diagonal, across), torch.where(columns, along, center)
    )
    return torch.cat([red, green, blue], 1)
