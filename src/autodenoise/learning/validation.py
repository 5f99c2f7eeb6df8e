"""Watching how training goes, on images that it does not learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from autodenoise.learning.data import as_float
from autodenoise.learning.objectives import LOSSES
from autodenoise.learning.randomness import generator

if TYPE_CHECKING:
    from torch import Tensor

    from autodenoise.learning.phases import Phase
    from autodenoise.nets import Autoencoder
    from autodenoise.noise import Noise

__all__ = ["Validation", "corrupt"]

# Images are taken this many at a time to be corrupted, which decides what noise they get...
_DRAWN = 500
# ...and so many pixels at a time to be denoised, which decides the memory that it takes.
_PIXELS = 500 * 64 * 64


class Validation:
    """Images with noise that is drawn once and the same in every sitting.

    Parameters
    ----------
    clean
        (N, C, H, W), uint8 or float32 in [0, 1], on the device of the network.
    noise
        Their corruption; None where the network is to be fed clean images.
    seed, part
        What the noise follows from, see `corrupt`.
    """

    def __init__(self, clean: Tensor, noise: Noise | None, seed: int, part: str) -> None:
        self.clean = clean
        self.noisy = None if noise is None else corrupt(noise, clean, seed, part)

    @torch.no_grad()
    def loss(self, network: Autoencoder, phase: Phase) -> float:
        """Give the mean loss of a phase's own task on them."""
        loss = LOSSES[phase.loss]
        network.eval()
        total = 0.0
        height, width = self.clean.shape[2:]
        count = min(_DRAWN, max(1, _PIXELS // (height * width)))
        for start in range(0, len(self.clean), count):
            rows = slice(start, start + count)
            given = clean = as_float(self.clean[rows])
            if self.noisy is not None and phase.objective == "supervised":
                given = self.noisy[rows].contiguous(memory_format=torch.channels_last)
            total += loss(network, given, clean).item() * len(clean)
        return total / len(self.clean)


def corrupt(noise: Noise, clean: Tensor, seed: int, part: str, count: int | None = None) -> Tensor:
    """Give one part's images, uint8 or float32, the noise that this seed draws for that part.

    With `count`, only the first so many: they get the noise that they have among all.
    """
    count = len(clean) if count is None else min(count, len(clean))
    noisy = torch.empty(count, *clean.shape[1:], device=clean.device)
    for start in range(0, count, _DRAWN):
        rows = slice(start, start + _DRAWN)
        draw = generator(seed, f"noise of {part}", start, device=clean.device)
        noisy[rows] = noise(as_float(clean[rows]), draw)[: count - start]
    return noisy
