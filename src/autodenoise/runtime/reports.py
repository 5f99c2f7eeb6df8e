"""What is told of many pictures: to whoever watches, and at the end."""

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
class BatchSummary:
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

    results: tuple[DenoiseResult, ...]
    kept: int
    failures: tuple[FailedFile, ...]
    passed_over: tuple[SkippedFile, ...]
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
        # A line each, even where a file's name has several.
        lines += [f"  {str(failure.error).replace(chr(10), ' ')}" for failure in self.failures]
        return (OutputError if outputs else InputError)("\n".join(lines))


class BatchProgress(Protocol):
    """Hears how the work goes, from several threads but never from two at once."""

    def found(self, tasks: Sequence[FileTask]) -> None:
        """Take all that are to be cleaned."""
        ...

    def started(self, task: FileTask) -> None:
        """Take a picture whose turn it is."""
        ...

    def pixels(self, task: FileTask, done: int, total: int) -> None:
        """Take how many of its pixels are done."""
        ...

    def finished(self, task: FileTask, result: DenoiseResult | None) -> None:
        """Take a picture that is done; without a result it was done before."""
        ...

    def failed(self, task: FileTask, error: AutodenoiseError) -> None:
        """Take a picture that cannot be done."""
        ...

    def ended(self, summary: BatchSummary) -> None:
        """Take what became of all of them, also if the work was stopped."""
        ...
