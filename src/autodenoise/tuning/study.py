"""An Optuna study in a folder, its storage, and the assignment of trials to processes.

Processes that tune together share the storage and the study folder. File locks in the folder mark
trials in progress. The kernel releases a lock when its process ends for any reason, so a trial
that is marked as running but not locked was interrupted.
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
    from autodenoise.recipes.search_space import Choices

__all__ = ["TRIALS_NAME", "ClaimedTrial", "Study", "Trial"]

_JOURNAL_NAME = "study.journal"
TRIALS_NAME = "trials"

_JOURNAL_SUFFIXES = (".journal", ".log")
_SQLITE_SECONDS = 20.0
_MIN_TRIALS_TO_PRUNE = 5
_STEPS_PER_PHASE = 1_000_000
_LOCKS_NAME, _STUDY_LOCK = "locks", "study"
# Attributes in the storage.
_RECIPE, _PLACE, _NOTE = "recipe", "place", "note"


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    Attributes
    ----------
    number
        Counted from 0.
    state
        ``complete``; ``pruned``, ended early; ``failed``, could not be trained.
    value
        Validation loss after the last phase; None unless complete.
    values
        The settings by dotted key.
    seconds
        Wall time from its first start to its end.
    note
        Why it has no value.
    """

    number: int
    state: Literal["complete", "pruned", "failed"]
    value: float | None
    values: dict[str, Any]
    seconds: float
    note: str


class ClaimedTrial:
    """A trial that this process works on; other processes cannot claim it until `release`.

    Attributes
    ----------
    number, values
        See `Trial`.
    resumed
        Whether it was interrupted before.
    """

    def __init__(
        self,
        study: optuna.Study,
        trial: optuna.Trial,
        lock: FileLock,
        recipe: Recipe,
        *,
        resumed: bool,
    ) -> None:
        self.number, self.resumed = trial.number, resumed
        self._study, self._trial, self._lock = study, trial, lock
        self._phases = list(recipe.phase)
        self._reported = set(study.trials[trial.number].intermediate_values)
        # One seed per trial: processes that share a study draw different settings, and a trial that
        # was interrupted while drawing gets the same ones.
        seed = generator(recipe.seed, "trial", trial.number).initial_seed() % 2**32
        study.sampler = optuna.samplers.TPESampler(seed=seed)
        self.values = {key: _suggest(trial, key, space) for key, space in recipe.search.items()}

    def should_prune(self, phase: str, epoch: int, loss: float) -> bool:
        """Record the validation loss of an epoch and return whether to end the trial."""
        step = self._phases.index(phase) * _STEPS_PER_PHASE + epoch
        if step not in self._reported:
            self._reported.add(step)
            self._trial.report(loss, step)
        return self._trial.should_prune()

    def complete(self, value: float) -> None:
        """End the trial with a validation loss."""
        self._study.tell(self._trial, value)

    def prune(self, note: str) -> None:
        """End the trial early; the sampler will avoid such settings."""
        self._trial.set_user_attr(_NOTE, note)
        self._study.tell(self._trial, state=TrialState.PRUNED)

    def fail(self, note: str) -> None:
        """End the trial because it cannot be trained."""
        self._trial.set_user_attr(_NOTE, note)
        self._study.tell(self._trial, state=TrialState.FAIL)

    def release(self) -> None:
        """Unlock the trial; if it has not ended, the next process to claim a trial continues it."""
        self._lock.release()


