from __future__ import annotations

import csv
import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import autodenoise
from autodenoise import recipes
from autodenoise.data import dataset as data
from autodenoise.data.splits import Part
from autodenoise.errors import (
    AutodenoiseError,
    InputError,
    Interrupted,
    OutputError,
    UsageError,
)
from autodenoise.runs import Run
from autodenoise.runs.callbacks import CallbackList
from autodenoise.training.history import EpochRow
from autodenoise.training.state import TrainingStatus
from autodenoise.tuning.search import TuningResult
from autodenoise.tuning.study import Study, Trial
from tests.helpers.event_files import curve, hyperparameters

pytestmark = pytest.mark.usefixtures("folder")

RATE, WIDTH = "phase.denoise.optimizer.learning_rate", "network.width"
BATCH = "phase.reconstruct.batch_size"


class Recorder(CallbackList):
    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.started: list[int] = []
        self.trials: list[Trial] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def start(self, number: int, trials: int) -> None:
        assert number < trials
        self.started.append(number)

    def trial(self, trial: Trial, best: Trial | None) -> None:
        if best is not None and best.value is not None and trial.value is not None:
            assert best.value <= trial.value
        self.trials.append(trial)


def outcome(search: TuningResult) -> list[tuple[int, str, float | None, dict[str, Any]]]:
    return [(trial.number, trial.state, trial.value, trial.values) for trial in search.trials]


