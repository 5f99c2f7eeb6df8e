"""A recipe that trains in no time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

QUICK = """
title = "A quick one"
data = { source = "set.npz", validation = "last" }
noise = { kind = "gaussian", sigma = 0.4, clip = true }
network = { name = "bottleneck", width = 4 }
phase.reconstruct = { epochs = 1, batch_size = 16, objective = "reconstruction" }
phase.denoise = { epochs = 2, batch_size = 16 }

[search]
phase.denoise.optimizer.learning_rate = { low = 1e-4, high = 1e-1, log = true }
network.width = { low = 2, high = 6, step = 2 }
phase.reconstruct.batch_size = [8, 16]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a working folder with quick.toml and its images in it."""
    monkeypatch.chdir(tmp_path)
    images = np.zeros((75, 8, 8), np.uint8)
    for image, place in zip(images, np.random.default_rng(0).integers(0, 4, (75, 2)), strict=True):
        image[place[0] : place[0] + 4, place[1] : place[1] + 4] = 255
    np.savez(tmp_path / "set.npz", train=images)
    (tmp_path / "quick.toml").write_text(QUICK)
    return tmp_path


@pytest.fixture
def training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the model file and the report out, which take longer than the training."""
    monkeypatch.setattr("autodenoise.runs.training._hand_over", lambda _: None)
