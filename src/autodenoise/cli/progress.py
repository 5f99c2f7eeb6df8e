"""How long work is shown: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

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

    from rich.console import Console
    from rich.progress import ProgressColumn, TaskID

    from autodenoise.benchmark import ResultRow
    from autodenoise.errors import AutodenoiseError
    from autodenoise.runtime import BatchSummary, DenoiseResult, FileTask
    from autodenoise.training.history import EpochRow
    from autodenoise.training.state import Training, TrainingStatus
    from autodenoise.tuning.study import Trial

__all__ = [
    "DenoisingProgress",
    "Downloads",
    "SearchProgress",
    "Steps",
    "TableProgress",
    "TrainingProgress",
    "clock",
]

_NAMED = 5
_SECONDS_BETWEEN_LINES = 10


class _Bars:
    """Progress bars that come up when there is something to show, and only on a terminal."""

    def __init__(self, console: Console, *columns: ProgressColumn) -> None:
        self._console = console
        self._bars = Progress(*columns, console=console, transient=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hide()

    def _hide(self) -> None:
        if self._bars.live.is_started:
            self._bars.stop()

    def _show(self, task: TaskID, **fields: Any) -> None:
        if self._console.is_terminal:
            self._bars.update(task, **fields)
            self._bars.start()

    def _print(self, line: str) -> None:
        self._console.print(printable(line), highlight=False, markup=False, soft_wrap=True)


class _TrainingBar(_Bars):
    """The bar of an epoch, with loss and throughput."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            console,
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[told]}"),
        )
        self._task = self._bars.add_task("", total=None, told="")

    def _show_training(self, status: TrainingStatus, before: str, left: str) -> None:
        self._show(
            self._task,
            description=f"{before}{status.phase} {status.epoch + 1}/{status.epochs}",
            total=status.steps,
            completed=status.step,
            told=f"loss {loss_text(status.loss)}  {status.images_per_second:,.0f} images/s  {left}",
        )


class TrainingProgress(_TrainingBar):
    """A report of training: phase, epoch, loss, throughput and time left."""

    def begin(self, training: Training, rows: tuple[EpochRow, ...]) -> None:
        """Print what is worth knowing of the pictures."""
        del rows
        for note in training.notes:
            for line in f"note: {note}".splitlines():
                self._print(line)

    def step(self, status: TrainingStatus) -> None:
        """Show the state of things."""
        self._show_training(status, "", f"{clock(status.eta)} left")

    def epoch(self, row: EpochRow) -> None:
        """Print a finished epoch."""
        self._print(
            f"{row.phase} epoch {row.epoch}: loss {loss_text(row.loss)}, "
            f"val_loss {loss_text(row.val_loss)}, "
            f"{row.seconds:.1f} s, {row.images_per_second:,.0f} images/s"
        )


class SearchProgress(_TrainingBar):
    """A report of a search: a line a trial, and how the present one's training goes."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._number, self._trials = 0, 0
        self._begun = time.monotonic()
        self._took: list[float] = []

    def note(self, sentence: str) -> None:
        """Print something worth knowing."""
        self._print(sentence)

    def start(self, number: int, trials: int) -> None:
        """Remember which trial is trained."""
        self._number, self._trials = number, trials
        self._begun = time.monotonic()

    def begin(self, training: Training, rows: tuple[EpochRow, ...]) -> None:
        """Wait for the first step."""

    def step(self, status: TrainingStatus) -> None:
        """Show the state of things; the time of later trials is that of earlier ones."""
        left = f"{clock(status.eta)} left"
        if self._took:
            later = self._trials - 1 - self._number
            mean = sum(self._took) / len(self._took)
            left += f", {clock(status.eta + later * mean)} for all"
        self._show_training(
            status, f"trial {self._number} ({self._number + 1} of {self._trials}), ", left
        )

    def epoch(self, row: EpochRow) -> None:
        """Wait for the trial's end."""

    def trial(self, trial: Trial, best: Trial | None) -> None:
        """Print a finished trial."""
        # Denoising, whose progress is here too, needs no recipes.
        from autodenoise.recipes.search_space import short_names

        self._took.append(time.monotonic() - self._begun)
        result = trial.note if trial.value is None else f"val_loss {loss_text(trial.value)}"
        names = short_names(trial.values)
        tried = ", ".join(f"{names[key]} {_brief(value)}" for key, value in trial.values.items())
        known = ""
        if best is not None and best.value is not None:
            known = f"; best {loss_text(best.value)} (trial {best.number})"
        self._print(f"trial {trial.number}: {result}{known}; {tried}")


