"""Searching: many runs of one recipe, each with other settings, for the lowest validation loss."""

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
from autodenoise.plots import images as figures
from autodenoise.plots import tuning as search_figures
from autodenoise.recipes.search_space import Range, label, short_names
from autodenoise.runs.listeners import Listeners
from autodenoise.runs.run import RECIPE_NAME
from autodenoise.runs.tensorboard import Tracking
from autodenoise.runs.training import (
    TENSORBOARD_NAME,
    Sitting,
    choose_device,
    reopen,
    resolve,
    start,
)
from autodenoise.signals import stop_requests
from autodenoise.training.loop import fit
from autodenoise.training.state import TrainingCallback
from autodenoise.tuning.study import TRIALS_NAME, Claim, Study, Trial

if TYPE_CHECKING:
    import os
    import threading
    from collections.abc import Iterable

    from autodenoise.data.download import OnBytes
    from autodenoise.recipes import Recipe
    from autodenoise.training.history import EpochRow
    from autodenoise.training.state import Training, TrainingStatus

__all__ = ["Search", "SearchReport", "tune"]

BEST_NAME = "best.toml"
TABLE_NAME = "trials.csv"
IMPORTANCE_NAME = "importance.png"
COORDINATES_NAME = "parallel-coordinates.png"

_HOLDOUT = 1 / 6
_EXAMPLE = """[search]
phase.denoise.optimizer.learning_rate = { low = 1e-4, high = 1e-2, log = true }
phase.denoise.batch_size = [32, 64, 128]"""


@dataclass(frozen=True)
class Search:
    """What a search has found so far.

    Attributes
    ----------
    folder
        The study folder.
    recipe
        What was searched, with its data as they were given.
    trials
        Those that are over.
    """

    folder: Path
    recipe: Recipe
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial | None:
        """The complete trial of the lowest validation loss."""
        return min(
            (trial for trial in self.trials if trial.value is not None),
            key=lambda trial: (trial.value, trial.number),
            default=None,
        )


class SearchReport(TrainingCallback, Protocol):
    """Hears how a search and the training in it go."""

    def note(self, sentence: str) -> None:
        """Take something worth knowing."""
        ...

    def start(self, number: int, trials: int) -> None:
        """Take the number of the trial that is about to be trained, and how many there will be."""
        ...

    def trial(self, trial: Trial, best: Trial | None) -> None:
        """Take a trial that is over, and the best so far."""
        ...


class _Silent(Listeners):
    """A report that nobody hears."""

    def note(self, sentence: str) -> None:
        """Say nothing."""

    def start(self, number: int, trials: int) -> None:
        """Say nothing."""

    def trial(self, trial: Trial, best: Trial | None) -> None:
        """Say nothing."""


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
    report: SearchReport | None = None,
    on_bytes: OnBytes | None = None,
) -> Search:
    """Search the settings of a recipe's ``[search]`` for the lowest validation loss.

    The first trial is the recipe as it is; the others are drawn by a tree-structured Parzen
    estimator, and given up where the median of the others was better at the same epoch. Where
    validation images are the test images, the last sixth of the training images is held back and
    validated on instead: a search never sees the test images.

    Several processes can work on one study at once. The same call goes on with a study that was
    stopped, with the trial that was cut off first, and with one that is finished if there are
    to be more trials.

    Parameters
    ----------
    recipe
        As `train` takes it.
    out
        The study folder; by default ``tune/`` and the recipe's name.
    trials
        How many there are to be in all.
    storage
        Where the study is kept: a URL that Optuna takes, such as ``sqlite:///search.db``, or the
        path of a journal, which ends in ``.journal`` or ``.log``; by default a journal in the
        study folder.
    settings, epochs, seed, device
        As `train` takes them. A setting that is changed so is not searched. Trials are drawn from
        the seed too: one process alone draws the same ones again.
    report, on_bytes
        Hear how search, training and downloads go.

    Returns
    -------
    Search
        What was found. The study folder has it as ``best.toml``, a recipe in full with its data as
        they were given, as ``trials.csv`` and as two figures; a run folder for each trial in
        ``trials/``, without a model file until `resume` makes it; and all of them for TensorBoard
        in ``tensorboard/``.

    Raises
    ------
    UsageError
        The recipe, a setting or the storage cannot mean anything, or the recipe has no search.
    InputError
        The data are missing or damaged, or the storage is.
    OutputError
        The folder or the storage is in use for something else, or cannot be written.
    Interrupted
        SIGINT or SIGTERM came; the same call goes on.

    References
    ----------
    Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011; Akiba et al.,
    "Optuna", KDD 2019.
    """
    if trials < 1:
        raise UsageError(f"trials is {trials}; expected at least 1")
    given = resolve(recipe, settings, epochs=epochs, seed=seed)
    if not given.search:
        raise UsageError(
            f"{given.name} does not say what to search. Add a table to it such as:\n{_EXAMPLE}"
        )
    choose_device(device)
    told = _Silent() if report is None else report
    folder = Path("tune") / given.name if out is None else Path(out)
    searched = _without_test_images(given, told, on_bytes)
    study = Study(folder, searched, storage)
    with study.watched(), stop_requests() as stop:
        _check_best(Search(folder, given, tuple(study.trials())))
        try:
            while not stop.is_set() and (claim := study.claim(trials)) is not None:
                told.start(claim.number, trials)
                _try(claim, searched, folder, device, told, stop, on_bytes)
                found = Search(folder, given, tuple(study.trials()))
                told.trial(next(t for t in found.trials if t.number == claim.number), found.best)
        except Interrupted:
            stop.set()
        _write(found := Search(folder, given, tuple(study.trials())), study.importances(), told)
        if stop.is_set():
            raise Interrupted(
                f"stopped after {len(found.trials)} of {trials} trials; {folder} holds what was "
                "found, and the same command goes on"
            )
        if others := study.elsewhere():
            told.note(f"trials that other processes still work on: {', '.join(map(str, others))}")
    return found


