"""Pixels that are hidden from a network, so that it has to guess them from what is around.

A network that sees a pixel can repeat it, noise and all. One that is asked for a pixel that it does
not see can only say what its surroundings tell; and where noise is independent from pixel to pixel,
they tell of the image alone.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

__all__ = ["Fill", "Lines", "draw", "hide", "mask"]

Fill = Literal["random", "median"]
Lines = Literal["rows", "columns"]

# One pixel of each square of so many a side is hidden; so they lie apart, and few replace others.
_CELL = 6
_RADIUS = 2
_REACH = 5


def draw(images: Tensor, generator: torch.Generator) -> Tensor:
    """Draw where pixels are hidden: one in each square of a grid that lies anew for each image.

    Returns
    -------
    Tensor
        (B, K, 2), int64: row and column. All channels of a pixel are hidden together.
    """
    count, _, height, width = images.shape
    device = images.device
    shift = torch.randint(_CELL, (count, 1, 2), generator=generator, device=device)
    rows = torch.arange(0, max(1, height), _CELL, device=device)
    columns = torch.arange(0, max(1, width), _CELL, device=device)
    corners = torch.cartesian_prod(rows, columns)[None]
    within = torch.randint(_CELL, (count, len(corners[0]), 2), generator=generator, device=device)
    size = torch.tensor([height, width], device=device)
    # The grid goes round: what is beyond the border comes in at the other side.
    return (corners + shift + within).remainder(size)


def mask(images: Tensor, spots: Tensor) -> Tensor:
    """Give (B, C, H, W), True at the spots."""
    count, channels, height, width = images.shape
    flat = torch.zeros(count, height * width, dtype=torch.bool, device=images.device)
    flat.scatter_(1, spots[..., 0] * width + spots[..., 1], True)
    return flat.view(count, 1, height, width).expand(-1, channels, -1, -1)


def hide(
    images: Tensor, spots: Tensor, fill: Fill, lines: Lines | None, generator: torch.Generator
) -> Tensor:
    """Put something else where the spots are, made of the pixels within 2 rows and columns.

    Parameters
    ----------
    images
        (B, C, H, W); left as they are.
    spots
        What `draw` gave.
    fill
        Any one of those pixels, but the spot itself; or the median of all of them.
    lines
        Do the same to 5 pixels on both sides of each spot, in its row or its column, and take
        nothing from that line.
    generator
        Of the images' device.
    """
    reach = range(-_REACH, _REACH + 1) if lines else (0,)
    beside = [(0, step) if lines == "rows" else (step, 0) for step in reach]
    device, size = images.device, torch.tensor(images.shape[2:], device=images.device)
    around = _around(lines, device)
    seen = images.flatten(2)
    hidden = seen.clone()
    for offset in beside:
        places = spots + torch.tensor(offset, device=device)
        # What lies outside the image hides nothing more than the spot itself.
        outside = ((places < 0) | (places >= size)).any(-1, keepdim=True)
        places = torch.where(outside, spots, places)
        if fill == "random":
            drawn = torch.randint(len(around), places.shape[:2], generator=generator, device=device)
            values = _values(seen, places, around[drawn], size)
        else:
            each = [_values(seen, places, step, size) for step in around]
            values = torch.stack(each).median(0).values
        index = (places[..., 0] * size[1] + places[..., 1])[:, None].expand_as(values)
        hidden.scatter_(2, index, values)
    return hidden.view(images.shape).contiguous(memory_format=torch.channels_last)


def _around(lines: Lines | None, device: torch.device) -> Tensor:
    """List the offsets of the pixels that a hidden one is replaced by, (N, 2)."""
    steps = torch.arange(-_RADIUS, _RADIUS + 1, device=device)
    offsets = torch.cartesian_prod(steps, steps)
    own = offsets[:, 0] == 0 if lines == "rows" else offsets[:, 1] == 0
    if lines is None:
        own = (offsets == 0).all(1)
    return offsets[~own]


def _values(flat: Tensor, places: Tensor, steps: Tensor, size: Tensor) -> Tensor:
    """Look up (B, C, H * W) some steps away from places (B, K, 2): (B, C, K).

    A step that leads out of the image is taken the other way, which never comes back to the place.
    """
    there = places + steps
    there = torch.where((there < 0) | (there >= size), places - steps, there)
    there = torch.minimum(there.clamp(min=0), size - 1)
    index = there[..., 0] * size[1] + there[..., 1]
    return flat.gather(2, index[:, None].expand(-1, flat.shape[1], -1))
