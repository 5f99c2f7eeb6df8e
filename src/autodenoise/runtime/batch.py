"""Many pictures: each cleaned as if it were alone, whatever happens to the others."""

from __future__ import annotations

import threading
import time
import unicodedata
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from autodenoise.discovery import FailedFile, SkippedFile
from autodenoise.errors import (
    AutodenoiseError,
    InputError,
    Interrupted,
    OutputError,
    UsageError,
)
from autodenoise.runtime.denoising import DenoiseOptions, DenoiseResult, denoise_file, fixed
from autodenoise.runtime.reports import BatchSummary, FileTask
from autodenoise.signals import stop_requests

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from autodenoise.runtime.model import Model
    from autodenoise.runtime.reports import BatchProgress

    Progress = Callable[[int, int], None]
    Work = Callable[[FileTask, Progress], DenoiseResult | None]

__all__ = ["denoise_all", "denoise_files", "explained"]

_SIGNAL_SECONDS = 0.1


def denoise_files(
    model: Model,
    pairs: Iterable[tuple[Path, Path]],
    options: DenoiseOptions | None = None,
    *,
    overwrite: bool = False,
    jobs: int = 2,
    report: BatchProgress | None = None,
) -> BatchSummary:
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

    def work(task: FileTask, progress: Progress) -> DenoiseResult:
        return denoise_file(
            model, task.source, task.target, options, overwrite=overwrite, progress=progress
        )

    options = fixed(options or DenoiseOptions())
    pairs = list(pairs)
    made_of = {target: source for source, target in pairs if source != target}
    tasks = [FileTask.of(str(a), a, b) for a, b in pairs if a not in made_of]
    passed_over = [
        SkippedFile(str(source), f"the result for {made_of[source]}")
        for source, _ in pairs
        if source in made_of
    ]
    # Results that are there are in the way of another time.
    to_go_on = "name those that are left" if not overwrite else "the same command begins anew"
    return denoise_all(
        tasks, work, jobs=jobs, report=report, to_go_on=to_go_on, passed_over=passed_over
    )


def denoise_all(
    tasks: Sequence[FileTask],
    work: Work,
    *,
    jobs: int,
    report: BatchProgress | None,
    to_go_on: str,
    failures: Iterable[FailedFile] = (),
    passed_over: Iterable[SkippedFile] = (),
) -> BatchSummary:
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
    to_go_on
        What somebody has to do who has stopped it.
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
    summary = BatchSummary(
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
            f"stopped with {done:,} of {len(tasks):,} done"
            + (f" and {len(batch.failures):,} failed" if batch.failures else "")
            + f"; {to_go_on}"
        )
    return summary


class _Batch:
    """The work of several threads, and what came of it by the numbers of the pictures."""

    def __init__(
        self,
        tasks: Sequence[FileTask],
        work: Work,
        report: BatchProgress | None,
        stop: threading.Event,
    ) -> None:
        self._tasks, self._work, self._report, self._stop = tasks, work, report, stop
        self._telling = threading.Lock()
        self._sources = {_identity(t.status) for t in tasks if t.status is not None}
        self._rivals: dict[str, list[FileTask]] = defaultdict(list)
        for task in tasks:
            self._rivals[_folded(task.target)].append(task)
        self.results: dict[int, DenoiseResult] = {}
        self.failures: dict[int, FailedFile] = {}
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
            # Without its frames, which hold the decoder and its thread.
            failure = FailedFile(task.name, explained(task.source, error).with_traceback(None))
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

    def _check(self, task: FileTask) -> None:
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
            alike = all(rival.target == task.target for rival in rivals)
            where = "" if alike else " where upper and lower case are one"
            raise OutputError(
                f"{task.source} is left alone: {names} would both be {task.target}{where}; "
                "rename one of them"
            )
        if task.target.exists() and _identity(task.target.stat()) in self._sources:
            raise OutputError(
                f"{task.target} is itself a picture to be cleaned; choose another name with -o"
            )


def explained(source: Path, error: Exception) -> AutodenoiseError:
    """Give what went wrong with a picture as one of our own errors."""
    if isinstance(error, AutodenoiseError):
        return error
    if isinstance(error, MemoryError):
        return InputError(f"not enough memory for {source}; try a smaller --memory, or --jobs 1")
    if isinstance(error, OSError):
        return InputError(f"cannot use {error.filename or source}: {error.strerror or error}")
    return InputError(f"{source}: its name is not valid UTF-8; rename it")


def _folded(path: Path) -> str:
    """Give what is equal for paths that some file systems cannot tell apart."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
