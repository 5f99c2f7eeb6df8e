"""Training by two processes that torchrun starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import autodenoise
from autodenoise.training.checkpoint import load_state
from autodenoise.training.distributed import SINGLE_PROCESS, World, join_world
from autodenoise.training.history import EpochRow, read_metrics

# 29 images, 5 copies each: the last batch of an epoch is one image, of which one process has none.
RECIPE = """
title = "A quick one"
data = { source = "set.npz", validation = "last", crop = 8, copies = 5 }
noise = { kind = "gaussian", sigma = 0.2 }
network = { name = "bottleneck", width = 8 }

[phase.denoise]
epochs = 2
batch_size = 16
loss = "mse"
optimizer = { kind = "muon" }
clip = 0.1
ema = 0.9

[phase.hidden]
epochs = 2
batch_size = 16
accumulate = 2
objective = "noise2void"
loss = "mse"

[phase.beside]
epochs = 1
batch_size = 16
objective = "neighbor2neighbor"
loss = "mse"
"""

# Several trainings by command line, one after the other, and the output of each process.
_TRAININGS = """
import contextlib, faulthandler, io, json, os, shutil, signal, sys
from torch import distributed
from autodenoise.cli import main
from autodenoise.training.gradients import Gradients
from autodenoise.runs import training

# Rather than wait for each other forever.
faulthandler.dump_traceback_later(300, exit=True)
rank = int(os.environ["RANK"])
folder, outputs = os.getcwd(), {}
compute = Gradients.compute

def run(name, *arguments):
    # As when torchrun restarts all processes.
    os.environ["TORCHELASTIC_RESTART_COUNT"] = str(len(outputs))
    sys.argv = ["autodenoise", "train", *arguments]
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
    if distributed.is_initialized():
        distributed.destroy_process_group()
    outputs[name] = [code, stdout.getvalue(), stderr.getvalue()]
    with open(os.path.join(folder, f"{rank}.json"), "w") as file:
        json.dump(outputs, file)

def signalled(number, step):
    left = step

    def compute_after_signals(*arguments):
        nonlocal left
        left -= 1
        if left == 0 and rank == 1:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
        return compute(*arguments)

    Gradients.compute = compute_after_signals

run("two", "quick.toml", "--out", "two")
# The model file and the report take longer than the training.
training._write_outputs = lambda _: None
signalled(signal.SIGTERM, 22)
run("stopped", "quick.toml", "--out", "stopped")
if rank == 0:
    shutil.copytree("stopped", "copy")
Gradients.compute = compute
run("resumed", "--resume", "stopped")
run("misspelt", "quick.toml", "--set", "noise.sigmaa=1", "--out", "none")
run("in use", "quick.toml", "--out", "stopped")
run("different", "quick.toml", "--seed", str(rank), "--out", "different")
run("minutes", "quick.toml", "--minutes", "0.005", "--out", "minutes")
os.chdir("." if rank == 0 else "elsewhere")
run("missing", "quick.toml", "--out", "none")
os.chdir("." if rank == 0 else "..")
# torchrun sends it to the remaining processes.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signalled(signal.SIGKILL, 3)
run("lost", "quick.toml", "--out", "lost")
"""

Outputs = list[dict[str, list[Any]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a recipe, its images, and all runs of two processes."""
    folder = tmp_path_factory.mktemp("parallel")
    (folder / "elsewhere").mkdir()
    images = np.zeros((37, 12, 12), np.uint8)
    places = np.random.default_rng(0).integers(0, 7, (37, 2))
    for image, (row, column) in zip(images, places, strict=True):
        image[row : row + 6, column : column + 6] = 255
    np.savez(folder / "set.npz", train=images)
    (folder / "quick.toml").write_text(RECIPE)
    (folder / "trainings.py").write_text(_TRAININGS)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *launcher, "trainings.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert "exitcode  : -9" in done.stderr, done.stderr  # the last training's end
    return folder


@pytest.fixture(scope="module")
def outputs(folder: Path) -> Outputs:
    """Return the exit code, stdout and stderr of each training, for both processes."""
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.fixture
def one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to that folder, to train in a single process without export and report."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("autodenoise.runs.training._write_outputs", lambda _: None)
    return folder


def curve(run: Path) -> list[float]:
    return [value for row in rows(run) for value in (row.loss, row.val_loss)]


def rows(run: Path) -> list[EpochRow]:
    return read_metrics(run / "metrics.csv")