def test_tuning_writes_trials_best_recipe_and_figures() -> None:
    recorder = Recorder()
    search = autodenoise.tune("quick.toml", trials=8, report=recorder)
    folder = Path("tune/quick")
    assert search.folder == folder
    assert recorder.started == [trial.number for trial in recorder.trials] == list(range(8))
    assert recorder.trials == list(search.trials)
    # The first trial is the recipe itself.
    assert search.trials[0].values == {RATE: 1e-3, WIDTH: 4, BATCH: 16}
    losses = []
    for trial in search.trials:
        assert 1e-4 <= trial.values[RATE] <= 1e-1
        assert trial.values[WIDTH] in (2, 4, 6)
        assert trial.values[BATCH] in (8, 16)
        run = Run.open(folder / "trials" / f"{trial.number:04}")
        assert recipes.settings_of(run.recipe)[RATE] == trial.values[RATE]
        assert recipes.settings_of(run.recipe)[WIDTH] == trial.values[WIDTH]
        assert run.rows[-1].phase == "denoise" or trial.state == "pruned"
        if trial.state == "complete":
            assert trial.value == run.rows[-1].val_loss
            losses.append(trial.value)
        else:
            assert "pruned after epoch" in trial.note
        # The TensorBoard logs agree.
        tracked = folder / "tensorboard" / f"{trial.number:04}"
        assert hyperparameters(tracked) == trial.values
        step, loss = curve(tracked, f"{run.rows[-1].phase}/val_loss")[-1]
        assert step == len(run.rows)
        assert loss == pytest.approx(run.rows[-1].val_loss)
    assert search.best is not None
    assert search.best.value == min(losses)

    best = recipes.load(folder / "best.toml")
    given = recipes.load("quick.toml")
    assert recipes.with_values(given, search.best.values) == dataclasses.replace(best, name="quick")
    assert best.name == "quick-tuned"

    with (folder / "trials.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [int(line["trial"]) for line in table] == list(range(8))
    assert [float(line["val_loss"]) for line in table if line["val_loss"]] == losses
    assert [float(line[RATE]) for line in table] == [t.values[RATE] for t in search.trials]
    for name in ("importance.png", "parallel-coordinates.png"):
        with Image.open(folder / name) as image:
            assert min(image.size) > 100


def test_single_process_is_reproducible_and_depends_on_the_seed() -> None:
    # More trials than the ten that Optuna draws at random.
    settings = [f"{BATCH}=16", "phase.denoise.epochs=1"]
    first = autodenoise.tune("quick.toml", "a", trials=12, settings=settings)
    again = autodenoise.tune("quick.toml", "b", trials=6, settings=settings)
    assert outcome(again) == outcome(first)[:6]
    again = autodenoise.tune("quick.toml", "b", trials=12, settings=settings)
    assert outcome(again) == outcome(first)
    other = autodenoise.tune("quick.toml", "c", trials=2, settings=settings, seed=1)
    assert other.trials[1].values != first.trials[1].values


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> dict[str, NDArray[np.float32]]:
    """Return a dataset whose test images are NaN."""
    monkeypatch.setattr("autodenoise.images.to_float", lambda array: array)
    random = np.random.default_rng(0)
    return {
        "train": random.random((60, 8, 8), np.float32),
        "test": np.full((10, 8, 8), np.nan, np.float32),
    }


def test_tuning_never_uses_the_test_images(poisoned: dict[str, NDArray[np.float32]]) -> None:
    np.savez("poisoned.npz", train=poisoned["train"], test=poisoned["test"])
    settings = ["data.source=poisoned.npz", "data.validation=test"]
    recorder = Recorder()
    search = autodenoise.tune("quick.toml", trials=2, settings=settings, report=recorder)
    assert [trial.state for trial in search.trials] == ["complete", "complete"]
    assert any("test images" in note for note in recorder.notes)
    run = Run.open(search.folder / "trials/0001")
    splits = run.data()
    train = torch.from_numpy(poisoned["train"])[:, None]
    assert torch.equal(splits.train.images, train[:50])
    assert torch.equal(splits.validation.images, train[50:])
    assert splits.test.images.isnan().all()
    # The best recipe trains on all training images again.
    best = recipes.load(search.folder / "best.toml").data
    assert best.holdout is None
    assert len(data.load(best).train.images) == 60


def test_tuning_never_uses_the_test_images_of_an_unsplit_dataset() -> None:
    recipe = recipes.load("quick.toml")
    search = autodenoise.tune("quick.toml", trials=1)
    splits = Run.open(search.folder / "trials/0000").data()
    plain = data.load(recipe.data)
    assert torch.equal(splits.test.images, plain.test.images)
    count = len(splits.train.images)
    assert torch.equal(splits.train.images, plain.train.images[:count])
    assert torch.equal(splits.validation.images, plain.train.images[count:])
    assert len(splits.validation.images) == pytest.approx(len(plain.train.images) / 6, abs=1)


def test_separate_validation_images_are_used_unchanged(
    poisoned: dict[str, NDArray[np.float32]],
) -> None:
    train, test = poisoned["train"], poisoned["test"]
    np.savez("own.npz", train=train, validation=train[:20], test=test)
    recorder = Recorder()
    settings = ["data.source=own.npz", "data.validation=test"]
    search = autodenoise.tune("quick.toml", trials=1, settings=settings, report=recorder)
    assert search.trials[0].state == "complete"
    assert not recorder.notes[:-1]
    assert "importance of settings" in recorder.notes[-1]
    assert Run.open(search.folder / "trials/0000").recipe.data.holdout is None


class Stopper(Recorder):
    """Requests a stop in the middle of a trial."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def epoch(self, row: EpochRow) -> None:
        super().epoch(row)
        if self.started[-1] == self.number and row.phase == "reconstruct":
            os.kill(os.getpid(), signal.SIGINT)


def test_stopped_study_continues_the_interrupted_trial() -> None:
    straight = autodenoise.tune("quick.toml", "straight", trials=3)
    with pytest.raises(Interrupted, match="after 1 of 3 trials"):
        autodenoise.tune("quick.toml", "broken", trials=3, report=Stopper(1))
    # Results so far are written.
    assert recipes.load("broken/best.toml").name == "quick-tuned"
    assert len(Path("broken/trials.csv").read_text().splitlines()) == 2
    recorder = Recorder()
    search = autodenoise.tune("quick.toml", "broken", trials=3, report=recorder)
    assert recorder.started == [1, 2]
    assert outcome(search) == outcome(straight)
    assert [step for step, _ in curve(Path("broken/tensorboard/0001"), "denoise/loss")] == [2, 3]


def python(program: str, *arguments: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


KILLED = """
import os, signal
from autodenoise.tuning import search, study
prune = study.ClaimedTrial.should_prune
def die(self, phase, epoch, loss):
    if (self.number, phase, epoch) == (1, "denoise", 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return prune(self, phase, epoch, loss)
study.ClaimedTrial.should_prune = die
search.tune("quick.toml", "broken", trials=3)
"""


def test_killed_study_continues_the_interrupted_trial() -> None:
    straight = autodenoise.tune("quick.toml", "straight", trials=3)
    process = python(KILLED)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    before = Run.open("broken/trials/0001").rows
    assert len(before) == 2
    search = autodenoise.tune("quick.toml", "broken", trials=3)
    assert outcome(search) == outcome(straight)
    # Including the seconds: those epochs were not trained again.
    assert Run.open("broken/trials/0001").rows[:2] == before


CLAIMS = """
import pathlib, sys
from autodenoise import recipes
from autodenoise.tuning.study import Study
study = Study(pathlib.Path("study"), recipes.load("quick.toml"), sys.argv[1] or None)
with study.converting_errors():
    claim = study.claim(10)
    print(claim.number, claim.values, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("storage", ["", "sqlite:///s.db"])
def test_trial_belongs_to_one_running_process(storage: str) -> None:
    process = python(CLAIMS, storage)
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith("0 "), process.communicate()
    study = Study(Path("study"), recipes.load("quick.toml"), storage or None)
    with study.converting_errors():
        ours = study.claim(10)
        assert ours is not None
        assert ours.number == 1
        assert study.unfinished() == [0, 1]
        process.kill()
        process.communicate()
        interrupted = study.claim(10)
        assert interrupted is not None
        assert interrupted.resumed
        assert f"{interrupted.number} {interrupted.values}\n" == first
        # Both of two trials are claimed.
        assert study.claim(2) is None
        ours.complete(0.5)
        ours.release()
        interrupted.fail("why not")
        interrupted.release()
        assert [trial.state for trial in study.trials()] == ["failed", "complete"]
        assert study.trials()[0].note == "why not"


TUNES = """
import sys
from autodenoise.tuning import search
class Printer(search._NoReport):
    def trial(self, trial, best):
        print(trial.number, flush=True)
storage = sys.argv[1] or None
search.tune("quick.toml", "study", trials=6, storage=storage, epochs=1, report=Printer())
"""


@pytest.mark.parametrize("storage", ["shared.journal", "sqlite:///s.db"])
def test_two_processes_share_the_trials_of_a_study(storage: str) -> None:
    processes = [python(TUNES, storage), python(TUNES, storage)]
    output = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], output
    numbers = [int(line) for out, _ in output for line in out.splitlines()]
    assert sorted(numbers) == list(range(6))
    search = autodenoise.tune("quick.toml", "study", trials=6, storage=storage or None, epochs=1)
    assert len(search.trials) == 6
    assert len({trial.values[RATE] for trial in search.trials}) == 6


def test_diverging_trials_do_not_end_tuning() -> None:
    settings = [
        "phase.denoise.optimizer={kind = 'adadelta'}",
        f"search={{'{RATE}' = [1.0, 1e30, 1e35]}}",
    ]
    search = autodenoise.tune("quick.toml", trials=4, settings=settings, seed=1)
    for trial in search.trials:
        if trial.values[RATE] >= 1e30:
            assert trial.state == "pruned"
            assert trial.note.startswith("the loss became")
        else:
            assert trial.state == "complete"
    assert {trial.state for trial in search.trials} == {"complete", "pruned"}


def test_invalid_networks_do_not_end_tuning() -> None:
    text = Path("quick.toml").read_text().replace(", width = 4", "")
    head, _, _ = text.partition("[search]")
    Path("quick.toml").write_text(f"{head}[search]\nnetwork.name = ['bottleneck', 'blur']\n")
    search = autodenoise.tune("quick.toml", trials=6)
    for trial in search.trials:
        if trial.values["network.name"] == "blur":  # which takes images of 28x28
            assert trial.state == "failed"
            assert "does not accept images of 8x8" in trial.note
        else:
            assert trial.state == "complete"
    assert {trial.state for trial in search.trials} == {"complete", "failed"}


def test_trials_are_pruned_by_their_loss_within_the_phase() -> None:
    recipe = recipes.load("quick.toml")
    study = Study(Path("study"), recipe, None)
    with study.converting_errors():
        for loss in (0.2, 0.3, 0.4, 0.5, 0.6):
            claim = study.claim(10)
            assert claim is not None
            # Losses of reconstruction are much lower.
            assert not claim.should_prune("reconstruct", 1, 0.01)
            assert not claim.should_prune("denoise", 1, loss)
            claim.complete(loss)
            claim.release()
        claim = study.claim(10)
        assert claim is not None
        assert not claim.should_prune("reconstruct", 1, 0.01)
        assert not claim.should_prune("denoise", 1, 0.39)
        # The best loss of this phase counts.
        assert not claim.should_prune("denoise", 2, 0.7)
        claim.release()
        claim = study.claim(10)
        assert claim is not None
        assert claim.resumed
        other = study.claim(10)
        assert other is not None
        assert other.should_prune("reconstruct", 1, 0.02)
        assert other.should_prune("denoise", 1, 0.41)


# Recipes for photos would take minutes; loading them has checked their search tables.
_SMALL = [name for name in recipes.builtin_names() if recipes.load(name).data.crop is None]


@pytest.mark.parametrize("name", _SMALL)
def test_every_builtin_recipe_can_be_tuned(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(0)
    few = Part(torch.randint(0, 256, (20, 1, 28, 28), dtype=torch.uint8, generator=random))
    monkeypatch.setattr(data, "load", lambda *_: data.Splits(few, few, few))
    search = autodenoise.tune(name, trials=2, epochs=1, device="cpu")
    assert [trial.state for trial in search.trials] == ["complete", "complete"]
    settings = recipes.settings_of(recipes.load(name))
    assert all(settings[key] == value for key, value in search.trials[0].values.items())
    best = recipes.load(search.folder / "best.toml").data
    assert best == dataclasses.replace(recipes.load(name).data, copies=best.copies)


def test_invalid_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match="trials is 0"):
        autodenoise.tune("quick.toml", trials=0)
    with pytest.raises(UsageError, match=r"(?s)Add one, such as:\n\[search\]"):
        autodenoise.tune("quick.toml", settings=["search={}"])
    with pytest.raises(UsageError, match="expected cpu or cuda"):
        autodenoise.tune("quick.toml", device="tpu")
    Path("busy").mkdir()
    Path("busy/letter.txt").write_text("Dear")
    with pytest.raises(OutputError, match="is not a study folder"):
        autodenoise.tune("quick.toml", "busy")
    assert sorted(Path("busy").iterdir()) == [Path("busy/letter.txt")]


@pytest.mark.parametrize(
    ("storage", "kind", "message"),
    [
        ("letter.txt", UsageError, "expected a URL"),
        ("letter.log", InputError, "not a journal entry"),
        ("binary.log", InputError, "not a journal entry"),
        ("torn.log", InputError, "torn.log is damaged"),
        ("none/s.log", OutputError, "cannot open the storage"),
        ("sqlite:///letter.txt", InputError, "not a database"),
        ("sqlite:///none/s.db", OutputError, "unable to open"),
        ("sqlite:///locked.db", OutputError, "locked"),
        ("nosql://me:secret@host/db", UsageError, "me:***@host"),
    ],
)
def test_invalid_storages_are_refused_and_unchanged(
    storage: str, kind: type[AutodenoiseError], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autodenoise.tuning.study._SQLITE_SECONDS", 0.1)
    contents = {
        "letter.txt": b"Dear reader, this is not a storage at all. " * 20,
        "letter.log": b"Dear reader",
        "binary.log": bytes(range(256)),
        "torn.log": b'{"op_code":0,"wor\n{"op_code":0}\n',
    }
    for name, content in contents.items():
        Path(name).write_bytes(content)
    with sqlite3.connect("locked.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(kind) as caught:
            autodenoise.tune("quick.toml", trials=1, storage=storage)
    other.close()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    for name, content in contents.items():
        assert Path(name).read_bytes() == content


def test_all_trials_of_a_study_are_of_one_recipe() -> None:
    where = "sqlite:///s.db"
    autodenoise.tune("quick.toml", "a", trials=1, storage=where)
    for settings in (["noise.sigma=0.5"], ["phase.denoise.epochs=1"]):
        with pytest.raises(UsageError, match="of another recipe") as caught:
            autodenoise.tune("quick.toml", "b", trials=1, storage=where, settings=settings)
        assert settings[0].split("=")[0] in str(caught.value)
    text = Path("quick.toml").read_text()
    Path("quick.toml").write_text(text.replace("high = 6", "high = 8"))
    with pytest.raises(UsageError, match=r"search\.network\.width\.high is 6 there, 8 here"):
        autodenoise.tune("quick.toml", "a", trials=2, storage=where)
    Path("quick.toml").write_text(text)
    # The folder has trials that a new study does not contain.
    with pytest.raises(OutputError, match="another study than the one in"):
        autodenoise.tune("quick.toml", "a", trials=1)
    assert len(autodenoise.tune("quick.toml", "a", trials=2, storage=where).trials) == 2


def test_study_of_another_program_is_not_changed() -> None:
    study = optuna.create_study(storage="sqlite:///s.db", study_name="quick")
    study.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(UsageError, match="of another recipe"):
        autodenoise.tune("quick.toml", storage="sqlite:///s.db")
    assert study.user_attrs == {}
    assert len(study.trials) == 1


def test_edited_best_recipe_is_not_overwritten() -> None:
    search = autodenoise.tune("quick.toml", trials=1)
    best = search.folder / "best.toml"
    changed = best.read_text() + "# my own"
    best.write_text(changed)
    with pytest.raises(OutputError, match="move it to another place"):
        autodenoise.tune("quick.toml", trials=2)
    assert best.read_text() == changed
    best.rename("mine.toml")
    assert len(autodenoise.tune("quick.toml", trials=2).trials) == 2
    assert best.exists()


def test_best_recipe_and_trials_can_be_trained_to_a_model() -> None:
    search = autodenoise.tune("quick.toml", trials=1)
    trial = autodenoise.resume(search.folder / "trials/0000")
    assert trial.rows[-1].val_loss == search.trials[0].value
    assert trial.model().card.scores["val_loss"] == search.trials[0].value
    run = autodenoise.train(search.folder / "best.toml")
    assert run.folder == Path("runs/quick-tuned")
    assert search.best is not None
    assert recipes.settings_of(run.recipe)[WIDTH] == search.best.values[WIDTH]


def test_out_of_memory_does_not_end_tuning() -> None:
    class Greedy(Recorder):
        def step(self, status: TrainingStatus) -> None:
            super().step(status)
            if self.started[-1] == 0:
                raise RuntimeError("can't allocate memory")

    search = autodenoise.tune("quick.toml", trials=2, report=Greedy())
    assert [trial.state for trial in search.trials] == ["failed", "complete"]
    assert search.trials[0].note == "not enough memory"
