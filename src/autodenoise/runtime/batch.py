"""Many pictures: each cleaned as if it were alone, whatever happens to the others."""

from __future__ import annotations

import threading
import time
import unicodedata
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from autodenoise.errors import (
    AutodenoiseError,
    InputError,
    Interrupted,
    OutputError,
    UsageError,
)
from autodenoise.runtime.denoising import Result, denoise_file
from autodenoise.stopping import stop_requests

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from autodenoise.runtime.denoising import Options
    from autodenoise.runtime.model import Model

    Progress = Callable[[int, int], None]
    Work = Callable[["Task", Progress], Result | None]

__all__ = ["Failure", "PassedOver", "Report", "Summary", "Task", "denoise_all", "denoise_files"]

_SIGNAL_SECONDS = 0.1


@dataclass(frozen=True)
class Task:
    """A picture to clean.

    Attributes
    ----------
    name
        What it is called in reports.
    source, target
        The files.
    status
        What the file system says of the source; None if it cannot be found.
    """

    name: str
    source: Path
    target: Path
    status: os.stat_result | None

    @classmethod
    def of(cls, name: str, source: Path, target: Path) -> Self:
        """Look at the source."""
        try:
            return cls(name, source, target, source.stat())
        except OSError:
            return cls(name, source, target, None)

    @property
    def size(self) -> int:
        """Bytes of the source."""
        return 0 if self.status is None else self.status.st_size


@dataclass(frozen=True)
class Failure:
    """A picture, or a folder of pictures, that could not be cleaned."""

    name: str
    error: AutodenoiseError


