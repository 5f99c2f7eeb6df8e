"""Two half-size images out of one, whose noise is independent: Neighbor2Neighbor's sub-sampler."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["draw", "pick"]

# Places in a square of four, row by row, that share a side: the first, and the one beside it.
_PAIRS = ((0, 1), (0, 2), (1, 0), (1, 3), (2, 0), (2, 3), (3, 1), (3, 2))


def draw(images: Tensor, generator: torch.Generator) -> Tensor:
    """Draw which two pixels of each square of 2x2 are taken.

    Returns
    -------
    Tensor
        (B, 2, 1, H // 2, W // 2), int64: places 0 to 3 in the square, two that share a side.
    """
    count, _, height, width = images.shape
    shape = (count, height // 2, width // 2)
    drawn = torch.randint(len(_PAIRS), shape, generator=generator, device=images.device)
    pairs = torch.tensor(_PAIRS, device=images.device)[drawn]
    return pairs.permute(0, 3, 1, 2)[:, :, None]


def pick(images: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Take the two pixels that were drawn out of each square; all channels of a pixel together.

    Returns
    -------
    tuple of Tensor
        Both (B, C, H // 2, W // 2).
    """
    count, channels, height, width = images.shape
    squares = images[:, :, : height // 2 * 2, : width // 2 * 2]
    squares = squares.reshape(count, channels, height // 2, 2, width // 2, 2)
    squares = squares.permute(0, 1, 3, 5, 2, 4).flatten(2, 3)
    one, other = (
        squares.gather(2, cells[:, which, None].expand(-1, channels, -1, -1, -1))[:, :, 0]
        for which in (0, 1)
    )
    layout = torch.channels_last
    return one.contiguous(memory_format=layout), other.contiguous(memory_format=layout)
