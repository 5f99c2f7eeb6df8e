"""Show progress: a live bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from autodenoise.files import printable
from autodenoise.metrics import loss_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import ProgressColumn, TaskID

    from autodenoise.benchmark import ResultRow
    from autodenoise.errors import AutodenoiseError
    from autodenoise.runtime import BatchSummary, DenoiseResult, FileTask
    from autodenoise.training.history import EpochRow
    from autodenoise.training.state import Training, TrainingStatus
    from autodenoise.tuning.study import Trial

__all__ = [
    "BenchmarkProgress",
    "DenoisingProgress",
    "Downloads",
    "SearchProgress",
    "Steps",
    "TrainingProgress",
    "clock",
]

_MAX_NAMES = 5
_SECONDS_BETWEEN_LINES = 10


class _Bars:
    """Progress bars, shown from the first update on and only in a terminal."""

    def __init__(self, console: Console, *columns: ProgressColumn) -> None:
        self._console = console
        text, bar = TextColumn("{task.description}", markup=False), BarColumn(bar_width=24)
        self._bars = Progress(text, bar, *columns, console=console, transient=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars.live.is_started:
            self._bars.stop()

    def _show(self, task: TaskID, **fields: Any) -> None:
        if self._console.is_terminal:
            self._bars.update(task, **fields)
            self._bars.start()

    def _print(self, line: str) -> None:
        self._console.print(printable(line), highlight=False, markup=False, soft_wrap=True)


class TrainingProgress(_Bars):
    """Progress of training: phase, epoch, loss, throughput and time left."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, TextColumn("{task.fields[status]}"))
        self._task = self._bars.add_task("", total=None, status="")

    def begin(self, training: Training, rows: tuple[EpochRow, ...]) -> None:
        """Print the notes about the data."""
        del rows
        for note in training.notes:
            for line in f"note: {note}".splitlines():
                self._print(line)

    def step(self, status: TrainingStatus) -> None:
        """Update the bar."""
        self._show_training(status)

    def epoch(self, row: EpochRow) -> None:
        """Print a finished epoch."""
        self._print(
            f"{row.phase} epoch {row.epoch}: loss {loss_text(row.loss)}, "
            f"val_loss {loss_text(row.val_loss)}, "
            f"{row.seconds:.1f} s, {row.images_per_second:,.0f} images/s"
        )

    def _show_training(self, status: TrainingStatus, before: str = "", after: str = "") -> None:
        self._show(
            self._task,
            description=f"{before}{status.phase} {status.epoch + 1}/{status.epochs}",
            total=status.steps,
            completed=status.step,
            status=f"loss {loss_text(status.loss)}  {status.images_per_second:,.0f} images/s  "
            f"{clock(status.eta)} left{after}",
        )