@dataclass(frozen=True)
class PassedOver:
    """Something that was not to be cleaned.

    Attributes
    ----------
    name
        The file or folder.
    reason
        What it is, as in "a folder".
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Summary:
    """What became of many pictures.

    Attributes
    ----------
    results
        Those that were cleaned.
    kept
        How many had been cleaned before, with nothing changed since.
    failures
        Those that could not be.
    passed_over
        What was there beside pictures.
    seconds
        For all of it.
    """

    results: tuple[Result, ...]
    kept: int
    failures: tuple[Failure, ...]
    passed_over: tuple[PassedOver, ...]
    seconds: float

    @property
    def pixels(self) -> int:
        """Pixels that were cleaned, of all pages."""
        return sum(result.width * result.height * result.pages for result in self.results)

    @property
    def error(self) -> AutodenoiseError | None:
        """One error for all failures, with a line for each; None if there are none.

        An `OutputError` if only outputs are at fault, else an `InputError`. The only picture's own
        error where there was but one picture.
        """
        if not self.failures:
            return None
        asked = len(self.results) + self.kept + len(self.failures)
        if asked == 1:
            return self.failures[0].error
        outputs = all(isinstance(failure.error, OutputError) for failure in self.failures)
        lines = [f"{len(self.failures):,} of {asked:,} pictures could not be denoised:"]
        lines += [f"  {failure.error}" for failure in self.failures]
        return (OutputError if outputs else InputError)("\n".join(lines))


class Report(Protocol):
    """Hears how the work goes, from several threads but never from two at once."""

    def found(self, tasks: Sequence[Task]) -> None:
        """Take all that are to be cleaned."""
        ...

    def started(self, task: Task) -> None:
        """Take a picture whose turn it is."""
        ...

    def pixels(self, task: Task, done: int, total: int) -> None:
        """Take how many of its pixels are done."""
        ...

    def finished(self, task: Task, result: Result | None) -> None:
        """Take a picture that is done; without a result it was done before."""
        ...

    def failed(self, task: Task, error: AutodenoiseError) -> None:
        """Take a picture that cannot be done."""
        ...

    def ended(self, summary: Summary) -> None:
        """Take what became of all of them, also if the work was stopped."""
        ...


def denoise_files(
    model: Model,
    pairs: Iterable[tuple[Path, Path]],
    options: Options | None = None,
    *,
    overwrite: bool = False,
    jobs: int = 2,
    report: Report | None = None,
) -> Summary:
    """Clean pictures, each into a file of its own.

    Parameters
    ----------
    model
        The denoiser, shared by all.
    pairs
        Source and target of each. A source that is another's target, as where a pattern matches
        the results of an earlier time, is passed over.
    options
        By default the model's full answer. Its memory is for each picture.
    overwrite
        Replace targets that are there.
    jobs
        How many are in work at once; of no influence on the results.
    report
        Hears how it goes.

    Returns
    -------
    Summary
        A picture that fails stops no other, and is told of there.

    Raises
    ------
    UsageError
        `jobs` is less than 1.
    Interrupted
        SIGINT or SIGTERM came: pictures in work are given up, those that are done stay.
    """

    def work(task: Task, progress: Progress) -> Result:
        return denoise_file(
            model, task.source, task.target, options, overwrite=overwrite, progress=progress
        )

    pairs = list(pairs)
    made_of = {target: source for source, target in pairs if source != target}
    tasks = [Task.of(str(a), a, b) for a, b in pairs if a not in made_of]
    passed_over = [
        PassedOver(str(source), f"the result for {made_of[source]}")
        for source, _ in pairs
        if source in made_of
    ]
    return denoise_all(tasks, work, jobs=jobs, report=report, passed_over=passed_over)


def denoise_all(
    tasks: Sequence[Task],
    work: Work,
    *,
    jobs: int,
    report: Report | None,
    failures: Iterable[Failure] = (),
    passed_over: Iterable[PassedOver] = (),
) -> Summary:
    """Do all tasks, some at once.

    Parameters
    ----------
    tasks
        In the order in which they are begun.
    work
        Cleans one and calls back how many of how many pixels are done, which raises `Interrupted`
        when it is to give up; gives None where there was nothing to do. Called by several threads.
    jobs, report
        See `denoise_files`.
    failures, passed_over
        For the summary, which has them first.

    Raises
    ------
    UsageError, Interrupted
        See `denoise_files`.
    """
    if jobs < 1:
        raise UsageError(f"jobs is {jobs}; expected how many pictures to clean at once, 1 or more")
    begun = time.perf_counter()
    with stop_requests() as stop:
        batch = _Batch(tasks, work, report, stop)
        if report is not None:
            report.found(tasks)
        with ThreadPoolExecutor(jobs) as pool:
            waiting = [pool.submit(batch.clean, number) for number in range(len(tasks))]
            for future in waiting:
                # Signals are handled in this thread, which one that comes to another does not wake.
                while wait([future], _SIGNAL_SECONDS).not_done:
                    pass
        faults = [error for error in map(Future.exception, waiting) if error is not None]
    summary = Summary(
        results=tuple(result for _, result in sorted(batch.results.items())),
        kept=batch.kept,
        failures=(*failures, *(failure for _, failure in sorted(batch.failures.items()))),
        passed_over=tuple(passed_over),
        seconds=time.perf_counter() - begun,
    )
    if report is not None:
        report.ended(summary)
    if faults:
        raise faults[0]
    done = len(batch.results) + batch.kept
    if stop.is_set() and done + len(batch.failures) < len(tasks):
        raise Interrupted(
            f"stopped with {done:,} of {len(tasks):,} done; run the same command to go on"
        )
    return summary


class _Batch:
    """The work of several threads, and what came of it by the numbers of the pictures."""

    def __init__(
        self,
        tasks: Sequence[Task],
        work: Work,
        report: Report | None,
        stop: threading.Event,
    ) -> None:
        self._tasks, self._work, self._report, self._stop = tasks, work, report, stop
        self._telling = threading.Lock()
        self._sources = {_identity(t.status) for t in tasks if t.status is not None}
        self._rivals: dict[str, list[Task]] = defaultdict(list)
        for task in tasks:
            self._rivals[_folded(task.target)].append(task)
        self.results: dict[int, Result] = {}
        self.failures: dict[int, Failure] = {}
        self.kept = 0

    def clean(self, number: int) -> None:
        """Clean one picture, unless the work is to stop."""
        if self._stop.is_set():
            return
        task, report = self._tasks[number], self._report

        def progress(done: int, total: int) -> None:
            if self._stop.is_set():
                raise Interrupted(f"stopped before {task.source} was done")
            if report is not None:
                with self._telling:
                    report.pixels(task, done, total)

        if report is not None:
            with self._telling:
                report.started(task)
        try:
            self._check(task)
            result = self._work(task, progress)
        except Interrupted:
            return
        except (AutodenoiseError, OSError, MemoryError, UnicodeEncodeError) as error:
            failure = Failure(task.name, _explain(task, error))
            with self._telling:
                self.failures[number] = failure
                if report is not None:
                    report.failed(task, failure.error)
            return
        with self._telling:
            if result is None:
                self.kept += 1
            else:
                self.results[number] = result
            if report is not None:
                report.finished(task, result)

    def _check(self, task: Task) -> None:
        """Make sure that nothing is lost by writing the target.

        Raises
        ------
        InputError, OutputError
            There is nothing to read, or another picture would be overwritten.
        """
        if task.status is not None and not task.size:
            raise InputError(f"{task.source} is empty")
        rivals = self._rivals[_folded(task.target)]
        if len(rivals) > 1:
            names = " and ".join(str(rival.source) for rival in rivals)
            raise OutputError(
                f"{task.source} is left alone: {names} would both be {task.target} where "
                "upper and lower case are one; rename one of them"
            )
        if task.target.exists() and _identity(task.target.stat()) in self._sources:
            raise OutputError(
                f"{task.target} is itself a picture to be cleaned; choose another name with -o"
            )


def _explain(task: Task, error: Exception) -> AutodenoiseError:
    if isinstance(error, AutodenoiseError):
        return error
    if isinstance(error, MemoryError):
        return InputError(
            f"not enough memory for {task.source}; try a smaller --memory, or --jobs 1"
        )
    if isinstance(error, OSError):
        return InputError(f"cannot use {error.filename or task.source}: {error.strerror or error}")
    return InputError(f"{task.source}: its name is not valid UTF-8; rename it")


def _folded(path: Path) -> str:
    """Give what is equal for paths that some file systems cannot tell apart."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
