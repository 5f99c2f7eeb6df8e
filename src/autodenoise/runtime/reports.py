"""Progress and results of denoising many files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from autodenoise.errors import AutodenoiseError, InputError, OutputError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from autodenoise.discovery import FailedFile, SkippedFile
    from autodenoise.runtime.denoising import DenoiseResult

__all__ = ["BatchProgress", "BatchSummary", "FileTask"]


@dataclass(frozen=True)
class FileTask:
    """An image file to denoise.

    Attributes
    ----------
    name
        Its name in reports.
    source, target
        The input and output files.
    status
        The result of ``source.stat()``, or None if it failed.
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
