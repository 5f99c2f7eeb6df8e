"""A small classifier of clean images, to measure whether denoising restores recognizability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from autodenoise.data.crops import as_float
from autodenoise.nets.layers import Conv, he_uniform_, pool, relu
from autodenoise.training.randomness import generator

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from autodenoise.data.splits import Part

__all__ = ["Accuracy", "Classifier"]

_STEPS, _EPOCHS, _BATCH, _LEARNING_RATE = 1000, 30, 128, 3e-3


@dataclass(frozen=True)
class Accuracy:
    """The share of images that a classifier trained on clean images recognizes."""

    images: int
    clean: float
    noisy: float
    denoised: float


class Classifier:
    """A convolutional classifier, trained on clean images and their labels when it is created.

    Two pooled convolutions, an average over 4x4 places, two dense layers; 1,000 steps of Adam on
    batches of 128, or 30 epochs where that is less, on a one-cycle schedule. `on_step` is called
    with the finished and the total number of steps.
    """

    def __init__(
        self, part: Part, seed: int, on_step: Callable[[int, int], None] | None = None
    ) -> None:
        assert part.labels is not None
        classes = int(part.labels.max()) + 1
        self._network = nn.Sequential(
            *(Conv(part.images.shape[1], 16), pool(), relu()),
            *(Conv(16, 32), pool(), relu()),
            *(nn.AdaptiveAvgPool2d(4), nn.Flatten()),
            *(nn.Linear(512, 64), relu()),
            nn.Linear(64, classes),
        )
        he_uniform_(self._network, generator(seed, "classifier"))
        steps = min(_STEPS, _EPOCHS * math.ceil(len(part.images) / _BATCH))
        optimizer = torch.optim.Adam(self._network.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=steps)
        for step in range(steps):
            rows = torch.randint(
                len(part.images), (_BATCH,), generator=generator(seed, "classifier's batch", step)
            )
            logits = self._network(as_float(part.images[rows]))
            optimizer.zero_grad()
            functional.cross_entropy(logits, part.labels[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            if on_step is not None:
                on_step(step + 1, steps)

    @torch.no_grad()
    def accuracy(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
        """Return the share of images (N, H, W, C) in [0, 1] that are classified correctly."""
        right = 0
        for start in range(0, len(images), 500):
            batch = torch.from_numpy(images[start : start + 500]).permute(0, 3, 1, 2)
            found = self._network(batch).argmax(1).numpy()
            right += int((found == labels[start : start + 500]).sum())
        return right / len(images)
