"""Tune a recipe: train it with different settings and find the lowest validation loss."""

from __future__ import annotations

import csv
import dataclasses
import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import optuna

from autodenoise import recipes
from autodenoise.data import dataset as datasets
from autodenoise.errors import Interrupted, OutputError, TrainingDiverged, UsageError
from autodenoise.files import write_text
from autodenoise.metrics import loss_text
from autodenoise.plots import figure as figures
from autodenoise.plots import tuning as search_figures
from autodenoise.recipes.search_space import Range, label, short_names
from autodenoise.runs.callbacks import CallbackList
from autodenoise.runs.run import RECIPE_NAME
from autodenoise.runs.tensorboard import Tracking
from autodenoise.runs.training import (
    TENSORBOARD_NAME,
    PreparedRun,
    choose_device,
    reopen,
    resolve,
    start,
)
from autodenoise.signals import stop_requests
from autodenoise.training.loop import fit
from autodenoise.training.state import TrainingCallback
from autodenoise.tuning.study import TRIALS_NAME, ClaimedTrial, Study, Trial

if TYPE_CHECKING:
    import os
    import threading
    from collections.abc import Iterable

    from autodenoise.data.download import OnBytes
    from autodenoise.recipes import Recipe
    from autodenoise.training.history import EpochRow
    from autodenoise.training.state import Training, TrainingStatus

__all__ = ["TuningCallback", "TuningResult", "tune"]

BEST_NAME = "best.toml"
TABLE_NAME = "trials.csv"
IMPORTANCE_NAME = "importance.png"
COORDINATES_NAME = "parallel-coordinates.png"

_VALIDATION_SHARE = 1 / 6
_EXAMPLE = """[search]
phase.denoise.optimizer.learning_rate = { low = 1e-4, high = 1e-2, log = true }
phase.denoise.batch_size = [32, 64, 128]"""


@dataclass(frozen=True)
class TuningResult:
    """The trials of a study that have ended so far.

    Attributes
    ----------
    folder
        The study folder.
    recipe
        The recipe, with its data as given.
    trials
        All trials that have ended.
    """

    folder: Path
    recipe: Recipe
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial | None:
        """The complete trial with the lowest validation loss."""
        return min(
            (trial for trial in self.trials if trial.value is not None),
            key=lambda trial: (trial.value, trial.number),
            default=None,
        )


class TuningCallback(TrainingCallback, Protocol):
    """A callback that reports the progress of tuning and of the training in it."""

    def note(self, message: str) -> None:
        """Handle a message for the user."""
        ...

    def start(self, number: int, trials: int) -> None:
        """Handle the start of a trial: its number, and the number of trials in all."""
        ...

    def trial(self, trial: Trial, best: Trial | None) -> None:
        """Handle a trial that has ended, and the best one so far."""
        ...


class _NoReport(CallbackList):
    """A callback that does nothing."""

    def note(self, message: str) -> None:
        """Do nothing."""

    def start(self, number: int, trials: int) -> None:
        """Do nothing."""

    def trial(self, trial: Trial, best: Trial | None) -> None:
        """Do nothing."""


