"""A search's memory: Optuna's study, its storage, and who works on which trial.

Processes that search together share the storage and the study folder. The kernel's file locks in
the folder say which trials are being worked on: it drops them when a process dies, however that
happens, so a trial that is marked as running and whose lock is free was cut off.
"""

from __future__ import annotations

import contextlib
import socket
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import optuna
import sqlalchemy
from filelock import FileLock, Timeout
from optuna.exceptions import StorageInternalError
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from autodenoise import recipes
from autodenoise.errors import InputError, OutputError, UsageError
from autodenoise.files import make_folder
from autodenoise.recipes.overrides import first_difference
from autodenoise.recipes.renamed import same_settings
from autodenoise.recipes.search_space import Range, label
from autodenoise.training.randomness import generator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from autodenoise.recipes import Recipe
    from autodenoise.recipes.renamed import same_settings
from autodenoise.recipes.search_space import Choices

__all__ = ["JOURNAL_NAME", "TRIALS_NAME", "Claim", "Study", "Trial"]

JOURNAL_NAME = "study.journal"
TRIALS_NAME = "trials"

_JOURNAL_SUFFIXES = (".journal", ".log")
_SQLITE_SECONDS = 20.0
_JUDGES = 5
_PHASE = 1_000_000
_RECIPE, _PLACE, _NOTE = "recipe", "place", "note"


@dataclass(frozen=True)
class Trial:
    """A trial that is over.

    Attributes
    ----------
    number
        From 0.
    state
        ``complete``; ``pruned``, given up as hopeless; ``failed``, could not be trained.
    value
        The last validation loss of the last phase; None unless complete.
    values
        What was tried, by the paths of the settings.
    seconds
        From its first sitting's beginning to its end.
    note
        Why it has no value.
    """

    number: int
    state: Literal["complete", "pruned", "failed"]
    value: float | None
    values: dict[str, Any]
    seconds: float
    note: str


class Claim:
    """A trial that this process works on; nobody else can claim it until `release`.

    Attributes
    ----------
    number, values
        See `Trial`.
    again
        Whether an earlier sitting began it.
    """

    def __init__(
        self,
        study: optuna.Study,
        trial: optuna.Trial,
        lock: FileLock,
        recipe: Recipe,
        *,
        again: bool,
    ) -> None:
        self.number, self.again = trial.number, again
        self._study, self._trial, self._lock = study, trial, lock
        self._phases = list(recipe.phase)
        self._reported = set(study.trials[trial.number].intermediate_values)
        # A seed for each trial: processes that share a study draw differently, and a trial that
        # was cut off while it was drawn is drawn the same again.
        seed = generator(recipe.seed, "trial", trial.number).initial_seed() % 2**32
        study.sampler = optuna.samplers.TPESampler(seed=seed)
        self.values = {key: _suggest(trial, key, space) for key, space in recipe.search.items()}

    def is_hopeless(self, phase: str, epoch: int, loss: float) -> bool:
        """Take an epoch's validation loss, and tell whether others were better at that point."""
        step = self._phases.index(phase) * _PHASE + epoch
        if step not in self._reported:
            self._reported.add(step)
            self._trial.report(loss, step)
        return self._trial.should_prune()

    def complete(self, value: float) -> None:
        """Say what it came to."""
        self._study.tell(self._trial, value)

    def prune(self, note: str) -> None:
        """Give it up: the sampler will look elsewhere."""
        self._trial.set_user_attr(_NOTE, note)
        self._study.tell(self._trial, state=TrialState.PRUNED)

    def fail(self, note: str) -> None:
        """Say that it cannot be trained."""
        self._trial.set_user_attr(_NOTE, note)
        self._study.tell(self._trial, state=TrialState.FAIL)

    def release(self) -> None:
        """Let go of it: if it is not over, the next one to claim a trial goes on with it."""
        self._lock.release()


