"""Watching how training goes, on images that it does not learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from autodenoise.data.batch import Batch
from autodenoise.data.dataset import as_float
from autodenoise.training.distributed import SINGLE_PROCESS, World
from autodenoise.training.losses import LOSSES
from autodenoise.training.objectives import TrainingTask
from autodenoise.training.randomness import generator

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from autodenoise.nets import Autoencoder
    from autodenoise.noise import Noise
    from autodenoise.training.phases import Phase

__all__ = ["Validation", "corrupt", "take_shots"]

# Images are taken this many at a time to be corrupted, which decides what noise they get...
_DRAWN = 500
# ...and so many pixels at a time to be denoised, which decides the memory that it takes.
_PIXELS = 500 * 64 * 64


class Validation:
    """Images with noise that is drawn once and the same in every sitting.

    Parameters
    ----------
    images
        Each (N, C, H, W), uint8 or float32 in [0, 1], on the device of the network. With clean ones
        the loss is that of denoising, whatever was learnt from; without, that of the objective.
    noise
        Of clean images that have no noisy version.
    seed, part
        What the noise follows from, see `corrupt`.
    noisy
        Whether the network is fed noisy images or, as one tutorial has it, the clean ones.
    """

    def __init__(
        self, images: Batch, noise: Noise, seed: int, part: str, *, noisy: bool = True
    ) -> None:
        if images.clean is not None and images.noisy is None and noisy:
            images = images._replace(noisy=corrupt(noise, images.clean, seed, part))
        self.images, self.noise, self.seed, self.part = images, noise, seed, part

    @torch.no_grad()
    def loss(self, network: Autoencoder, phase: Phase, world: World = SINGLE_PROCESS) -> float:
        """Give the mean loss of a phase's own task on them, which the processes share out."""
        loss = LOSSES[phase.loss]
        network.eval()
        total = torch.zeros((), dtype=torch.float64)
        _, height, width = self.images.shape
        count = min(_DRAWN, max(1, _PIXELS // (height * width)))
        starts = range(0, self.images.size, count)
        for start in starts[world.rank :: world.count]:
            task = self._task(network, phase, start, count)
            total += loss(network, *task).item() * len(task.input)
        world.add_up([total])
        return total.item() / self.images.size

    def _task(self, network: Autoencoder, phase: Phase, start: int, count: int) -> TrainingTask:
        batch = self.images.map(lambda images: as_float(images[start : start + count]))
        clean, noisy, _ = batch
        if clean is None:
            assert noisy is not None
            draw = generator(self.seed, "validation", start, device=noisy.device)
            return phase.build_objective(self.noise)(network, batch, draw)
        if noisy is None or phase.objective == "reconstruction":
            return TrainingTask(clean, clean)
        return TrainingTask(noisy, clean)


def take_shots(noise: Noise, scenes: Iterable[Tensor], count: int, seed: int) -> Iterator[Tensor]:
    """Give so many noisy versions of each clean picture (1, C, H, W), as (count, C, H, W)."""
    for number, clean in enumerate(scenes):
        draw = generator(seed, "shots", number)
        yield torch.cat([noise(as_float(clean), draw) for _ in range(count)])


def corrupt(noise: Noise, clean: Tensor, seed: int, part: str, count: int | None = None) -> Tensor:
    """Give one part's images, uint8 or float32, the noise that this seed draws for that part.

    With `count`, only the first so many: they get the noise that they have among all. It is drawn
    on the CPU, so that it is the same on every device.
    """
    count = len(clean) if count is None else min(count, len(clean))
    noisy = torch.empty(count, *clean.shape[1:], device=clean.device)
    for start in range(0, count, _DRAWN):
        rows = slice(start, start + _DRAWN)
        draw = generator(seed, f"noise of {part}", start)
        noisy[rows] = noise(as_float(clean[rows].cpu()), draw)[: count - start].to(clean.device)
    return noisy