def tune(
    recipe: str | Path | Recipe,
    out: str | os.PathLike[str] | None = None,
    *,
    trials: int = 30,
    storage: str | None = None,
    settings: Iterable[str] = (),
    epochs: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    report: TuningCallback | None = None,
    on_bytes: OnBytes | None = None,
) -> TuningResult:
    """Find the settings in a recipe's ``[search]`` table with the lowest validation loss.

    The first trial is the recipe itself. The settings of later ones are drawn by a tree-structured
    Parzen estimator, and a trial is pruned if its loss is above the median of the others at the
    same epoch. If a recipe validates on its test images, the last sixth of the training images is
    used for validation instead: tuning never sees the test images.

    Several processes can work on the same study. The same call continues a study that was
    interrupted, starting with the interrupted trial, and extends a finished one to more trials.

    Parameters
    ----------
    recipe
        As in `train`.
    out
        The study folder; by default ``tune/NAME``.
    trials
        Number of trials in all.
    storage
        Where Optuna stores the study: a URL such as ``sqlite:///search.db``, or the path of a
        journal ending in ``.journal`` or ``.log``; by default a journal in the study folder.
    settings, epochs, seed, device
        As in `train`. Changed settings are not searched. The seed also determines the trials: a
        single process draws the same ones every time.
    report, on_bytes
        Callbacks for the progress of tuning, training and downloads.

    Returns
    -------
    TuningResult
        All trials so far. The study folder contains ``best.toml`` (the full recipe with its data as
        given), ``trials.csv``, two figures, a run folder per trial in ``trials/`` (`resume` exports
        its model file), and logs for TensorBoard in ``tensorboard/``.

    Raises
    ------
    UsageError
        The recipe, a setting or the storage is invalid, or the recipe has no ``[search]`` table.
    InputError
        The data or the storage is missing or damaged.
    OutputError
        The folder or the storage is used for something else, or is not writable.
    Interrupted
        SIGINT or SIGTERM was received; the same call continues.

    References
    ----------
    Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011; Akiba et al.,
    "Optuna", KDD 2019.
    """
    if trials < 1:
        raise UsageError(f"trials is {trials}; expected at least 1")
    given = resolve(recipe, settings, epochs=epochs, seed=seed)
    if not given.search:
        raise UsageError(f"{given.name} has no table [search]. Add one, such as:\n{_EXAMPLE}")
    choose_device(device)
    report = _NoReport() if report is None else report
    folder = Path("tune") / given.name if out is None else Path(out)
    searched = _without_test_images(given, report, on_bytes)
    study = Study(folder, searched, storage)
    with study.converting_errors(), stop_requests() as stop:
        _check_best(TuningResult(folder, given, tuple(study.trials())))
        try:
            while not stop.is_set() and (claim := study.claim(trials)) is not None:
                report.start(claim.number, trials)
                _run_trial(claim, searched, folder, device, report, stop, on_bytes)
                result = TuningResult(folder, given, tuple(study.trials()))
                trial = next(one for one in result.trials if one.number == claim.number)
                report.trial(trial, result.best)
        except Interrupted:
            stop.set()
        _write(
            found := TuningResult(folder, given, tuple(study.trials())), study.importances(), report
        )
        if stop.is_set():
            raise Interrupted(
                f"interrupted after {len(result.trials)} of {trials} trials; results are in "
                f"{folder}; run the same command to continue"
            )
        if unfinished := study.unfinished():
            report.note(
                f"trials still running in other processes: {', '.join(map(str, unfinished))}"
            )
    return found


def _without_test_images(
    recipe: Recipe, report: TuningCallback, on_bytes: OnBytes | None
) -> Recipe:
    splits = datasets.load(recipe.data, on_bytes)
    if splits.validation is not splits.test:
        return recipe
    report.note(
        "the recipe validates on its test images; tuning validates on the last sixth of the "
        "training images instead"
    )
    return dataclasses.replace(
        recipe, data=dataclasses.replace(recipe.data, holdout=_VALIDATION_SHARE)
    )


class _Pruning:
    """A callback that ends a trial when it should be pruned, or when a stop was requested."""

    def __init__(self, claim: ClaimedTrial, stop: threading.Event) -> None:
        self._claim, self._stop = claim, stop

    def begin(self, training: Training, rows: tuple[EpochRow, ...]) -> None:
        """Report the epochs trained before an interruption."""
        if self._stop.is_set():
            raise Interrupted("interrupted before the first step")
        self._phases = training.phases
        for row in rows:
            self.epoch(row)

    def step(self, status: TrainingStatus) -> None:
        """Do nothing."""

    def epoch(self, row: EpochRow) -> None:
        """Prune the trial after an epoch, except after the last."""
        prune = self._claim.should_prune(row.phase, row.epoch, row.val_loss)
        last = row.phase == list(self._phases)[-1] and row.epoch == self._phases[row.phase].epochs
        if prune and not last:
            raise optuna.TrialPruned(
                f"pruned after epoch {row.epoch} of {row.phase}, val_loss {loss_text(row.val_loss)}"
            )