def _without_test_images(recipe: Recipe, told: SearchReport, on_bytes: OnBytes | None) -> Recipe:
    splits = datasets.load(recipe.data, on_bytes)
    if splits.validation is not splits.test:
        return recipe
    told.note(
        "the recipe validates on its test images: the search leaves those alone, and holds back "
        "the last sixth of the training images to validate on"
    )
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, holdout=_HOLDOUT))


class _Judge:
    """A report that gives a trial up when it is hopeless, or when a stop was asked for."""

    def __init__(self, claim: Claim, stop: threading.Event) -> None:
        self._claim, self._stop = claim, stop

    def begin(self, training: Training, rows: tuple[EpochRow, ...]) -> None:
        """Catch up with the epochs of earlier sittings."""
        if self._stop.is_set():
            raise Interrupted("stopped before the first step")
        self._phases = training.phases
        for row in rows:
            self.epoch(row)

    def step(self, status: TrainingStatus) -> None:
        """Wait for the epoch's end."""

    def epoch(self, row: EpochRow) -> None:
        """Judge an epoch; the very last one leaves nothing to spare."""
        hopeless = self._claim.is_hopeless(row.phase, row.epoch, row.val_loss)
        last = row.phase == list(self._phases)[-1] and row.epoch == self._phases[row.phase].epochs
        if hopeless and not last:
            raise optuna.TrialPruned(
                f"given up after epoch {row.epoch} of {row.phase}, "
                f"val_loss {loss_text(row.val_loss)}"
            )


def _try(
    claim: Claim,
    recipe: Recipe,
    folder: Path,
    device: str | None,
    told: SearchReport,
    stop: threading.Event,
    on_bytes: OnBytes | None,
) -> None:
    """Train a trial to one of its ends; a stop or a fault leaves it to be gone on with."""
    name = f"{claim.number:04}"
    values = {key: label(value) for key, value in claim.values.items()}
    try:
        sitting = _sit(claim, recipe, folder / TRIALS_NAME / name, device, on_bytes)
        with Tracking(folder / TENSORBOARD_NAME / name, values) as tracking:
            report = Listeners(told, tracking, _Judge(claim, stop))
            rows = fit(sitting.training, sitting.run.folder, report)
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


def _sit(
    claim: Claim, recipe: Recipe, folder: Path, device: str | None, on_bytes: OnBytes | None
) -> Sitting:
    """Make the trial's run, or open it where an earlier sitting made it."""
    if (folder / RECIPE_NAME).exists():
        return reopen(folder, device, on_bytes)
    if claim.again and folder.exists():
        shutil.rmtree(folder)  # killed before there was anything to go on with
    alone = dataclasses.replace(recipe, search={})
    return start(recipes.with_values(alone, claim.values), folder, device, on_bytes)


def _best_recipe(search: Search, trial: Trial) -> str:
    """Give a trial's settings in the recipe as it was given, which trains on all its images."""
    changed = recipes.with_values(search.recipe, trial.values)
    return recipes.dump(dataclasses.replace(changed, name=f"{search.recipe.name}-tuned"))


def _check_best(search: Search) -> None:
    """Make sure that the best recipe may be written over."""
    path = search.folder / BEST_NAME
    if not path.exists():
        return
    complete = (trial for trial in search.trials if trial.value is not None)
    text = path.read_text("utf-8")
    if not any(_best_recipe(search, trial) == text for trial in complete):
        raise OutputError(
            f"{path} is not as this search wrote it; move it away, so that the search can write "
            "there again"
        )


def _write(search: Search, importances: dict[str, float], told: SearchReport) -> None:
    """Write what was found to the study folder."""
    write_text(search.folder / TABLE_NAME, _table(search))
    if search.best is None:
        told.note("no trial was completed, so there is no best recipe and no figure yet")
        return
    write_text(search.folder / BEST_NAME, _best_recipe(search, search.best))
    names = short_names(search.recipe.search)
    figure = search_figures.parallel_coordinates(_axes(search), [t.value for t in _drawn(search)])
    figures.save(figure, search.folder / COORDINATES_NAME)
    if not importances:
        told.note("too few trials, or too alike, to tell which settings matter")
        return
    shares = {names[key]: share for key, share in importances.items()}
    figures.save(search_figures.importances(shares), search.folder / IMPORTANCE_NAME)


def _table(search: Search) -> str:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["trial", "state", "val_loss", "seconds", *search.recipe.search, "note"])
    for trial in search.trials:
        value = "" if trial.value is None else trial.value
        values = [label(trial.values.get(key, "")) for key in search.recipe.search]
        table.writerow(
            [trial.number, trial.state, value, round(trial.seconds, 3), *values, trial.note]
        )
    return text.getvalue()


def _drawn(search: Search) -> list[Trial]:
    return [trial for trial in search.trials if trial.state != "failed"]


def _axes(search: Search) -> list[search_figures.Axis]:
    names = short_names(search.recipe.search)
    return [
        search_figures.Axis(
            name=names[key],
            values=tuple(_place(space, trial.values[key]) for trial in _drawn(search)),
            low=space.low if isinstance(space, Range) else 0,
            high=space.high if isinstance(space, Range) else len(space) - 1,
            log=isinstance(space, Range) and space.log,
            choices=() if isinstance(space, Range) else tuple(str(label(c)) for c in space),
        )
        for key, space in search.recipe.search.items()
    ]


def _place(space: Range | tuple[Any, ...], value: Any) -> float:
    return value if isinstance(space, Range) else space.index(value)
