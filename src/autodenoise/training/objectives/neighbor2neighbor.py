"""Neighbor2Neighbor: two half-size images out of one, whose noise is independent."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from autodenoise.data.crops import Batch
from autodenoise.training.objectives.objective import DenoisingNetwork, Objective, TrainingTask

__all__ = ["Neighbor2Neighbor", "draw_pairs", "subsample"]

# Positions in a 2x2 cell, numbered row by row: all ordered pairs that share a side.
_PAIRS = ((0, 1), (0, 2), (1, 0), (1, 3), (2, 0), (2, 3), (3, 1), (3, 2))


@dataclass(frozen=True)
class Neighbor2Neighbor(Objective):
    """One pixel of each 2x2 cell to another pixel beside it.

    Neighbors differ where the image has detail. The regularizer subtracts their difference in the
    network's own output for the whole image; its `weight` is by default the paper's for Gaussian
    noise.

    References
    ----------
    Huang, Li, Jia, Lu, Liu, "Neighbor2Neighbor: Self-supervised denoising from single noisy
    images", CVPR 2021, equation 12.
    """

    description = (
        "Learns to predict, from every second pixel of a noisy image, the pixel beside it "
        "(Neighbor2Neighbor)."
    )
    weight: float = 2.0

    def __call__(
        self, network: DenoisingNetwork, batch: Batch, generator: torch.Generator
    ) -> TrainingTask:
        """Return the task.

        For squared errors, |f - a|^2 + w |f - b|^2 is (1 + w) |f - (a + w b) / (1 + w)|^2 plus a
        constant, so one target expresses both terms of equation 12.
        """
        noisy = self.noisy_images(batch, generator)
        # Half the sides must be sizes that the network accepts.
        step = 2 * (network.multiple or 1)
        height, width = (side - side % step for side in noisy.shape[2:])
        noisy = noisy[:, :, :height, :width]
        pairs = draw_pairs(noisy, generator)
        first, second = subsample(noisy, pairs)
        with torch.no_grad():
            output = network.denoise(noisy).to(noisy.dtype)
            first_output, second_output = subsample(output, pairs)
        share = self.weight / (1 + self.weight)
        return TrainingTask(first, second + share * (first_output - second_output))


def draw_pairs(images: Tensor, generator: torch.Generator) -> Tensor:
    """Draw two pixels of each 2x2 cell that share a side.

    Return two positions in each cell, 0 to 3: (B, 2, 1, H // 2, W // 2), int64.
    """
    count, _, height, width = images.shape
    shape = (count, height // 2, width // 2)
    drawn = torch.randint(len(_PAIRS), shape, generator=generator, device=images.device)
    pairs = torch.tensor(_PAIRS, device=images.device)[drawn]
    return pairs.permute(0, 3, 1, 2)[:, :, None]


def subsample(images: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the images of the first and of the second pixels of each cell's pair.

    Both are (B, C, H // 2, W // 2). All channels of a pixel stay together.
    """
    count, channels, height, width = images.shape
    even = images[:, :, : height // 2 * 2, : width // 2 * 2]
    cells = functional.pixel_unshuffle(even, 2).reshape(count, channels, 4, height // 2, width // 2)
    first, second = (
        cells.gather(2, pairs[:, which, None].expand(-1, channels, -1, -1, -1))[:, :, 0]
        for which in (0, 1)
    )
    layout = torch.channels_last
    return first.contiguous(memory_format=layout), second.contiguous(memory_format=layout)
