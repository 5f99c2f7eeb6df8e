"""Supervised learning: noisy to clean."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from autodenoise.data.crops import Batch
from autodenoise.training.objectives.objective import DenoisingNetwork, Objective, TrainingTask

__all__ = ["Supervised"]


@dataclass(frozen=True)
class Supervised(Objective):
    """Noisy to clean.

    References
    ----------
    Vincent et al., "Extracting and composing robust features with denoising autoencoders", ICML
    2008.
    """

    description = "Learns to map noisy images to clean ones."

    def __call__(
        self, network: DenoisingNetwork, batch: Batch, generator: torch.Generator
    ) -> TrainingTask:
        """Return the task. Noise is drawn only if the batch has no noisy images."""
        del network
        assert batch.clean is not None
        return TrainingTask(self.noisy_images(batch, generator), batch.clean)
