"""Self-supervised training that dies anywhere ends as if it had not."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from autodenoise.training.checkpoint import load_state, save_state
from autodenoise.training.history import EpochRow
from autodenoise.training.loop import CHECKPOINT_NAME, fit
from autodenoise.training.phases import Phase
from autodenoise.training.state import Training
from tests.training.test_gradients import LEARNT, from_crops
from tests.training.test_loop import Heard, StopNow, losses, weights

# A process that every step leaves a checkpoint in, and that is killed in the middle of one.
_KILLED = """
import os, signal, sys
from pathlib import Path
from autodenoise.training import gradients, loop
from tests.training.test_loop import Heard
from tests.training.test_resuming import in_turn

find, left = gradients.Gradients.compute, 13

def find_and_die(*arguments):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return find(*arguments)

loop._CHECKPOINT_SECONDS = 0.0
gradients.Gradients.compute = find_and_die
loop.fit(in_turn(), Path(sys.argv[1]), Heard())
"""


def in_turn() -> Training:
    """Learn from repeats by several objectives, one after the other."""
    phases: dict[str, Phase] = {
        objective: dataclasses.replace(
            from_crops(objective, "repeats", accumulate=2).phases["denoise"],
            lines="rows" if objective.startswith("noise2void") else None,
        )
        for objective, _ in LEARNT
        if objective != "supervised"
    }
    return dataclasses.replace(from_crops("noise2noise", "repeats"), phases=phases)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[EpochRow]]:
    """Give a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("straight")
    return folder, fit(in_turn(), folder, Heard())


def assert_ends_alike(straight: tuple[Path, list[EpochRow]], broken: Path) -> None:
    folder, expected = straight
    assert losses(fit(in_turn(), broken, Heard())) == losses(expected)
    for name, value in weights(folder).items():
        assert torch.equal(value, weights(broken)[name]), name


@pytest.mark.parametrize("saved", [3, 9, 15, 16, 23, 30])
def test_one_that_died_after_any_checkpoint(
    straight: tuple[Path, list[EpochRow]],
    saved: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = saved

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
            fit(in_turn(), tmp_path, Heard())
    assert_ends_alike(straight, tmp_path)


def test_one_that_was_killed_in_the_middle_of_a_step(
    straight: tuple[Path, list[EpochRow]], tmp_path: Path
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
    assert_ends_alike(straight, tmp_path)
