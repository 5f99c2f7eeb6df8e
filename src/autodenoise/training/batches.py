"""The batches of a phase, by the rows of its epoch that are in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from autodenoise.data.batch import Batch
from autodenoise.data.crops import Crops, as_float
from autodenoise.training.randomness import generator

if TYPE_CHECKING:
    from autodenoise.training.loop import Training

__all__ = ["Batches"]

_DRAWN = 1000


class Batches:
    """What the steps of one phase learn from.

    Parameters
    ----------
    training
        Its images are taken to its device.
    index, name
        Of the phase.
    """

    def __init__(self, training: Training, index: int, name: str) -> None:
        phase, images = training.phases[name], training.train
        self._training, self._index, self._side = training, index, phase.crop
        self._images = images if isinstance(images, Crops) else images.to(training.device)
        self._count = training.samples
        self._noisy = self._again = None
        if isinstance(self._images, Tensor) and phase.noise == "once":
            if phase.objective != "reconstruction":
                self._noisy = self._draw_once(self._images, "noise once")
            if phase.objective == "noise2noise":
                self._again = self._draw_once(self._images, "noise once again")

    def __len__(self) -> int:
        """Give the number of rows in an epoch."""
        return self._count

    def order(self, epoch: int) -> Tensor:
        """Give the rows of an epoch in the order in which they come up."""
        draw = generator(self._training.seed, "order", self._index, epoch)
        if isinstance(self._images, Crops):
            return self._images.order(self._count, draw).to(self._training.device)
        return torch.randperm(self._count, generator=draw).to(self._training.device)

    def batch(self, rows: Tensor, epoch: int, step: int) -> Batch:
        """Give the batch of these rows; crops are drawn for this place."""
        images = self._images
        if isinstance(images, Crops):
            draw = generator(self._training.seed, "crops", self._index, epoch, step)
            return images.batch(rows, draw, self._side).map(as_float)
        drawn = (
            None if once is None else once[rows].contiguous(memory_format=torch.channels_last)
            for once in (self._noisy, self._again)
        )
        return Batch(as_float(images[rows % len(images)]), *drawn)

    def _draw_once(self, images: Tensor, purpose: str) -> Tensor:
        """Give every copy of every image its one noisy version."""
        training, device = self._training, images.device
        noisy = torch.empty(self._count, *images.shape[1:], device=device)
        for start in range(0, self._count, _DRAWN):
            rows = torch.arange(start, min(start + _DRAWN, self._count), device=device)
            # On the CPU, so that it is the same wherever the run is gone on with.
            draw = generator(training.seed, purpose, self._index, start)
            clean = as_float(images[rows % len(images)].cpu())
            noisy[rows] = training.noise(clean, draw).to(device)
        return noisy
