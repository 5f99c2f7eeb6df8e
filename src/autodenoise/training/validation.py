"""The validation loss, and the noise of images that are not trained on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from autodenoise.data.crops import as_float
from autodenoise.nets import Autoencoder
from autodenoise.noise import Noise
from autodenoise.training.losses import LOSSES
from autodenoise.training.objectives import TrainingTask
from autodenoise.training.phases import Phase
from autodenoise.training.randomness import generator
from autodenoise.training.state import Training

__all__ = ["Validation", "corrupt", "draw_repeats"]

# Noise is drawn for this many images at a time. Changing it changes the noise.
_IMAGES_PER_DRAW = 500
# The network gets at most this many pixels at a time, which limits memory.
_PIXELS_PER_BATCH = 500 * 64 * 64


class Validation:
    """Computes the validation loss of a run, always with the same noise."""

    def __init__(self, training: Training) -> None:
        images = training.validation.map(lambda images: images.to(training.device))
        self._noise, self._seed, self._world = training.noise, training.seed, training.world
        if images.clean is not None and images.noisy is None and training.noisy_validation:
            split = training.validation_split
            images = images._replace(noisy=corrupt(self._noise, images.clean, self._seed, split))
        self._images = images

    @torch.no_grad()
    def loss(self, network: Autoencoder, phase: Phase) -> float:
        """Return the mean loss, computed by all processes together.

        With clean images it is the loss of denoising, whatever the objective of the phase.
        """
        loss = LOSSES[phase.loss]
        network.eval()
        total = torch.zeros((), dtype=torch.float64)
        _, height, width = self._images.shape
        count = min(_IMAGES_PER_DRAW, max(1, _PIXELS_PER_BATCH // (height * width)))
        starts = range(0, self._images.size, count)
        for start in starts[self._world.rank :: self._world.size]:
            task = self._task(network, phase, start, count)
            total += loss(network, *task).item() * len(task.input)
        self._world.all_reduce([total])
        return total.item() / self._images.size

    def _task(self, network: Autoencoder, phase: Phase, start: int, count: int) -> TrainingTask:
        batch = self._images.map(lambda images: as_float(images[start : start + count]))
        clean, noisy, _ = batch
        if clean is None:
            assert noisy is not None
            draws = generator(self._seed, "validation", start, device=noisy.device)
            return phase.build_objective(self._noise)(network, batch, draws)
        if noisy is None or phase.objective == "reconstruction":
            return TrainingTask(clean, clean)
        return TrainingTask(noisy, clean)


def draw_repeats(noise: Noise, images: Iterable[Tensor], count: int, seed: int) -> Iterator[Tensor]:
    """Yield `count` noisy versions (count, C, H, W) of each clean image (1, C, H, W)."""
    for number, clean in enumerate(images):
        draws = generator(seed, "shots", number)
        yield torch.cat([noise(as_float(clean), draws) for _ in range(count)])


def corrupt(noise: Noise, clean: Tensor, seed: int, split: str, count: int | None = None) -> Tensor:
    """Return clean images (N, C, H, W), uint8 or float32, with noise, as float32.

    `seed` and `split`, where the images are from, determine the noise together. It is drawn on the
    CPU, so that it is the same for every device. With `count`, only the first images are returned,
    with the same noise as without it.
    """
    count = len(clean) if count is None else min(count, len(clean))
    noisy = torch.empty(count, *clean.shape[1:], device=clean.device)
    for start in range(0, count, _IMAGES_PER_DRAW):
        rows = slice(start, start + _IMAGES_PER_DRAW)
        draws = generator(seed, f"noise of {split}", start)
        noisy[rows] = noise(as_float(clean[rows].cpu()), draws)[: count - start].to(clean.device)
    return noisy