class SearchProgress(TrainingProgress):
    """Progress of a search: one line per trial, and a bar of the current one."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.start(0, 0)
        self._took: list[float] = []

    def note(self, sentence: str) -> None:
        """Print a note."""
        self._print(sentence)

    def start(self, number: int, trials: int) -> None:
        """Begin a trial."""
        self._number, self._trials = number, trials
        self._begun = time.monotonic()

    def begin(self, training: Training, rows: tuple[EpochRow, ...]) -> None:
        """Do nothing before the first step."""

    def step(self, status: TrainingStatus) -> None:
        """Update the bar; estimate the time of later trials from earlier ones."""
        total = ""
        if self._took:
            later = self._trials - 1 - self._number
            mean = sum(self._took) / len(self._took)
            total = f", {clock(status.eta + later * mean)} for all"
        trial = f"trial {self._number} ({self._number + 1} of {self._trials}), "
        self._show_training(status, trial, total)

    def epoch(self, row: EpochRow) -> None:
        """Do nothing before the end of the trial."""

    def trial(self, trial: Trial, best: Trial | None) -> None:
        """Print a finished trial."""
        # Imported here because denoising, whose progress is in this module too, must not load it.
        from autodenoise.recipes.search_space import short_names

        self._took.append(time.monotonic() - self._begun)
        result = trial.note if trial.value is None else f"val_loss {loss_text(trial.value)}"
        names = short_names(trial.values)
        settings = ", ".join(
            f"{names[key]} {value:.4g}" if isinstance(value, float) else f"{names[key]} {value}"
            for key, value in trial.values.items()
        )
        known = ""
        if best is not None and best.value is not None:
            known = f"; best {loss_text(best.value)} (trial {best.number})"
        self._print(f"trial {trial.number}: {result}{known}; {settings}")


class DenoisingProgress(_Bars):
    """Progress of denoising one or many image files.

    `paths` are the input and output folder, as in "in -> out", and empty for single files;
    `settings` names the model and its settings, as in "with NAME, strength 1".
    """

    def __init__(self, console: Console, paths: str, settings: str) -> None:
        super().__init__(console, TextColumn("{task.fields[status]}"))
        self._paths, self._settings = paths, settings
        self._task = self._bars.add_task("denoising", total=None, status="")
        self._begun = time.monotonic()
        self._files = self._finished = self._pixels = 0
        # The time depends on the pixels; file sizes estimate them without opening the files.
        self._bytes = self._bytes_finished = 0.0
        self._in_progress: dict[str, tuple[FileTask, int, int]] = {}

    def found(self, tasks: Sequence[FileTask]) -> None:
        """Show the number of files."""
        self._files = len(tasks)
        self._bytes = sum(task.size for task in tasks)
        self._show_work()

    def started(self, task: FileTask) -> None:
        """Do nothing before the first pixels."""

    def pixels(self, task: FileTask, done: int, total: int) -> None:
        """Update the bar."""
        self._in_progress[task.name] = (task, done, total)
        self._show_work()

    def finished(self, task: FileTask, result: DenoiseResult | None) -> None:
        """Count a file; print it if there is no live bar."""
        if result is None:
            self._bytes -= task.size  # took no time, so it must not count in the estimate
            self._end(task)
            return
        pixels = result.width * result.height * result.pages
        self._pixels += pixels
        self._bytes_finished += task.size
        self._end(task, f"{_megapixels(pixels)}, {result.seconds:.2f} s")

    def failed(self, task: FileTask, error: AutodenoiseError) -> None:
        """Count a failure; print it if there is no live bar."""
        self._bytes -= task.size
        self._end(task, f"failed: {error}")

    def ended(self, summary: BatchSummary) -> None:
        """Print a summary."""
        self.__exit__()
        if summary.results:
            first = summary.results[0]
            single = self._files == 1 and not self._paths
            speed = summary.pixels / max(summary.seconds, 1e-3)
            what = f"{first.source} -> {first.target}" if single else self._paths
            count = "" if single else f"{_images(len(summary.results))}, "
            self._print(
                f"{what}{': ' if what else ''}{count}{_megapixels(summary.pixels)} "
                f"{self._settings}, {summary.seconds:.2f} s, {_megapixels(speed)}/s"
            )
        if summary.unchanged:
            self._print(f"{_images(summary.unchanged)} unchanged since the last run")
        skipped: dict[str, list[str]] = {}
        for file in summary.skipped:
            skipped.setdefault(file.reason, []).append(file.name)
        for reason, names in skipped.items():
            more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
            self._print(f"skipped {', '.join(names[:_MAX_NAMES])}{more}: {reason}")

    def _end(self, task: FileTask, outcome: str = "") -> None:
        self._finished += 1
        self._in_progress.pop(task.name, None)
        self._show_work()
        if outcome and self._files > 1 and not self._console.is_terminal:
            self._print(f"{self._finished:,}/{self._files:,} {task.name}: {outcome}")

    def _show_work(self) -> None:
        pixels, size = float(self._pixels), self._bytes_finished
        for task, done, total in self._in_progress.values():
            pixels += done
            size += task.size * done / max(total, 1)
        elapsed = time.monotonic() - self._begun
        status = f"{self._finished:,}/{self._files:,}"
        if size:
            left = elapsed * (self._bytes / size - 1)
            status += f"  {_megapixels(pixels / elapsed)}/s  {clock(max(left, 0))} left"
        self._show(self._task, total=max(self._bytes, 1), completed=size, status=status)


class _Steps(_Bars):
    """A bar with the time left, for a known number of steps."""

    def __init__(self, console: Console, description: str) -> None:
        super().__init__(console, TimeRemainingColumn())
        self._task = self._bars.add_task(description, total=None)


class Steps(_Steps):
    """Progress of one task."""

    def __call__(self, done: int, total: int) -> None:
        """Update the bar."""
        self._show(self._task, completed=done, total=total)


class BenchmarkProgress(_Steps):
    """Progress of a benchmark: a bar with the time left, or a line every few seconds."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, "scoring")
        self._begun = self._printed = time.monotonic()

    def __call__(self, row: ResultRow, done: int, total: int) -> None:
        """Count a row."""
        self._show(
            self._task,
            description=f"{row.image} {row.noise} {row.denoiser}",
            completed=done,
            total=total,
        )
        now = time.monotonic()
        if not self._console.is_terminal and now - self._printed > _SECONDS_BETWEEN_LINES:
            self._printed = now
            left = clock((now - self._begun) * (total / done - 1))
            self._print(f"{done:,} of {total:,} rows, {left} left")


class Downloads(_Bars):
    """A progress bar for each download."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__(console or Console(), DownloadColumn(), TransferSpeedColumn())
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, name: str, done: int, total: int | None) -> None:
        """Update the bar of a file."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(f"downloading {name}", total=total)
        self._show(self._tasks[name], completed=done, total=total)


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"


def _megapixels(pixels: float) -> str:
    mega = pixels / 1e6
    return f"{mega:,.1f} MP" if mega >= 0.1 else f"{mega:.2g} MP"


def clock(seconds: float) -> str:
    """Format a duration as M:SS or H:MM:SS."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
