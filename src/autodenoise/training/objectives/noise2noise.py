"""Noise2Noise: one noisy image to another of the same sample."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from autodenoise.data.crops import Batch
from autodenoise.training.objectives.objective import DenoisingNetwork, Objective, TrainingTask

__all__ = ["Noise2Noise"]


@dataclass(frozen=True)
class Noise2Noise(Objective):
    """One noisy image to another of the same sample.

    If the noise has zero mean and is independent between the two images, the minimizer of the
    squared error is the same as with a clean target.

    References
    ----------
    Lehtinen et al., "Noise2Noise: Learning image restoration without clean data", ICML 2018.
    """

    description = "Learns to map one noisy image to another of the same sample (Noise2Noise)."

    def __call__(
        self, network: DenoisingNetwork, batch: Batch, generator: torch.Generator
    ) -> TrainingTask:
        """Return the task. If the batch has only clean images, both noisy ones are drawn."""
        del network
        first = self.noisy_images(batch, generator)
        if batch.again is not None:
            return TrainingTask(first, batch.again)
        return TrainingTask(first, self.noisy_images(Batch(batch.clean), generator))
