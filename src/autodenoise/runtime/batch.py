"""Denoise many files in parallel; one bad file never stops the batch."""

from __future__ import annotations

import threading
import time
import unicodedata
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from autodenoise.discovery import FailedFile, SkippedFile
from autodenoise.errors import AutodenoiseError, InputError, Interrupted, OutputError, UsageError
from autodenoise.runtime.denoising import (
    DenoiseOptions,
    DenoiseResult,
    denoise_file,
    with_memory_limit,
)
from autodenoise.signals import stop_requests

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from autodenoise.runtime.model import Model

    Progress = Callable[[int, int], None]
    Work = Callable[["FileTask", Progress], DenoiseResult | None]

__all__ = [
    "BatchProgress",
    "BatchSummary",
    "FileTask",
    "as_autodenoise_error",
    "denoise_all",
    "denoise_files",
]

_SIGNAL_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class FileTask:
    """An image file to denoise.

    `status` is the result of ``source.stat()``, or None if it failed; reports use `name`.
    """

    name: str
    source: Path
    target: Path
    status: os.stat_result | None

    @classmethod
    def of(cls, name: str, source: Path, target: Path) -> Self:
        """Create a task with the current status of the source."""
        try:
            return cls(name, source, target, source.stat())
        except OSError:
            return cls(name, source, target, None)

    @property
    def size(self) -> int:
        """Size of the source in bytes."""
        return 0 if self.status is None else self.status.st_size


@dataclass(frozen=True)
class BatchSummary:
    """The result of denoising many files.

    Attributes
    ----------
    results
        One for each denoised file.
    unchanged
        Number of files that were already denoised and have not changed since.
    failures
        Files that could not be denoised.
    skipped
        Files that are not images, or are not used.
    seconds
        Total time.
    """

    results: tuple[DenoiseResult, ...]
    unchanged: int
    failures: tuple[FailedFile, ...]
    skipped: tuple[SkippedFile, ...]
    seconds: float

    @property
    def pixels(self) -> int:
        """Number of denoised pixels on all pages."""
        return sum(result.width * result.height * result.pages for result in self.results)

    @property
    def error(self) -> AutodenoiseError | None:
        """One error with a line for each failure; None if there are none.

        An `OutputError` if all failures are, else an `InputError`. The original error if there was
        only one file.
        """
        if not self.failures:
            return None
        total = len(self.results) + self.unchanged + len(self.failures)
        if total == 1:
            return self.failures[0].error
        outputs = all(isinstance(failure.error, OutputError) for failure in self.failures)
        lines = [f"{len(self.failures):,} of {total:,} files could not be denoised:"]
        # One line each, even if a file name contains line breaks.
        lines += [f"  {str(failure.error).replace(chr(10), ' ')}" for failure in self.failures]
        return (OutputError if outputs else InputError)("\n".join(lines))


class BatchProgress(Protocol):
    """Callbacks of a batch; called from several threads, one at a time."""

    def found(self, tasks: Sequence[FileTask]) -> None:
        """Receive all tasks before the first one starts."""

    def started(self, task: FileTask) -> None:
        """Receive a task that starts."""

    def pixels(self, task: FileTask, done: int, total: int) -> None:
        """Receive how many pixels of a file are done."""

    def finished(self, task: FileTask, result: DenoiseResult | None) -> None:
        """Receive the result of a task; None if the file was already denoised and unchanged."""

    def failed(self, task: FileTask, error: AutodenoiseError) -> None:
        """Receive the error of a failed task."""

    def ended(self, summary: BatchSummary) -> None:
        """Receive the summary, also if the batch was stopped."""


def denoise_files(
    model: Model,
    pairs: Iterable[tuple[Path, Path]],
    options: DenoiseOptions | None = None,
    *,
    overwrite: bool = False,
    jobs: int = 2,
    report: BatchProgress | None = None,
) -> BatchSummary:
    """Denoise pairs of source and target files, `jobs` in parallel; see `denoise_folder`.

    A source that is the target of another file is skipped, as when a pattern also matches earlier
    outputs. The memory limit applies to each file.
    """

    def work(task: FileTask, progress: Progress) -> DenoiseResult:
        return denoise_file(
            model, task.source, task.target, options, overwrite=overwrite, progress=progress
        )

    options = with_memory_limit(options or DenoiseOptions())
    pairs = list(pairs)
    source_of = {target: source for source, target in pairs if source != target}
    tasks = [FileTask.of(str(a), a, b) for a, b in pairs if a not in source_of]
    skipped = [
        SkippedFile(str(source), f"it is the output for {source_of[source]}")
        for source, _ in pairs
        if source in source_of
    ]
    # Without --overwrite, existing outputs are errors.
    resume_hint = (
        "the same command starts over"
        if overwrite
        else "to continue, pass only the remaining files"
    )
    return denoise_all(
        tasks, work, jobs=jobs, report=report, resume_hint=resume_hint, skipped=skipped
    )


