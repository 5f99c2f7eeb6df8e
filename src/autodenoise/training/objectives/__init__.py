"""What is learnt: an objective owns its corruption and says what a network is to make of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor

from autodenoise.data.batch import Batch
from autodenoise.noise.mixture import uncut
from autodenoise.training.objectives import blind_spots, neighbors

if TYPE_CHECKING:
    from collections.abc import Callable

    from autodenoise.noise import Noise
    from autodenoise.training.phases import Phase

__all__ = [
    "Denoises",
    "Neighbor2Neighbor",
    "Noise2Noise",
    "Noise2Void",
    "Objective",
    "Reconstruction",
    "Recorrupted",
    "Supervised",
    "TrainingTask",
    "objective_for",
]


class TrainingTask(NamedTuple):
    """What a network is given, what it should answer, each (B, C, H, W), and where that counts.

    `where` is True at the values that count, in the same shape; None: everywhere.
    """

    given: Tensor
    target: Tensor
    where: Tensor | None = None

    @property
    def weight(self) -> Tensor | int:
        """How much its mean counts beside those of other parts of the same batch."""
        return len(self.given) if self.where is None else self.where.sum()

    def part(self, rows: slice) -> TrainingTask:
        """Give the task of some of the scenes."""
        where = None if self.where is None else self.where[rows]
        return TrainingTask(self.given[rows], self.target[rows], where)


class Denoises(Protocol):
    """What objectives need of a network; see `autodenoise.nets.Autoencoder`."""

    @property
    def multiple(self) -> int | None:
        """What sides have to be multiples of."""
        ...

    def denoise(self, x: Tensor) -> Tensor:
        """Give the clean images, (B, C, H, W)."""
        ...


class Objective(Protocol):
    """What the loop learns towards."""

    def __call__(self, network: Denoises, batch: Batch, generator: torch.Generator) -> TrainingTask:
        """Set the task of a batch."""
        ...


@dataclass(frozen=True)
class Supervised:
    """Noisy to clean (Vincent et al., "Extracting and composing robust features", ICML 2008)."""

    noise: Noise

    def __call__(self, network: Denoises, batch: Batch, generator: torch.Generator) -> TrainingTask:
        """See `Objective`. Draws fresh noise unless the batch brings its own."""
        del network
        assert batch.clean is not None
        return TrainingTask(_noisy(self.noise, batch, generator), batch.clean)


@dataclass(frozen=True)
class Reconstruction:
    """Clean to clean: a plain autoencoder."""

    noise: Noise

    def __call__(self, network: Denoises, batch: Batch, generator: torch.Generator) -> TrainingTask:
        """See `Objective`. The noise stays unused."""
        del network, generator
        assert batch.clean is not None
        return TrainingTask(batch.clean, batch.clean)


@dataclass(frozen=True)
class Noise2Noise:
    """Noisy to the same scene with other noise.

    Noise that is zero on average, and independent between the two, moves the answer that is best
    for a squared error by nothing: it is the clean image still.

    References
    ----------
    Lehtinen et al., "Noise2Noise: Learning image restoration without clean data", ICML 2018.
    """

    noise: Noise

    def __call__(self, network: Denoises, batch: Batch, generator: torch.Generator) -> TrainingTask:
        """See `Objective`. Draws both from the clean image where there is one alone."""
        del network
        given = _noisy(self.noise, batch, generator)
        if batch.again is not None:
            return TrainingTask(given, batch.again)
        return TrainingTask(given, _noisy(self.noise, Batch(batch.clean), generator))


@dataclass(frozen=True)
class Noise2Void:
    """Noisy to itself, at pixels that are hidden from the network: see `blind_spots`.

    Attributes
    ----------
    noise
        Drawn where the batch is clean.
    fill
        What stands where a pixel is hidden: a ``random`` neighbour, or the ``median`` of all.
    lines
        Hide the pixels beside it in its ``rows`` or ``columns`` too, where noise goes along those.

    References
    ----------
    Krull, Buchholz, Jug, "Noise2Void: Learning denoising from single noisy images", CVPR 2019.
    Hoeck, Buchholz, Brachmann, Jug, Freytag, "N2V2: Fixing Noise2Void checkerboard artifacts with
    modified sampling strategies and a tweaked network architecture", ECCV workshops 2022 (the
    median). Broaddus, Krull, Weigert, Schmidt, Myers, "Removing structured noise with
    self-supervised blind-spot networks", ISBI 2020 (the lines).
    """

    noise: Noise
    fill: blind_spots.Fill
    lines: blind_spots.Lines | None = None

    def __call__(self, network: Denoises, batch: Batch, generator: torch.Generator) -> TrainingTask:
        """See `Objective`."""
        del network
        noisy = _noisy(self.noise, batch, generator)
        spots = blind_spots.draw(noisy, generator)
        given = blind_spots.hide(noisy, spots, self.fill, self.lines, generator)
        return TrainingTask(given, noisy, blind_spots.mask(noisy, spots))


@dataclass(frozen=True)
class Neighbor2Neighbor:
    """One pixel of each square of four to another beside it: see `neighbors`.

    Neighbours differ where the image has detail. The regulariser takes off how much they differ in
    what the network itself makes of the whole; its weight is the paper's for Gaussian noise.

    References
    ----------
    Huang, Li, Jia, Lu, Liu, "Neighbor2Neighbor: Self-supervised denoising from single noisy
    images", CVPR 2021, equation 12.
    """

    noise: Noise
    weight: float = 2.0

    def __call__(self, network: Denoises, batch: Batch, generator: torch.Generator) -> TrainingTask:
        """See `Objective`.

        For squared errors, |f - a|^2 + w |f - b|^2 is (1 + w) |f - (a + w b) / (1 + w)|^2 and a
        constant: so both terms of the paper are one target.
        """
        noisy = _noisy(self.noise, batch, generator)
        # Half the sides have to be ones that the network takes.
        step = 2 * (network.multiple or 1)
        height, width = (side - side % step for side in noisy.shape[2:])
        noisy = noisy[:, :, :height, :width]
        cells = neighbors.draw(noisy, generator)
        given, beside = neighbors.pick(noisy, cells)
        with torch.no_grad():
            one, other = neighbors.pick(network.denoise(noisy).to(noisy.dtype), cells)
        share = self.weight / (1 + self.weight)
        return TrainingTask(given, beside + share * (one - other))


@dataclass(frozen=True)
class Recorrupted:
    """Noisy with still more noise to noisy with that noise taken off again, which is independent.

    Needs to know the noise: with z drawn as the noise n of y = x + n, the noises of y + a z and of
    y - z / a are not correlated, and where they are normal, independent. Two shots from one, at
    full size, and with noise of any correlation, as long as it is known. Noise that depends on the
    brightness is drawn for that of y, which on average is right.

    Attributes
    ----------
    noise
        That the pictures have; or, drawn on clean ones, get.
    share
        The paper's alpha: how much more noise.

    References
    ----------
    Pang, Zheng, Quan, Ji, "Recorrupted-to-Recorrupted: Unsupervised deep learning for image
    denoising", CVPR 2021, equation 10.
    """

    noise: Noise
    share: float = 0.5

    def __call__(self, network: Denoises, batch: Batch, generator: torch.Generator) -> TrainingTask:
        """See `Objective`."""
        del network
        noisy = _noisy(self.noise, batch, generator)
        # There are no fewer photons than none.
        base = noisy.clamp(min=0)
        more = _noisy(uncut(self.noise), Batch(base), generator) - base
        return TrainingTask(noisy + self.share * more, noisy - more / self.share)


def objective_for(phase: Phase, noise: Noise) -> Objective:
    """Give the objective that a phase names."""
    kinds: dict[str, Callable[[], Objective]] = {
        "supervised": lambda: Supervised(noise),
        "reconstruction": lambda: Reconstruction(noise),
        "noise2noise": lambda: Noise2Noise(noise),
        "noise2void": lambda: Noise2Void(noise, "random", phase.lines),
        "noise2void2": lambda: Noise2Void(noise, "median", phase.lines),
        "neighbor2neighbor": lambda: Neighbor2Neighbor(noise),
        "recorrupted": lambda: Recorrupted(noise),
    }
    return kinds[phase.objective]()


def _noisy(noise: Noise, batch: Batch, generator: torch.Generator) -> Tensor:
    if batch.noisy is not None:
        return batch.noisy
    assert batch.clean is not None
    # A network may work in bfloat16, but in it JPEG's quantisation would be another.
    with torch.autocast(batch.clean.device.type, enabled=False):
        return noise(batch.clean, generator)
