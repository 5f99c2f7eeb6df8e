"""How long work is shown: a live line on a terminal, a plain line an epoch elsewhere."""

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

from autodenoise.recipes.search import short_names

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import ProgressColumn, TaskID

    from autodenoise.learning.history import Row
    from autodenoise.learning.loop import Status, Training
    from autodenoise.runs.study import Trial

__all__ = ["Downloads", "SearchProgress", "Steps", "TrainingProgress"]


class _Bars:
    """Progress bars that come up when there is something to show, and only on a terminal."""

    def __init__(self, console: Console, *columns: ProgressColumn) -> None:
        self._console = console
        self._bars = Progress(*columns, console=console, transient=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars.live.is_started:
            self._bars.stop()

    def _show(self, task: TaskID, **fields: Any) -> None:
        if self._console.is_terminal:
            self._bars.start()
            self._bars.update(task, **fields)


class _TrainingBar(_Bars):
    """The bar of an epoch, with loss and throughput."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            console,
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[told]}"),
        )
        self._task = self._bars.add_task("", total=None, told="")

    def _show_training(self, status: Status, before: str, left: str) -> None:
        self._show(
            self._task,
            description=f"{before}{status.phase} {status.epoch + 1}/{status.epochs}",
            total=status.steps,
            completed=status.step,
            told=f"loss {status.loss:.4f}  {status.images_per_second:,.0f} images/s  {left}",
        )

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


class TrainingProgress(_TrainingBar):
    """A report of training: phase, epoch, loss, throughput and time left."""

    def begin(self, training: Training, rows: tuple[Row, ...]) -> None:
        """Wait for the first step."""

    def step(self, status: Status) -> None:
        """Show the state of things."""
        self._show_training(status, "", f"{_clock(status.eta)} left")

    def epoch(self, row: Row) -> None:
        """Print a finished epoch."""
        self._print(
            f"{row.phase} epoch {row.epoch}: loss {row.loss:.4f}, val_loss {row.val_loss:.4f}, "
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

    def begin(self, training: Training, rows: tuple[Row, ...]) -> None:
        """Wait for the first step."""

    def step(self, status: Status) -> None:
        """Show the state of things; the time of later trials is that of earlier ones."""
        left = f"{_clock(status.eta)} left"
        if self._took:
            later = self._trials - 1 - self._number
            mean = sum(self._took) / len(self._took)
            left += f", {_clock(status.eta + later * mean)} for all"
        self._show_training(
            status, f"trial {self._number} ({self._number + 1} of {self._trials}), ", left
        )

    def epoch(self, row: Row) -> None:
        """Wait for the trial's end."""

    def trial(self, trial: Trial, best: Trial | None) -> None:
        """Print a finished trial."""
        self._took.append(time.monotonic() - self._begun)
        result = trial.note if trial.value is None else f"val_loss {trial.value:.4f}"
        names = short_names(trial.values)
        tried = ", ".join(f"{names[key]} {_brief(value)}" for key, value in trial.values.items())
        known = "" if best is None else f"; best {best.value:.4f} (trial {best.number})"
        self._print(f"trial {trial.number}: {result}{known}; {tried}")


class Steps(_Bars):
    """A bar for work of a known number of steps, and the time that is left."""

    def __init__(self, console: Console, description: str) -> None:
        super().__init__(
            console,
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeRemainingColumn(),
        )
        self._task = self._bars.add_task(description, total=None)

    def __call__(self, done: int, total: int) -> None:
        """Show how much is done."""
        self._show(self._task, completed=done, total=total)


class Downloads(_Bars):
    """A progress bar for each file that is fetched."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            console,
            TextColumn("fetching {task.description}"),
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


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
