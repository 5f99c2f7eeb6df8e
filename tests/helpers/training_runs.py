"""Small training runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from autodenoise import nets
from autodenoise.data.crops import Batch, ImageCrops
from autodenoise.data.spec import Supervision
from autodenoise.noise import Gaussian
from autodenoise.training.checkpoint import load_state, save_state
from autodenoise.training.history import EpochRow
from autodenoise.training.loop import CHECKPOINT_NAME, fit
from autodenoise.training.optimizers import Muon
from autodenoise.training.phases import Phase
from autodenoise.training.schedules import Cosine
from autodenoise.training.state import Training, TrainingStatus

__all__ = [
    "OBJECTIVES_AND_DATA",
    "RecordingCallback",
    "StopNow",
    "all_objectives",
    "crash_after_checkpoint",
    "losses",
    "squares",
    "training",
    "training_on_crops",
    "weights",
]


OBJECTIVES_AND_DATA: list[tuple[str, Supervision]] = [
    ("supervised", "clean"),
    ("noise2noise", "repeats"),
    ("noise2void", "noisy-only"),
    ("neighbor2neighbor", "noisy-only"),
]


class RecordingCallback:
    """Records what a training reports."""

    def __init__(self) -> None:
        self.steps: list[TrainingStatus] = []
        self.rows: list[EpochRow] = []

    def begin(self, training: Training, rows: tuple[EpochRow, ...]) -> None:
        del training
        self.earlier = rows

    def step(self, status: TrainingStatus) -> None:
        self.steps.append(status)

    def epoch(self, row: EpochRow) -> None:
        self.rows.append(row)


def squares(count: int, seed: int) -> torch.Tensor:
    """Return bright squares on black, which a small network learns in seconds."""
    place = torch.randint(2, 18, (count, 2), generator=torch.Generator().manual_seed(seed))
    images = torch.zeros(count, 1, 28, 28, dtype=torch.uint8)
    for image, (row, column) in zip(images, place.tolist(), strict=True):
        image[0, row : row + 8, column : column + 8] = 255
    return images


def training(phases: dict[str, Phase], **changes: Any) -> Training:
    """Return a training of a small network on squares, with changed attributes."""
    values: dict[str, Any] = {
        "network": nets.build("bottleneck", {"width": 8}, torch.Generator().manual_seed(0)),
        "phases": phases,
        "noise": Gaussian(0.4, clip=True),
        "train": squares(150, 0),
        "validation": Batch(squares(50, 1)),
        "validation_split": "test",
        "noisy_validation": True,
        "seed": 3,
        "device": torch.device("cpu"),
    }
    values |= changes
    return Training(**{"samples": len(values["train"]), **values})


def training_on_crops(objective: str, supervision: Supervision, accumulate: int = 1) -> Training:
    """Return a training on crops so small that their numbers of blind spots differ."""
    random = torch.Generator().manual_seed(5)
    versions = 3 if supervision == "repeats" else 1
    samples = [torch.rand(versions, 1, 19, 22, generator=random) for _ in range(10)]
    phase = Phase(
        epochs=2,
        batch_size=7,
        accumulate=accumulate,
        objective=objective,
        loss="mse",
        optimizer=Muon(),
        schedule=Cosine(),
        clip=0.1,
        ema=0.9,
    )
    validation = torch.rand(3, 1, 8, 8, generator=random)
    return training(
        {"denoise": phase},
        train=ImageCrops(samples, 8, supervision=supervision),
        validation=Batch(
            validation if supervision == "clean" else None, validation, validation.flip(0)
        ),
        samples=3 * len(samples),
    )


def all_objectives() -> Training:
    """Return a training on repeats with several objectives, one after the other."""
    phases: dict[str, Phase] = {
        objective: dataclasses.replace(
            training_on_crops(objective, "repeats", accumulate=2).phases["denoise"],
            lines="rows" if objective.startswith("noise2void") else None,
        )
        for objective, _ in OBJECTIVES_AND_DATA
        if objective != "supervised"
    }
    return dataclasses.replace(training_on_crops("noise2noise", "repeats"), phases=phases)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return the network's weights in a run folder's checkpoint."""
    _, tensors = load_state(folder / CHECKPOINT_NAME)
    return {name: value for name, value in tensors.items() if name.startswith("network.")}


def losses(rows: list[EpochRow]) -> list[tuple[str, int, float, float, float]]:
    """Return the columns of the rows that do not depend on time."""
    return [(row.phase, row.epoch, row.loss, row.val_loss, row.learning_rate) for row in rows]


class StopNow(Exception):
    """Raised by a test to end a training."""


def crash_after_checkpoint(
    training: Training, folder: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Train until right after a checkpoint, counted from 1; one is written after every step."""
    left = number

    def save_and_die(*arguments: Any) -> None:
        nonlocal left
        save_state(*arguments)
        left -= 1
        if left == 0:
            raise StopNow

    with monkeypatch.context() as patch:
        patch.setattr("autodenoise.training.loop._CHECKPOINT_SECONDS", 0.0)
        patch.setattr("autodenoise.training.loop.save_state", save_and_die)
        with pytest.raises(StopNow):
            fit(training, folder, RecordingCallback())
