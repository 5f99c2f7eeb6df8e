"""A run that version 0.1 stopped in the middle of an epoch resumes with the current version."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import autodenoise
from autodenoise.training.checkpoint import load_state
from autodenoise.training.history import read_metrics

OLD_RUN = Path(__file__).parent / "run_of_version_0_1"
OLD_PAIRED_RUN = Path(__file__).parent / "paired_run_of_version_0_1"


def test_a_run_of_version_0_1_resumes_from_its_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(OLD_RUN, folder)
    before, _ = load_state(folder / "checkpoint.safetensors")
    assert (before.phase, before.epoch, before.step) == (1, 0, 8)
    run = autodenoise.resume(folder)
    after, _ = load_state(folder / "checkpoint.safetensors")
    assert after.fingerprint == before.fingerprint
    expected = read_metrics(OLD_RUN / "expected.csv")
    assert [(row.phase, row.epoch) for row in run.rows] == [
        (row.phase, row.epoch) for row in expected
    ]
    # Bit-exact on the processor that wrote it.
    for row, uninterrupted in zip(run.rows, expected, strict=True):
        assert row[2:5] == pytest.approx(uninterrupted[2:5], rel=1e-5)


def test_paired_run_with_old_data_keys_resumes(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(6):
        clean = np.kron(random.integers(40, 216, (8, 8, 3)), np.ones((8, 8, 1)))
        noisy = clean + random.normal(0, 20, clean.shape)
        for name, pixels in (("clean", clean), ("noisy", noisy)):
            (tmp_path / name).mkdir(exist_ok=True)
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(tmp_path / name / f"{number}.png")
    folder = tmp_path / "run"
    shutil.copytree(OLD_PAIRED_RUN, folder)
    recipe = folder / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("IMAGES", tmp_path.as_posix()))
    before, _ = load_state(folder / "checkpoint.safetensors")
    run = autodenoise.resume(folder)
    data = run.recipe.data
    assert (data.supervision, data.gray, data.normalize) == ("paired", True, True)
    after, _ = load_state(folder / "checkpoint.safetensors")
    assert after.fingerprint == before.fingerprint
    expected = read_metrics(OLD_PAIRED_RUN / "expected.csv")
    for row, uninterrupted in zip(run.rows, expected, strict=True):
        assert row[:2] == uninterrupted[:2]
        assert row[2:5] == pytest.approx(uninterrupted[2:5], rel=1e-5)
