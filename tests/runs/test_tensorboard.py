from __future__ import annotations

import dataclasses
import io
import os
import signal
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import autodenoise
from autodenoise.errors import Interrupted, MissingExtra
from autodenoise.runs.callbacks import CallbackList
from autodenoise.runs.tensorboard import Tracking
from autodenoise.training.checkpoint import load_state
from autodenoise.training.history import EpochRow
from autodenoise.training.phases import Phase
from autodenoise.training.state import Training
from tests.helpers.event_files import curve, events, hyperparameters

PICTURES = "clean, noisy, denoised"


def assert_curves_are_the_metrics(run: autodenoise.Run) -> None:
    expected = defaultdict(list)
    for step, row in enumerate(run.rows, start=1):
        for name in ("loss", "val_loss", "learning_rate", "images_per_second"):
            expected[f"{row.phase}/{name}"].append((step, getattr(row, name)))
    folder = run.folder / "tensorboard"
    assert set(events(folder).Tags()["scalars"]) == expected.keys()
    for tag, points in expected.items():
        drawn = curve(folder, tag)
        assert [step for step, _ in drawn] == [step for step, _ in points], tag
        np.testing.assert_allclose([v for _, v in drawn], [v for _, v in points], rtol=1e-6)


@pytest.mark.usefixtures("folder", "training_alone")
def test_tensorboard_shows_the_metrics() -> None:
    settings = ["network={name = 'dense', widths = [32, 8, 32]}"]
    run = autodenoise.train("quick.toml", "run", settings=settings, tensorboard=True)
    assert_curves_are_the_metrics(run)
    values = hyperparameters(run.folder / "tensorboard")
    assert values["phase.denoise.optimizer.kind"] == "adam"
    assert values["phase.denoise.optimizer.learning_rate"] == 1e-3
    assert values["phase.denoise.batch_size"] == 16
    assert values["network.widths"] == "[32, 8, 32]"
    assert values["noise.sigma"] == 0.4
    assert values["noise.clip"] is True
    assert values["data.source"] == "set.npz"
    assert not {"title", "name", "about"} & values.keys()


@pytest.mark.usefixtures("folder", "training_alone")
def test_same_images_are_shown_in_every_epoch() -> None:
    run = autodenoise.train("quick.toml", "run", tensorboard=True)
    drawn = events(run.folder / "tensorboard").Images(PICTURES)
    assert [image.step for image in drawn] == [1, 2, 3]
    pixels = [
        np.asarray(Image.open(io.BytesIO(image.encoded_image_string)).convert("L"))
        for image in drawn
    ]
    clean = np.load("set.npz")["train"][60:68].astype(float)
    enlarged = clean.repeat(11, axis=1).repeat(11, axis=2)
    side = 88 + 6
    for number, image in enumerate(enlarged):
        left = number * side
        assert (pixels[0][:88, left : left + 88] == image).all()
    assert (pixels[0][: 2 * side] == pixels[2][: 2 * side]).all()
    assert (pixels[0][2 * side :] != pixels[2][2 * side :]).any()
    # What is denoised is nearer to the clean images than what is noisy.
    clean_row, noisy_row, denoised_row = (
        pixels[2][row * side : row * side + 88].astype(float) for row in range(3)
    )
    assert clean_row.shape == noisy_row.shape == denoised_row.shape == (88, 8 * side - 6)


@pytest.mark.usefixtures("folder", "training_alone")
def test_tracking_does_not_change_training() -> None:
    plain = autodenoise.train("quick.toml", "plain")
    tracked = autodenoise.train("quick.toml", "tracked", tensorboard=True)
    assert not (plain.folder / "tensorboard").exists()
    _, a = load_state(plain.folder / "checkpoint.safetensors")
    _, b = load_state(tracked.folder / "checkpoint.safetensors")
    assert all(torch.equal(a[name], b[name]) for name in a)


class StopsAfter(CallbackList):
    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.left = epochs

    def epoch(self, row: EpochRow) -> None:
        super().epoch(row)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("folder", "training_alone")
@pytest.mark.parametrize("epochs", [1, 2])
def test_resumed_run_continues_tracking(epochs: int) -> None:
    with pytest.raises(Interrupted):
        autodenoise.train("quick.toml", "run", tensorboard=True, report=StopsAfter(epochs))
    run = autodenoise.resume("run")
    assert len(run.rows) == 3
    assert_curves_are_the_metrics(run)
    assert [p.step for p in events(run.folder / "tensorboard").Images(PICTURES)] == [1, 2, 3]


@pytest.mark.usefixtures("folder", "training_alone")
def test_tracking_can_start_in_a_resumed_run() -> None:
    with pytest.raises(Interrupted):
        autodenoise.train("quick.toml", "run", report=StopsAfter(2))
    run = autodenoise.resume("run", tensorboard=True)
    assert_curves_are_the_metrics(run)


def row(epoch: int, loss: float) -> EpochRow:
    return EpochRow("denoise", epoch, loss, loss, 1e-3, 1.0, 100.0)


@pytest.fixture
def training(folder: Path, training_alone: None) -> Training:
    """Give what a run has trained."""
    del folder, training_alone
    recorder: list[Training] = []

    class TrainingRecorder(CallbackList):
        def begin(self, training: Training, rows: tuple[EpochRow, ...]) -> None:
            super().begin(training, rows)
            recorder.append(training)

    autodenoise.train("quick.toml", "run", epochs=1, report=TrainingRecorder())
    return recorder[0]


def test_long_run_writes_about_ten_images(training: Training) -> None:
    long = dataclasses.replace(training, phases={"denoise": Phase(epochs=23)})
    with Tracking(Path("tracked"), {}) as tracking:
        tracking.begin(long, ())
        for epoch in range(1, 24):
            tracking.epoch(row(epoch, 0.5))
    drawn = events(Path("tracked")).Images(PICTURES)
    assert [image.step for image in drawn] == [1, *range(2, 23, 2)]


def test_events_after_the_checkpoint_are_superseded(training: Training) -> None:
    folder = Path("tracked")
    first = [row(epoch, 0.5) for epoch in range(1, 5)]
    with Tracking(folder, {}) as tracking:
        tracking.begin(training, ())
        for entry in first:
            tracking.epoch(entry)
    # Killed, and the checkpoint is of the second epoch.
    with Tracking(folder, {}) as tracking:
        tracking.begin(training, tuple(first[:2]))
        tracking.epoch(row(3, 0.25))
    expected = [(1, 0.5), (2, 0.5), (3, 0.25)]
    assert curve(folder, "denoise/loss") == expected
    # Killed after the checkpoint of the fourth and fifth, before they were drawn.
    later = (*first[:2], row(3, 0.25), row(4, 0.125), row(5, 0.125))
    with Tracking(folder, {}) as tracking:
        tracking.begin(training, later)
    expected += [(4, 0.125), (5, 0.125)]
    assert curve(folder, "denoise/loss") == expected


def test_missing_tensorboard_is_an_error_with_advice(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtra, match=r"pip install 'autodenoise\[tracking\]'"):
        autodenoise.train("quick.toml", "run", tensorboard=True)
    assert not (folder / "run").exists()