def test_two_processes_have_the_loss_curve_of_one(one: Path) -> None:
    autodenoise.train("quick.toml", "one")
    assert len(curve(one / "one")) == 10
    assert curve(one / "one")[-1] < 0.7 * curve(one / "one")[1]
    assert curve(one / "two") == pytest.approx(curve(one / "one"), rel=1e-4)
    _, alone = load_state(one / "one/checkpoint.safetensors")
    _, together = load_state(one / "two/checkpoint.safetensors")
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=0, atol=1e-4)


def test_only_rank_0_writes_and_prints(folder: Path, outputs: Outputs) -> None:
    (code, output, error), other = (by["two"] for by in outputs)
    assert code == 0
    assert output.count("denoise epoch 1:") == 1
    assert "autodenoise evaluate two" in output
    assert error == ""
    assert other == [0, "", ""]
    assert (folder / "two/report.html").exists()
    model = autodenoise.load(folder / "two")
    assert model(np.zeros((8, 8))).shape == (8, 8)
    assert "2 processes, each on cpu" in model.card.compute


def test_signal_to_one_process_stops_both_and_resume_is_bit_exact(
    folder: Path, outputs: Outputs
) -> None:
    (code, _, error), (other, _, more) = (output["stopped"] for output in outputs)
    assert sorted([code, other]) == [1, 130]
    assert error + more == (
        "autodenoise: stopped in phase hidden, epoch 1; resume with: "
        "autodenoise train --resume stopped\n"
    )
    state, _ = load_state(folder / "copy/checkpoint.safetensors")
    assert (state.phase, state.epoch, state.step) == (1, 0, 2)
    assert [output["resumed"][0] for output in outputs] == [0, 0]
    assert curve(folder / "stopped") == curve(folder / "two")
    _, tensors = load_state(folder / "stopped/checkpoint.safetensors")
    for name, value in load_state(folder / "two/checkpoint.safetensors")[1].items():
        assert torch.equal(value, tensors[name]), name


def test_one_process_resumes_a_run_of_two(one: Path) -> None:
    autodenoise.resume("copy")
    assert curve(one / "copy") == pytest.approx(curve(one / "two"), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "expected", "error"),
    [
        ("misspelt", 2, "did you mean 'sigma'?"),
        ("in use", 4, "stopped exists already; resume it with"),
        ("different", 3, "the processes do not train the same thing"),
        ("missing", 3, "cannot read the recipe quick.toml"),
    ],
)
def test_errors_are_printed_once(
    folder: Path, outputs: Outputs, name: str, expected: int, error: str
) -> None:
    codes = [output[name][0] for output in outputs]
    assert sorted(codes) == sorted([1, expected])
    errors = [output[name][2] for output in outputs]
    assert error in errors[codes.index(expected)]
    assert errors[codes.index(1)] == ""
    assert not (folder / "none").exists()


def test_minutes_end_all_processes_together(folder: Path, outputs: Outputs) -> None:
    assert [output["minutes"][0] for output in outputs] == [0, 0]
    own = [row for row in rows(folder / "minutes") if row.phase == "denoise"]
    assert sum(row.seconds for row in own) >= 60 * 0.005 * 2 / 5


def test_remaining_process_ends_after_a_kill(outputs: Outputs) -> None:
    code, _, error = outputs[0]["lost"]
    assert code == 6
    assert "another process of this training disappeared without an error" in error
    assert "lost" not in outputs[1]


@given(st.integers(0, 50), st.integers(1, 5), st.integers(1, 5))
def test_every_row_is_in_one_part_of_one_process(rows: int, count: int, each: int) -> None:
    parts = [World(rank, count).parts(rows, each) for rank in range(count)]
    assert [row for own in parts for part in own for row in range(rows)[part]] == list(range(rows))
    sizes = [part.stop - part.start for own in parts for part in own]
    assert all(len(own) <= each for own in parts)
    assert all(size > 0 for size in sizes)
    assert not sizes or max(sizes) <= -(-rows // (count * each))


def test_single_process_does_not_communicate() -> None:
    with join_world() as world:
        assert world is SINGLE_PROCESS
    values = [torch.ones(2), torch.zeros(())]
    SINGLE_PROCESS.all_reduce(values)
    assert values[0].tolist() == [1, 1]
    assert SINGLE_PROCESS.all_max(3.5, False) == [3.5, 0]
    assert SINGLE_PROCESS.all_agree("anything")
