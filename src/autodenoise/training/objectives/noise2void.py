"""Noise2Void: the network predicts pixels that it cannot see.

A network that sees a pixel can copy it together with its noise. A network that predicts a hidden
pixel has only its surroundings, which carry no information about the pixel's noise if noise is
independent between pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from autodenoise.data.crops import Batch
from autodenoise.training.objectives.objective import DenoisingNetwork, Objective, TrainingTask

__all__ = ["Fill", "Lines", "Noise2Void", "draw_blind_spots", "replace_blind_spots", "spot_mask"]

Fill = Literal["random", "median"]
Lines = Literal["rows", "columns"]

# One blind spot in each cell of this side: spots lie apart, and few replace each other.
_CELL_SIDE = 6
# Replacement values come from this many pixels around a spot...
_FILL_RADIUS = 2
# ...and `lines` hides this many pixels on both sides of it.
_LINE_RADIUS = 5


@dataclass(frozen=True)
class Noise2Void(Objective):
    """Noisy images to themselves, at pixels that are hidden from the network.

    `fill` replaces a hidden pixel: a ``random`` pixel around it, or the ``median`` of all of them
    (N2V2). `lines` also hides the pixels beside it in its ``rows`` or ``columns``, for noise that
    is correlated along them (structN2V).

    References
    ----------
    Krull, Buchholz, Jug, "Noise2Void: Learning denoising from single noisy images", CVPR 2019.
    Hoeck, Buchholz, Brachmann, Jug, Freytag, "N2V2: Fixing Noise2Void checkerboard artifacts with
    modified sampling strategies and a tweaked network architecture", ECCV workshops 2022 (the
    median). Broaddus, Krull, Weigert, Schmidt, Myers, "Removing structured noise with
    self-supervised blind-spot networks", ISBI 2020 (the lines).
    """

    fill: Fill = "random"
    lines: Lines | None = None

    def __call__(
        self, network: DenoisingNetwork, batch: Batch, generator: torch.Generator
    ) -> TrainingTask:
        """See `Objective`."""
        del network
        noisy = self.noisy_images(batch, generator)
        spots = draw_blind_spots(noisy, generator)
        hidden = replace_blind_spots(noisy, spots, self.fill, self.lines, generator)
        return TrainingTask(hidden, noisy, spot_mask(noisy, spots))

    def describe(self) -> str:
        """Return one sentence that says what the network learns."""
        name = "Noise2Void" if self.fill == "random" else "N2V2"
        lines = "" if self.lines is None else f", hiding the pixels beside them in {self.lines} too"
        return f"Learns to predict hidden pixels of noisy images from those around{lines} ({name})."


def draw_blind_spots(images: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one pixel in each cell of a grid whose offset is drawn for each image.

    Return its row and column: (B, K, 2), int64. All channels of a pixel are hidden together.
    """
    count, _, height, width = images.shape
    device = images.device
    offset = torch.randint(_CELL_SIDE, (count, 1, 2), generator=generator, device=device)
    rows = torch.arange(0, max(1, height), _CELL_SIDE, device=device)
    columns = torch.arange(0, max(1, width), _CELL_SIDE, device=device)
    corners = torch.cartesian_prod(rows, columns)[None]
    shape = (count, len(corners[0]), 2)
    within = torch.randint(_CELL_SIDE, shape, generator=generator, device=device)
    # The grid wraps around at the borders.
    return (corners + offset + within).remainder(torch.tensor([height, width], device=device))


def spot_mask(images: Tensor, spots: Tensor) -> Tensor:
    """Return a mask (B, C, H, W) that is True at the blind spots."""
    count, channels, height, width = images.shape
    flat = torch.zeros(count, height * width, dtype=torch.bool, device=images.device)
    flat.scatter_(1, spots[..., 0] * width + spots[..., 1], True)
    return flat.view(count, 1, height, width).expand(-1, channels, -1, -1)


def replace_blind_spots(
    images: Tensor, spots: Tensor, fill: Fill, lines: Lines | None, generator: torch.Generator
) -> Tensor:
    """Return images (B, C, H, W) with each blind spot replaced, using the pixels around it.

    `fill` is a ``random`` pixel within 2 rows and columns, other than the spot; or their
    ``median``. `lines` also replaces 5 pixels on both sides of each spot in its row or column, and
    takes no value from that line.
    """
    reach = range(-_LINE_RADIUS, _LINE_RADIUS + 1) if lines else (0,)
    hidden_offsets = [(0, step) if lines == "rows" else (step, 0) for step in reach]
    device, size = images.device, torch.tensor(images.shape[2:], device=images.device)
    fill_offsets = _fill_offsets(lines, device)
    visible = images.flatten(2)
    hidden = visible.clone()
    for offset in hidden_offsets:
        places = spots + torch.tensor(offset, device=device)
        # An offset that leads outside the image hides only the spot itself.
        outside = ((places < 0) | (places >= size)).any(-1, keepdim=True)
        places = torch.where(outside, spots, places)
        if fill == "random":
            shape = places.shape[:2]
            drawn = torch.randint(len(fill_offsets), shape, generator=generator, device=device)
            values = _values(visible, places, fill_offsets[drawn], size)
        else:
            each = [_values(visible, places, step, size) for step in fill_offsets]
            values = torch.stack(each).median(0).values
        index = (places[..., 0] * size[1] + places[..., 1])[:, None].expand_as(values)
        hidden.scatter_(2, index, values)
    return hidden.view(images.shape).contiguous(memory_format=torch.channels_last)


def _fill_offsets(lines: Lines | None, device: torch.device) -> Tensor:
    """List the offsets (N, 2) of the pixels that may replace a hidden one."""
    steps = torch.arange(-_FILL_RADIUS, _FILL_RADIUS + 1, device=device)
    offsets = torch.cartesian_prod(steps, steps)
    excluded = offsets[:, 0] == 0 if lines == "rows" else offsets[:, 1] == 0
    if lines is None:
        excluded = (offsets == 0).all(1)
    return offsets[~excluded]


def _values(flat: Tensor, places: Tensor, steps: Tensor, size: Tensor) -> Tensor:
    """Return the values of (B, C, H * W) at some steps from places (B, K, 2): (B, C, K).

    A step that leads outside the image goes the opposite way, so it never ends at the place itself.
    """
    there = places + steps
    there = torch.where((there < 0) | (there >= size), places - steps, there)
    there = torch.minimum(there.clamp(min=0), size - 1)
    index = there[..., 0] * size[1] + there[..., 1]
    return flat.gather(2, index[:, None].expand(-1, flat.shape[1], -1))
