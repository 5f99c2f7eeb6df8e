"""The batches of a phase."""

from __future__ import annotations

import torch
from torch import Tensor

from autodenoise.data.crops import Batch, Crops, as_float
from autodenoise.training.randomness import generator
from autodenoise.training.state import Training

__all__ = ["Batches"]

# Noise that is drawn once is drawn for this many images at a time. Changing it changes the noise.
_IMAGES_PER_DRAW = 1000


class Batches:
    """The training batches of the phase at an index."""

    def __init__(self, training: Training, index: int) -> None:
        images, (_, phase) = training.train, training.phase(index)
        self._training, self._index, self._side = training, index, phase.crop
        self._images = images if isinstance(images, Crops) else images.to(training.device)
        self._noisy = self._again = None
        if isinstance(self._images, Tensor) and phase.noise == "once":
            if phase.objective != "reconstruction":
                self._noisy = self._draw_once(self._images, "noise once")
            if phase.objective == "noise2noise":
                self._again = self._draw_once(self._images, "noise once again")

    def order(self, epoch: int) -> Tensor:
        """Return the rows of an epoch in random order."""
        training = self._training
        draws = generator(training.seed, "order", self._index, epoch)
        if isinstance(self._images, Crops):
            return self._images.order(training.samples, draws).to(training.device)
        return torch.randperm(training.samples, generator=draws).to(training.device)

    def batch(self, rows: Tensor, epoch: int, step: int) -> Batch:
        """Return the batch with these rows of `order`, which is that of a step."""
        images = self._images
        if isinstance(images, Crops):
            draws = generator(self._training.seed, "crops", self._index, epoch, step)
            return images.batch(rows, draws, self._side).map(as_float)
        noisy, again = (
            None if drawn is None else drawn[rows].contiguous(memory_format=torch.channels_last)
            for drawn in (self._noisy, self._again)
        )
        return Batch(as_float(images[rows % len(images)]), noisy, again)

    def _draw_once(self, images: Tensor, purpose: str) -> Tensor:
        """Return one noisy version of every sample of an epoch."""
        training, count, device = self._training, self._training.samples, images.device
        noisy = torch.empty(count, *images.shape[1:], device=device)
        for start in range(0, count, _IMAGES_PER_DRAW):
            rows = torch.arange(start, min(start + _IMAGES_PER_DRAW, count), device=device)
            # On the CPU, so that a resume on another device draws the same.
            draws = generator(training.seed, purpose, self._index, start)
            clean = as_float(images[rows % len(images)].cpu())
            noisy[rows] = training.noise(clean, draws).to(device)
        return noisy