class Study:
    """A study in a folder, which is created if missing; its name is that of the recipe.

    `storage` is an SQLAlchemy URL or the path of a journal, by default a journal in the folder.
    Raise UsageError if it is invalid, or its study is of another recipe; InputError if it is
    damaged, or something else; OutputError if it cannot be opened or written, or the folder
    contains something else.
    """

    def __init__(self, folder: Path, recipe: Recipe, storage: str | None) -> None:
        self._folder, self._recipe = folder, recipe
        storage = str(folder / _JOURNAL_NAME) if storage is None else storage
        self._storage_name = _without_password(storage)
        self._place = f"{socket.gethostname()}:{folder.resolve()}"
        used = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
        if used and not (folder / TRIALS_NAME).is_dir():
            raise OutputError(f"{folder} is not a study folder; choose another with --out")
        for name in (TRIALS_NAME, _LOCKS_NAME):
            make_folder(folder / name)
        with self._locked(), self._converting_open_errors():
            self._storage = _open_storage(storage)
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=recipe.name,
                pruner=_MedianPrunerPerPhase(),
                load_if_exists=True,
            )
            self._check_recipe()
            self._check_trials()

    def _check_recipe(self) -> None:
        """Check that all trials of the study are of one recipe."""
        ours = recipes.dump(self._recipe)
        theirs = self._study.user_attrs.get(_RECIPE)
        if theirs is None and not self._study.trials:
            self._study.set_user_attr(_RECIPE, ours)
        elif theirs is None or not same_settings(theirs, ours):
            raise UsageError(
                f"{self._storage_name} contains the study '{self._recipe.name}' of another recipe"
                f"{first_difference(theirs, ours) if theirs else ''}; use that recipe, or start "
                "another study with --out or --storage"
            )

    def _check_trials(self) -> None:
        known = {f"{trial.number:04}" for trial in self._study.trials}
        for trial in sorted((self._folder / TRIALS_NAME).iterdir()):
            if trial.name not in known:
                raise OutputError(
                    f"{trial} belongs to another study than the one in {self._storage_name}; "
                    "choose another folder with --out"
                )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Make other processes with this folder wait."""
        with FileLock(self._folder / _LOCKS_NAME / _STUDY_LOCK):
            yield

    @contextlib.contextmanager
    def _converting_open_errors(self) -> Iterator[None]:
        with self.converting_errors():
            try:
                yield
            except ImportError as error:
                raise UsageError(f"cannot use the storage {self._storage_name}: {error}") from None
            except (KeyError, RuntimeError, ValueError) as error:
                # Something else than a journal, or tables of another version.
                raise InputError(
                    f"{self._storage_name} is damaged or not a storage: {error}"
                ) from None

    @contextlib.contextmanager
    def converting_errors(self) -> Iterator[None]:
        """Convert errors of the storage into one message, and silence Optuna's log.

        Raises
        ------
        InputError, OutputError
            The storage is damaged, locked or not writable.
        """
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            yield
        except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
            raise _explain(self._storage_name, error) from None
        finally:
            optuna.logging.set_verbosity(verbosity)

    def claim(self, trials: int) -> ClaimedTrial | None:
        """Claim an interrupted trial, or a new one; None if all `trials` have ended or are claimed.

        `trials` includes those of other processes.
        """
        with self._locked():
            known = self._study.get_trials(deepcopy=False)
            for trial in known:
                if trial.state == TrialState.RUNNING and (lock := self._lock_if_interrupted(trial)):
                    return self._claim(trial.number, lock, resumed=True)
            if sum(trial.state != TrialState.WAITING for trial in known) >= trials:
                return None
            if not known:
                self._study.enqueue_trial(self._recipe_values())
            number = self._study.ask().number
            return self._claim(number, self._lock(number), resumed=False)

    def _claim(self, number: int, lock: FileLock, *, resumed: bool) -> ClaimedTrial:
        study = self._storage.get_study_id_from_name(self._recipe.name)
        identity = self._storage.get_trial_id_from_study_id_trial_number(study, number)
        trial = optuna.trial.Trial(self._study, identity)
        trial.set_user_attr(_PLACE, self._place)
        return ClaimedTrial(self._study, trial, lock, self._recipe, resumed=resumed)

    def _lock_if_interrupted(self, trial: FrozenTrial) -> FileLock | None:
        # Without a place it was interrupted at once. Locks of other places are not visible here.
        if trial.user_attrs.get(_PLACE, self._place) != self._place:
            return None
        try:
            return self._lock(trial.number)
        except Timeout:
            return None

    def _lock(self, number: int) -> FileLock:
        lock = FileLock(self._folder / _LOCKS_NAME / f"{number:04}")
        lock.acquire(blocking=False)
        return lock

    def _recipe_values(self) -> dict[str, Any]:
        """Return the recipe's settings where they are in the search space."""
        settings = recipes.settings_of(self._recipe)
        return {
            key: label(settings[key])
            for key, space in self._recipe.search.items()
            if settings.get(key) in space
        }

    def trials(self) -> list[Trial]:
        """Return all trials that have ended."""
        return [self._convert(trial) for trial in self._study.trials if trial.state.is_finished()]

    def _convert(self, trial: FrozenTrial) -> Trial:
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

    def unfinished(self) -> list[int]:
        """Return the numbers of the trials that have not ended."""
        return [trial.number for trial in self._study.trials if not trial.state.is_finished()]

    def importances(self) -> dict[str, float]:
        """Return each setting's share of the variance of the loss, largest first; empty if unknown.

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
        except RuntimeError:  # no tree of the forest could split the trials
            return {}


class _MedianPrunerPerPhase(optuna.pruners.BasePruner):
    """Prunes a trial whose best loss in a phase is above the others' median at the same epoch.

    Optuna's pruner uses the best loss of all epochs. Because the loss of reconstructing clean
    images is far below that of denoising, it would never prune in a second phase.
    """

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Return whether to prune."""
        step = trial.last_step
        if step is None:
            return False
        losses = trial.intermediate_values
        best = min(
            loss
            for at, loss in losses.items()
            if at // _STEPS_PER_PHASE == step // _STEPS_PER_PHASE
        )
        others = [
            other.intermediate_values[step]
            for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if step in other.intermediate_values
        ]
        return len(others) >= _MIN_TRIALS_TO_PRUNE and best > statistics.median(others)


def _suggest(trial: optuna.Trial, key: str, space: Range | Choices) -> Any:
    if not isinstance(space, Range):
        return _value(space, trial.suggest_categorical(key, [label(choice) for choice in space]))
    if space.whole:
        low, high, step = int(space.low), int(space.high), int(space.step or 1)
        return trial.suggest_int(key, low, high, step=step, log=space.log)
    return trial.suggest_float(key, space.low, space.high, step=space.step, log=space.log)


def _value(space: Range | Choices, drawn: Any) -> Any:
    """Return the value for a label in Optuna's storage."""
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
    # Checked before anything is appended to a file of another kind.
    if first and not first.startswith(b'{"op_code":'):
        raise ValueError("its first line is not a journal entry")
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
        return InputError(f"{where} is damaged or not a storage: {reason}")
    return UsageError(f"{where} is not a storage: {reason}")