def denoise_all(
    tasks: Sequence[FileTask],
    work: Work,
    *,
    jobs: int,
    report: BatchProgress | None,
    resume_hint: str,
    failures: Iterable[FailedFile] = (),
    skipped: Iterable[SkippedFile] = (),
) -> BatchSummary:
    """Run all tasks in parallel threads, and add earlier failures and skipped files to the summary.

    `work` denoises one file and returns its result, or None if it is already denoised and
    unchanged. It reports progress to its second argument, which raises `Interrupted` to stop it.
    After a stop, the message says how to continue with `resume_hint`.
    """
    if jobs < 1:
        raise UsageError(
            f"jobs is {jobs}; expected the number of files to denoise in parallel, at least 1"
        )
    begun = time.perf_counter()
    with stop_requests() as stop:
        batch = _Batch(tasks, work, report, stop)
        if report is not None:
            report.found(tasks)
        with ThreadPoolExecutor(jobs) as pool:
            waiting = [pool.submit(batch.run, number) for number in range(len(tasks))]
            for future in waiting:
                # Only this thread handles signals, and a signal to another does not wake it.
                while wait([future], _SIGNAL_POLL_SECONDS).not_done:
                    pass
        bugs = [error for error in map(Future.exception, waiting) if error is not None]
    summary = BatchSummary(
        results=tuple(result for _, result in sorted(batch.results.items())),
        unchanged=batch.unchanged,
        failures=(*failures, *(failure for _, failure in sorted(batch.failures.items()))),
        skipped=tuple(skipped),
        seconds=time.perf_counter() - begun,
    )
    if report is not None:
        report.ended(summary)
    if bugs:
        raise bugs[0]
    done = len(batch.results) + batch.unchanged
    if stop.is_set() and done + len(batch.failures) < len(tasks):
        raise Interrupted(
            f"stopped with {done:,} of {len(tasks):,} done"
            + (f" and {len(batch.failures):,} failed" if batch.failures else "")
            + f"; {resume_hint}"
        )
    return summary


class _Batch:
    """The state that the threads share; results and failures by task number."""

    def __init__(
        self,
        tasks: Sequence[FileTask],
        work: Work,
        report: BatchProgress | None,
        stop: threading.Event,
    ) -> None:
        self._tasks, self._work, self._report, self._stop = tasks, work, report, stop
        self._reporting = threading.Lock()
        self._sources = {_identity(t.status) for t in tasks if t.status is not None}
        self._same_target: dict[str, list[FileTask]] = defaultdict(list)
        for task in tasks:
            self._same_target[_case_folded(task.target)].append(task)
        self.results: dict[int, DenoiseResult] = {}
        self.failures: dict[int, FailedFile] = {}
        self.unchanged = 0

    def run(self, number: int) -> None:
        """Run one task, unless a stop was requested."""
        if self._stop.is_set():
            return
        task, report = self._tasks[number], self._report

        def progress(done: int, total: int) -> None:
            if self._stop.is_set():
                raise Interrupted(f"stopped before {task.source} was done")
            if report is not None:
                with self._reporting:
                    report.pixels(task, done, total)

        if report is not None:
            with self._reporting:
                report.started(task)
        try:
            self._check(task)
            result = self._work(task, progress)
        except Interrupted:
            return
        except (AutodenoiseError, OSError, MemoryError, UnicodeEncodeError) as error:
            # Without its traceback, whose frames keep the decoder and its thread alive.
            failure = FailedFile(
                task.name, as_autodenoise_error(task.source, error).with_traceback(None)
            )
            with self._reporting:
                self.failures[number] = failure
                if report is not None:
                    report.failed(task, failure.error)
            return
        with self._reporting:
            if result is None:
                self.unchanged += 1
            else:
                self.results[number] = result
            if report is not None:
                report.finished(task, result)

    def _check(self, task: FileTask) -> None:
        """Check that the source is not empty and the target overwrites no other file."""
        if task.status is not None and not task.size:
            raise InputError(f"{task.source} is empty")
        same = self._same_target[_case_folded(task.target)]
        if len(same) > 1:
            names = " and ".join(str(other.source) for other in same)
            alike = all(other.target == task.target for other in same)
            where = "" if alike else " on file systems that ignore case"
            raise OutputError(
                f"{task.source} was not denoised: {names} would both be saved as "
                f"{task.target}{where}; rename one of them"
            )
        if task.target.exists() and _identity(task.target.stat()) in self._sources:
            raise OutputError(
                f"the output {task.target} is also an input; choose another name with -o"
            )


def as_autodenoise_error(source: Path, error: Exception) -> AutodenoiseError:
    """Return an error of one file as an exception of autodenoise."""
    if isinstance(error, AutodenoiseError):
        return error
    if isinstance(error, MemoryError):
        return InputError(f"not enough memory for {source}; try a smaller --memory, or --jobs 1")
    if isinstance(error, OSError):
        return InputError(f"cannot use {error.filename or source}: {error.strerror or error}")
    return InputError(f"the name of {source} is not valid UTF-8; rename the file")


def _case_folded(path: Path) -> str:
    """Return a key that is equal for paths that some file systems do not distinguish."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
