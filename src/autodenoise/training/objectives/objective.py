"""What every objective is: a callable that turns a batch into the network's task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from autodenoise.data.crops import Batch
from autodenoise.noise import Noise

__all__ = ["DenoisingNetwork", "Objective", "TrainingTask"]


class TrainingTask(NamedTuple):
    """What the network sees and what it should return, each (B, C, H, W).

    `mask` has the same shape and is True where the loss counts; None: everywhere.
    """

    input: Tensor
    target: Tensor
    mask: Tensor | None = None

    @property
    def weight(self) -> Tensor | int:
        """Weight of this task's mean loss when the parts of a batch are combined."""
        return len(self.input) if self.mask is None else self.mask.sum()

    def part(self, rows: slice) -> TrainingTask:
        """Return the task of some of the samples."""
        mask = None if self.mask is None else self.mask[rows]
        return TrainingTask(self.input[rows], self.target[rows], mask)


class DenoisingNetwork(Protocol):
    """What objectives need of a network; see `autodenoise.nets.Autoencoder`."""

    @property
    def multiple(self) -> int | None:
        """Number that the sides of an image must be multiples of."""

    def denoise(self, x: Tensor) -> Tensor:
        """Return denoised images, (B, C, H, W)."""


@dataclass(frozen=True)
class Objective(ABC):
    """What training minimizes the loss of. An objective owns the noise that it draws."""

    noise: Noise
    description: ClassVar[str]

    @abstractmethod
    def __call__(
        self, network: DenoisingNetwork, batch: Batch, generator: torch.Generator
    ) -> TrainingTask:
        """Return the task for a batch."""

    def describe(self) -> str:
        """Return one sentence that says what the network learns."""
        return self.description

    def noisy_images(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the noisy images of a batch, or draw noise on the clean ones."""
        if batch.noisy is not None:
            return batch.noisy
        assert batch.clean is not None
        # The network may run in bfloat16, but JPEG quantization must not.
        with torch.autocast(batch.clean.device.type, enabled=False):
            return self.noise(batch.clean, generator)