def _run_trial(
    claim: ClaimedTrial,
    recipe: Recipe,
    folder: Path,
    device: str | None,
    report: TuningCallback,
    stop: threading.Event,
    on_bytes: OnBytes | None,
) -> None:
    """Train a trial until it ends; after a stop or an error it can be continued."""
    name = f"{claim.number:04}"
    values = {key: label(value) for key, value in claim.values.items()}
    try:
        prepared = _open_run(claim, recipe, folder / TRIALS_NAME / name, device, on_bytes)
        with Tracking(folder / TENSORBOARD_NAME / name, values) as tracking:
            callbacks = CallbackList(report, tracking, _Pruning(claim, stop))
            rows = fit(prepared.training, prepared.run.folder, callbacks)
        claim.complete(rows[-1].val_loss)
    except optuna.TrialPruned as pruned:
        claim.prune(str(pruned))
    except TrainingDiverged as error:
        claim.prune(str(error).split(". ")[0])
    except UsageError as error:
        claim.fail(str(error))
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "allocate" not in str(error):
            raise
        claim.fail("not enough memory")
    finally:
        claim.release()


def _open_run(
    claim: ClaimedTrial, recipe: Recipe, folder: Path, device: str | None, on_bytes: OnBytes | None
) -> PreparedRun:
    """Create the run of a trial, or open it if the trial was interrupted."""
    if (folder / RECIPE_NAME).exists():
        return reopen(folder, device, on_bytes)
    if claim.resumed and folder.exists():
        shutil.rmtree(folder)  # killed before there was a checkpoint
    fixed = dataclasses.replace(recipe, search={})
    return start(recipes.with_values(fixed, claim.values), folder, device, on_bytes)


def _best_recipe(result: TuningResult, trial: Trial) -> str:
    """Return the recipe as given, which trains on all images, with the settings of a trial."""
    changed = recipes.with_values(result.recipe, trial.values)
    return recipes.dump(dataclasses.replace(changed, name=f"{result.recipe.name}-tuned"))


def _check_best(result: TuningResult) -> None:
    """Check that the best recipe on disk was not edited, so that it can be overwritten."""
    path = result.folder / BEST_NAME
    if not path.exists():
        return
    complete = (trial for trial in result.trials if trial.value is not None)
    text = path.read_text("utf-8")
    if not any(_best_recipe(result, trial) == text for trial in complete):
        raise OutputError(
            f"{path} was changed by hand; move it to another place, because tuning overwrites it"
        )


def _write(result: TuningResult, importances: dict[str, float], report: TuningCallback) -> None:
    """Write the table, the best recipe and the figures to the study folder."""
    write_text(result.folder / TABLE_NAME, _table(result))
    if result.best is None:
        report.note("no best recipe and figures yet, because no trial has been completed")
        return
    write_text(result.folder / BEST_NAME, _best_recipe(result, result.best))
    names = short_names(result.recipe.search)
    figure = search_figures.parallel_coordinates(_axes(result), [t.value for t in _plotted(result)])
    figures.save(figure, result.folder / COORDINATES_NAME)
    if not importances:
        report.note("the importance of settings is unknown: there are too few different trials")
        return
    shares = {names[key]: share for key, share in importances.items()}
    figures.save(search_figures.importances(shares), result.folder / IMPORTANCE_NAME)


def _table(result: TuningResult) -> str:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["trial", "state", "val_loss", "seconds", *result.recipe.search, "note"])
    for trial in result.trials:
        value = "" if trial.value is None else trial.value
        values = [label(trial.values.get(key, "")) for key in result.recipe.search]
        table.writerow(
            [trial.number, trial.state, value, round(trial.seconds, 3), *values, trial.note]
        )
    return text.getvalue()


def _plotted(result: TuningResult) -> list[Trial]:
    return [trial for trial in result.trials if trial.state != "failed"]


def _axes(result: TuningResult) -> list[search_figures.Axis]:
    names = short_names(result.recipe.search)
    return [
        search_figures.Axis(
            name=names[key],
            values=tuple(_axis_value(space, trial.values[key]) for trial in _plotted(result)),
            low=space.low if isinstance(space, Range) else 0,
            high=space.high if isinstance(space, Range) else len(space) - 1,
            log=isinstance(space, Range) and space.log,
            choices=() if isinstance(space, Range) else tuple(str(label(c)) for c in space),
        )
        for key, space in result.recipe.search.items()
    ]


def _axis_value(space: Range | tuple[Any, ...], value: Any) -> float:
    return value if isinstance(space, Range) else space.index(value)