class Study:
    """A study in a folder.

    Parameters
    ----------
    folder
        The study folder; made where it is missing.
    recipe
        What is searched. Its name is the study's.
    storage
        An SQLAlchemy URL, or the path of a journal; by default a journal in the folder.

    Raises
    ------
    UsageError
        The storage can be none, or its study is of another recipe.
    InputError
        The storage is damaged, or no storage.
    OutputError
        The storage cannot be opened or written, or the folder has something else in it.
    """

    def __init__(self, folder: Path, recipe: Recipe, storage: str | None) -> None:
        self._folder, self._recipe = folder, recipe
        storage = str(folder / JOURNAL_NAME) if storage is None else storage
        self._where = _without_password(storage)
        self._place = f"{socket.gethostname()}:{folder.resolve()}"
        used = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
        if used and not (folder / TRIALS_NAME).is_dir():
            raise OutputError(f"{folder} exists already and is no study; choose another with --out")
        for name in (TRIALS_NAME, "locks"):
            make_folder(folder / name)
        with self._alone(), self._opening():
            self._storage = _open_storage(storage)
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=recipe.name,
                pruner=_MedianOfPhase(),
                load_if_exists=True,
            )
            self._check_recipe()
            self._check_trials()

    def _check_recipe(self) -> None:
        """Make sure that all trials of the study are of one recipe."""
        ours = recipes.dump(self._recipe)
        theirs = self._study.user_attrs.get(_RECIPE)
        if theirs is None and not self._study.trials:
            self._study.set_user_attr(_RECIPE, ours)
        elif theirs is None or not same_settings(theirs, ours):
            raise UsageError(
                f"{self._where} holds the study '{self._recipe.name}' of another recipe"
                f"{first_difference(theirs, ours) if theirs else ''}; go on with that one, or "
                "begin another with --out or --storage"
            )

    def _check_trials(self) -> None:
        known = {f"{trial.number:04}" for trial in self._study.trials}
        for trial in sorted((self._folder / TRIALS_NAME).iterdir()):
            if trial.name not in known:
                raise OutputError(
                    f"{trial} is of another study than {self._where} holds; choose another folder "
                    "with --out"
                )

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep the other processes of this folder waiting."""
        with FileLock(self._folder / "locks" / "study"):
            yield

    @contextlib.contextmanager
    def _opening(self) -> Iterator[None]:
        with self.watched():
            try:
                yield
            except ImportError as error:
                raise UsageError(f"cannot use the storage {self._where}: {error}") from None
            except (KeyError, RuntimeError, ValueError) as error:
                # A journal that is none, or tables of another version.
                raise InputError(f"{self._where} is damaged, or no storage: {error}") from None

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Turn what can go wrong with the storage into one message, and keep Optuna quiet.

        Raises
        ------
        InputError, OutputError
            The storage is damaged, locked or cannot be written.
        """
        loud = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            yield
        except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
            raise _explain(self._where, error) from None
        finally:
            optuna.logging.set_verbosity(loud)

    def claim(self, trials: int) -> Claim | None:
        """Take a trial that was cut off, or a new one.

        Parameters
        ----------
        trials
            How many there may be, those of other processes included.

        Returns
        -------
        Claim or None
            None where all are over or taken.
        """
        with self._alone():
            known = self._study.get_trials(deepcopy=False)
            for trial in known:
                if trial.state == TrialState.RUNNING and (lock := self._take(trial)):
                    return self._claim(trial.number, lock, again=True)
            if sum(trial.state != TrialState.WAITING for trial in known) >= trials:
                return None
            if not known:
                self._study.enqueue_trial(self._own_values())
            number = self._study.ask().number
            return self._claim(number, self._lock(number), again=False)

    def _claim(self, number: int, lock: FileLock, *, again: bool) -> Claim:
        study = self._storage.get_study_id_from_name(self._recipe.name)
        identity = self._storage.get_trial_id_from_study_id_trial_number(study, number)
        trial = optuna.trial.Trial(self._study, identity)
        trial.set_user_attr(_PLACE, self._place)
        return Claim(self._study, trial, lock, self._recipe, again=again)

    def _take(self, trial: FrozenTrial) -> FileLock | None:
        # Without a place it was cut off at birth. Another place has locks that cannot be seen here.
        if trial.user_attrs.get(_PLACE, self._place) != self._place:
            return None
        try:
            return self._lock(trial.number)
        except Timeout:
            return None

    def _lock(self, number: int) -> FileLock:
        lock = FileLock(self._folder / "locks" / f"{number:04}")
        lock.acquire(blocking=False)
        return lock

    def _own_values(self) -> dict[str, Any]:
        """Give the recipe's own settings where they are among those that are searched."""
        settings = recipes.settings_of(self._recipe)
        return {
            key: label(settings[key])
            for key, space in self._recipe.search.items()
            if settings.get(key) in space
        }

    def trials(self) -> list[Trial]:
        """Give all trials that are over."""
        return [self._told(trial) for trial in self._study.trials if trial.state.is_finished()]

    def _told(self, trial: FrozenTrial) -> Trial:
        states: dict[TrialState, Literal["complete", "pruned", "failed"]] = {
            TrialState.COMPLETE: "complete",
            TrialState.PRUNED: "pruned",
            TrialState.FAIL: "failed",
        }
        search = self._recipe.search
        return Trial(
            number=trial.number,
            state=states[trial.state],
            value=trial.value if trial.state == TrialState.COMPLETE else None,
            values={key: _value(search[key], value) for key, value in trial.params.items()},
            seconds=trial.duration.total_seconds() if trial.duration else 0.0,
            note=trial.user_attrs.get(_NOTE, ""),
        )

    def elsewhere(self) -> list[int]:
        """Give the numbers of the trials that are not over, and not this process's."""
        return [trial.number for trial in self._study.trials if not trial.state.is_finished()]

    def importances(self) -> dict[str, float]:
        """Give each setting's share of the loss's variance, the greatest first; empty if unknown.

        References
        ----------
        Hutter, Hoos, Leyton-Brown, "An efficient approach for assessing hyperparameter importance",
        ICML 2014: fANOVA.
        """
        values = [trial.value for trial in self.trials() if trial.value is not None]
        if len(values) < 2 or min(values) == max(values):
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        try:
            return optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        except RuntimeError:  # no tree of the forest found anything to tell trials apart by
            return {}


