"""Recorrupted2Recorrupted: more noise is drawn on noisy images, if their noise is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from autodenoise.data.crops import Batch
from autodenoise.noise.mixture import without_clipping
from autodenoise.training.objectives.objective import DenoisingNetwork, Objective, TrainingTask

__all__ = ["Recorrupted"]


@dataclass(frozen=True)
class Recorrupted(Objective):
    """Noisy images with extra noise added to noisy images with extra noise subtracted.

    Let y = x + n, and draw z from the distribution of n. The noises of y + a z and y - z / a are
    uncorrelated, and independent if n is Gaussian. So each noisy image yields two at full size,
    even if the noise is correlated between pixels, as long as its distribution is known. Noise
    that depends on the brightness is drawn at the brightness of y, which is right on average.
    `alpha` is ``a``.

    References
    ----------
    Pang, Zheng, Quan, Ji, "Recorrupted-to-Recorrupted: Unsupervised deep learning for image
    denoising", CVPR 2021, equation 10.
    """

    description = (
        "Learns to map images with extra noise to images whose noise is independent of it "
        "(Recorrupted2Recorrupted)."
    )
    alpha: float = 0.5

    def __call__(
        self, network: DenoisingNetwork, batch: Batch, generator: torch.Generator
    ) -> TrainingTask:
        """See `Objective`."""
        del network
        noisy = self.noisy_images(batch, generator)
        unclipped = replace(self, noise=without_clipping(self.noise))
        # Photon counts are not negative.
        base = noisy.clamp(min=0)
        extra = unclipped.noisy_images(Batch(base), generator) - base
        return TrainingTask(noisy + self.alpha * extra, noisy - extra / self.alpha)
