"""What a training run consists of, how far it is, and the callbacks that follow it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from autodenoise.data.crops import Batch, Crops
from autodenoise.nets import Autoencoder
from autodenoise.noise import Noise
from autodenoise.training.distributed import SINGLE_PROCESS, World
from autodenoise.training.history import EpochRow
from autodenoise.training.phases import Phase

__all__ = ["Training", "TrainingCallback", "TrainingState", "TrainingStatus"]


@dataclass(frozen=True)
class Training:
    """Everything that `autodenoise.training.loop.fit` needs.

    `network` is trained in place. `noise` is drawn on clean training images and, if
    `noisy_validation`, on clean validation images; otherwise the network sees clean ones, as in one
    tutorial. `train` has clean images (N, C, H, W), uint8 or float32 in [0, 1], on any device; or
    random crops of images of any size, clean or not. `samples` is the number of images or crops per
    epoch, distributed evenly over all images.

    If there are clean images in `validation`, its loss compares with them; otherwise it is that of
    the objective. `validation_split`, ``"validation"`` or ``"test"``, is where they are from. A
    later evaluation of the same split draws the same noise.

    `recipe_text` identifies the recipe. A checkpoint can only be resumed with the same text. By
    default it is made of the phases and the noise; measured noise differs between processors in the
    last digits. `notes` say what a user should know about the training images. Each process of
    `world` has all of this; only the main one writes.
    """

    network: Autoencoder
    phases: Mapping[str, Phase]
    noise: Noise
    train: Tensor | Crops
    validation: Batch
    validation_split: str
    noisy_validation: bool
    samples: int
    seed: int
    device: torch.device
    recipe_text: str = ""
    notes: tuple[str, ...] = ()
    world: World = SINGLE_PROCESS

    def phase(self, index: int) -> tuple[str, Phase]:
        """Return the name and the phase at an index."""
        return list(self.phases.items())[index]

    def steps(self, phase: Phase) -> int:
        """Return the number of steps in an epoch."""
        return math.ceil(self.samples / phase.batch_size)


@dataclass
class TrainingState:
    """How far a training run is, between two steps. Checkpoints contain it.

    `phase`, `epoch` and `step` are the indices of the next step; `phase` is the number of phases
    once all are over. `loss_sum` adds the losses of the images seen in this epoch, `seconds` is the
    time spent in it. `factor` is the learning rate of the last step as a share of the peak. A
    checkpoint can only be resumed if its `fingerprint`, a digest of what is trained, matches.
    """

    phase: int = 0
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    factor: float = 0.0
    rows: list[EpochRow] = field(default_factory=list)
    fingerprint: str = ""


@dataclass(frozen=True)
class TrainingStatus:
    """Progress between two steps, for display. `epoch` and `step` count finished ones.

    If a phase is limited in minutes, `epochs` is an estimate.
    """

    phase: str
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    images_per_second: float
    eta: float


class TrainingCallback(Protocol):
    """Follows a training run."""

    def begin(self, training: Training, rows: tuple[EpochRow, ...]) -> None:
        """Handle the start of training, with the epochs finished before a resume."""

    def step(self, status: TrainingStatus) -> None:
        """Handle the progress, a few times a second."""

    def epoch(self, row: EpochRow) -> None:
        """Handle a finished epoch. The network has the weights that were validated."""
