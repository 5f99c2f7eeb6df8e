"""Self-supervised training resumes bit-exactly after a crash at any point."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from autodenoise.training.checkpoint import load_state
from autodenoise.training.history import EpochRow
from autodenoise.training.loop import CHECKPOINT_NAME, fit
from tests.helpers.training_runs import (
    RecordingCallback,
    all_objectives,
    crash_after_checkpoint,
    losses,
    weights,
)

# A process that writes a checkpoint after every step and is killed within one.
_KILLED = """
import os, signal, sys
from pathlib import Path
from autodenoise.training import gradients, loop
from tests.helpers.training_runs import crash_after_checkpoint, RecordingCallback, all_objectives

find, left = gradients.Gradients.compute, 13

def find_and_die(*arguments):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return find(*arguments)

loop._CHECKPOINT_SECONDS = 0.0
gradients.Gradients.compute = find_and_die
loop.fit(all_objectives(), Path(sys.argv[1]), RecordingCallback())
"""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[EpochRow]]:
    """Return a run that was not interrupted."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, fit(all_objectives(), folder, RecordingCallback())


def assert_same_end(uninterrupted: tuple[Path, list[EpochRow]], interrupted: Path) -> None:
    folder, expected = uninterrupted
    assert losses(fit(all_objectives(), interrupted, RecordingCallback())) == losses(expected)
    for name, value in weights(folder).items():
        assert torch.equal(value, weights(interrupted)[name]), name


@pytest.mark.parametrize("saved", [3, 9, 15, 16, 23, 30])
def test_resume_after_a_crash_at_any_checkpoint_is_bit_exact(
    uninterrupted: tuple[Path, list[EpochRow]],
    saved: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crash_after_checkpoint(all_objectives(), tmp_path, saved, monkeypatch)
    assert_same_end(uninterrupted, tmp_path)


def test_resume_after_kill_within_a_step_is_bit_exact(
    uninterrupted: tuple[Path, list[EpochRow]], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    state, _ = load_state(tmp_path / CHECKPOINT_NAME)
    assert (state.phase, state.epoch, state.step) == (1, 0, 2)
    assert_same_end(uninterrupted, tmp_path)
