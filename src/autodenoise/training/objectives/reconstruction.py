"""Reconstruction: clean to clean."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from autodenoise.data.crops import Batch
from autodenoise.training.objectives.objective import DenoisingNetwork, Objective, TrainingTask

__all__ = ["Reconstruction"]


@dataclass(frozen=True)
class Reconstruction(Objective):
    """Clean to clean: a plain autoencoder. The noise is not used."""

    description = "Learns to reproduce clean images (a plain autoencoder)."

    def __call__(
        self, network: DenoisingNetwork, batch: Batch, generator: torch.Generator
    ) -> TrainingTask:
        """See `Objective`."""
        del network, generator
        assert batch.clean is not None
        return TrainingTask(batch.clean, batch.clean)