class _MedianOfPhase(optuna.pruners.BasePruner):
    """Gives a trial up whose best loss of a phase is above the others' median at the same epoch.

    Optuna's own takes the best loss of all epochs, and the loss of reconstructing clean images
    lies far under that of denoising: in a second phase it would never give up.
    """

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Tell whether to."""
        step = trial.last_step
        if step is None:
            return False
        losses = trial.intermediate_values
        best = min(loss for at, loss in losses.items() if at // _PHASE == step // _PHASE)
        others = [
            other.intermediate_values[step]
            for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if step in other.intermediate_values
        ]
        return len(others) >= _JUDGES and best > statistics.median(others)


def _suggest(trial: optuna.Trial, key: str, space: Range | Choices) -> Any:
    if not isinstance(space, Range):
        return _value(space, trial.suggest_categorical(key, [label(choice) for choice in space]))
    if space.whole:
        low, high, step = int(space.low), int(space.high), int(space.step or 1)
        return trial.suggest_int(key, low, high, step=step, log=space.log)
    return trial.suggest_float(key, space.low, space.high, step=space.step, log=space.log)


def _value(space: Range | Choices, drawn: Any) -> Any:
    """Give the value that Optuna knows by its label."""
    if isinstance(space, Range):
        return drawn
    return next(choice for choice in space if label(choice) == drawn)


def _open_storage(where: str) -> BaseStorage:
    if "://" in where:
        options = {"connect_args": {"timeout": _SQLITE_SECONDS}} if "sqlite" in where else {}
        return RDBStorage(where, options)
    if not where.endswith(_JOURNAL_SUFFIXES):
        raise UsageError(
            f"storage is {where}; expected a URL such as sqlite:///search.db, or the path of a "
            "journal, which ends in .journal or .log"
        )
    path = Path(where).resolve()
    try:
        with path.open("ab+") as file:
            file.seek(0)
            first = file.readline()
    except OSError as error:
        raise OutputError(f"cannot open the storage {path}: {error.strerror}") from None
    # Before anything is added to a file that is something else.
    if first and not first.startswith(b'{"op_code":'):
        raise ValueError("its first line is no entry of a journal")
    return JournalStorage(JournalFileBackend(str(path)))


def _without_password(storage: str) -> str:
    try:
        return sqlalchemy.make_url(storage).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return storage


def _explain(where: str, error: Exception) -> UsageError | InputError | OutputError:
    if isinstance(error, StorageInternalError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    reason = str(getattr(error, "orig", error))
    if isinstance(error, sqlalchemy.exc.OperationalError):
        return OutputError(f"cannot use the storage {where}: {reason}")
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        return InputError(f"{where} is damaged, or no storage: {reason}")
    return UsageError(f"{where} is no storage: {reason}")
