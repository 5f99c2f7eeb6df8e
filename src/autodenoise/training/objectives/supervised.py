"""Supervised learning: noisy to clean."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from autodenoise.data.crops import Batch
from autodenoise.noise import Noise
from autodenoise.training.objectives.objective import DenoisingNetwork, TrainingTask, noisy_images

__all__ = ["Supervised"]


@dataclass(frozen=True)
class Supervised:
    """Noisy to clean.

    References
    ----------
    Vincent et al., "Extracting and composing robust features with denoising autoencoders", ICML
    2008.
    """

    noise: Noise

    def __call__(
        self, network: DenoisingNetwork, batch: Batch, generator: torch.Generator
    ) -> TrainingTask:
        """Return the task. Noise is drawn only if the batch has no noisy images."""
        del network
        assert batch.clean is not None
        return TrainingTask(noisy_images(self.noise, batch, generator), batch.clean)

    def describe(self) -> str:
        """See `Objective`."""
        return "Learns to map noisy images to clean ones."
