"""A run that version 0.1 stopped in the middle of an epoch resumes with the current version."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import autodenoise
from autodenoise.training.checkpoint import load_state
from autodenoise.training.history import read_metrics

OLD_RUN = Path(__file__).parent / "run_of_version_0_1"


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
    for row, of_one_sitting in zip(run.rows, expected, strict=True):
        assert row[2:5] == pytest.approx(of_one_sitting[2:5], rel=1e-5)
