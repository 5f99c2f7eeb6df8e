"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from tests.helpers.quick_recipes import SQUARES

# Keras reads its backend when it is first imported.
os.environ["KERAS_BACKEND"] = "torch"
# Tests that run side by side have a core each.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# As the command line does, and for its reason.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# They would colour what the command line says, or cut it elsewhere.
for _name in ("COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS"):
    os.environ.pop(_name, None)

# How long anything takes is the machine's affair.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture
def real_data() -> Path:
    """Give the folder of the real data sets, or skip."""
    folder = os.environ.get("AUTODENOISE_DATA")
    if not folder or not (Path(folder) / "mnist").is_dir():
        pytest.skip("AUTODENOISE_DATA names no folder that holds mnist")
    return Path(folder)


@pytest.fixture
def test_sets() -> Path:
    """Give the folder of the published test sets, or skip."""
    folder = os.environ.get("AUTODENOISE_DATA")
    if not folder or not (Path(folder) / "cbsd68").is_dir():
        pytest.skip("AUTODENOISE_DATA names no folder that holds cbsd68")
    return Path(folder)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a working folder with quick.toml and its images in it."""
    monkeypatch.chdir(tmp_path)
    images = np.zeros((75, 8, 8), np.uint8)
    for image, place in zip(images, np.random.default_rng(0).integers(0, 4, (75, 2)), strict=True):
        image[place[0] : place[0] + 4, place[1] : place[1] + 4] = 255
    np.savez(tmp_path / "set.npz", train=images)
    (tmp_path / "quick.toml").write_text(SQUARES)
    return tmp_path


@pytest.fixture
def training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the model file and the report out, which take longer than the training."""
    monkeypatch.setattr("autodenoise.runs.training._write_outputs", lambda _: None)