class DenoisingProgress(_Bars):
    """A report of pictures that are cleaned, one or many.

    Parameters
    ----------
    console
        Where to.
    where
        What is cleaned into what, if that is a folder: "in -> out".
    how
        With what: "with NAME, strength 1".
    """

    def __init__(self, console: Console, where: str, how: str) -> None:
        super().__init__(
            console,
            TextColumn("denoising"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[told]}"),
        )
        self._where, self._how = where, how
        self._task = self._bars.add_task("", total=None, told="")
        self._begun = time.monotonic()
        self._pictures = self._over = self._pixels = 0
        # Time goes by pixels; the bytes of the files are a guess of those that costs nothing.
        self._bytes = self._bytes_over = 0.0
        self._in_work: dict[str, tuple[FileTask, int, int]] = {}

    def found(self, tasks: Sequence[FileTask]) -> None:
        """Show how many there are."""
        self._pictures = len(tasks)
        self._bytes = sum(task.size for task in tasks)
        self._show_work()

    def started(self, task: FileTask) -> None:
        """Wait for its first pixels."""

    def pixels(self, task: FileTask, done: int, total: int) -> None:
        """Show how far the pictures in work are."""
        self._in_work[task.name] = (task, done, total)
        self._show_work()

    def finished(self, task: FileTask, result: DenoiseResult | None) -> None:
        """Count a picture, and print it where there is no live line."""
        if result is None:
            self._bytes -= task.size  # took no time, so it tells nothing of what is left
            self._end(task)
            return
        pixels = result.width * result.height * result.pages
        self._pixels += pixels
        self._bytes_over += task.size
        self._end(task, f"{_megapixels(pixels)}, {result.seconds:.2f} s")

    def failed(self, task: FileTask, error: AutodenoiseError) -> None:
        """Count a failure, and print it where there is no live line."""
        self._bytes -= task.size
        self._end(task, f"failed: {error}")

    def ended(self, summary: BatchSummary) -> None:
        """Print what became of all pictures."""
        self._hide()
        if summary.results:
            made = summary.results[0]
            alone = self._pictures == 1 and not self._where
            speed = summary.pixels / max(summary.seconds, 1e-3)
            what = f"{made.source} -> {made.target}" if alone else self._where
            count = "" if alone else f"{_number(len(summary.results), 'picture')}, "
            self._print(
                f"{what}{': ' if what else ''}{count}{_megapixels(summary.pixels)} {self._how}, "
                f"{summary.seconds:.2f} s, {_megapixels(speed)}/s"
            )
        if summary.kept:
            self._print(f"{_number(summary.kept, 'picture')} done before, nothing changed")
        others: dict[str, list[str]] = {}
        for passed in summary.passed_over:
            others.setdefault(passed.reason, []).append(passed.name)
        for reason, names in others.items():
            more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
            self._print(f"passed over {', '.join(names[:_NAMED])}{more}: {reason}")

    def _end(self, task: FileTask, told: str = "") -> None:
        self._over += 1
        self._in_work.pop(task.name, None)
        self._show_work()
        if told and self._pictures > 1 and not self._console.is_terminal:
            self._print(f"{self._over:,}/{self._pictures:,} {task.name}: {told}")

    def _show_work(self) -> None:
        pixels, size = float(self._pixels), self._bytes_over
        for task, done, total in self._in_work.values():
            pixels += done
            size += task.size * done / max(total, 1)
        elapsed = time.monotonic() - self._begun
        told = f"{self._over:,}/{self._pictures:,}"
        if size:
            left = elapsed * (self._bytes / size - 1)
            told += f"  {_megapixels(pixels / elapsed)}/s  {clock(max(left, 0))} left"
        self._show(self._task, total=max(self._bytes, 1), completed=size, told=told)


class _Steps(_Bars):
    """A bar for work of a known number of steps, and the time that is left."""

    def __init__(self, console: Console, description: str) -> None:
        super().__init__(
            console,
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TimeRemainingColumn(),
        )
        self._task = self._bars.add_task(description, total=None)


class Steps(_Steps):
    """How far one thing is."""

    def __call__(self, done: int, total: int) -> None:
        """Show how much is done."""
        self._show(self._task, completed=done, total=total)


class TableProgress(_Steps):
    """How a table of scores grows: a bar with the time left, or now and then a line."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, "scoring")
        self._begun = self._told = time.monotonic()

    def __call__(self, row: ResultRow, done: int, total: int) -> None:
        """Show that there is one more row."""
        self._show(
            self._task,
            description=f"{row.image} {row.noise} {row.denoiser}",
            completed=done,
            total=total,
        )
        now = time.monotonic()
        if not self._console.is_terminal and now - self._told > _SECONDS_BETWEEN_LINES:
            self._told = now
            left = clock((now - self._begun) * (total / done - 1))
            self._print(f"{done:,} of {total:,} rows, {left} left")


class Downloads(_Bars):
    """A progress bar for each file that is fetched."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            console,
            TextColumn("fetching {task.description}", markup=False),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TransferSpeedColumn(),
        )
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, name: str, done: int, total: int | None) -> None:
        """Show how much of a file is here."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._show(self._tasks[name], completed=done, total=total)


def _brief(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _megapixels(pixels: float) -> str:
    mega = pixels / 1e6
    return f"{mega:,.1f} MP" if mega >= 0.1 else f"{mega:.2g} MP"


def clock(seconds: float) -> str:
    """Say a time as on a clock: minutes and seconds, and hours where there are some."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
