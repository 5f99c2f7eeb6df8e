"""Several listeners to one training."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autodenoise.training.history import EpochRow
    from autodenoise.training.state import Training, TrainingCallback, TrainingStatus

__all__ = ["Listeners"]


class Listeners:
    """Tells each of some reports, in their order, all that there is to hear; or nobody."""

    def __init__(self, *reports: TrainingCallback) -> None:
        self._reports = reports

    def begin(self, training: Training, rows: tuple[EpochRow, ...]) -> None:
        """Take what is about to be trained."""
        for report in self._reports:
            report.begin(training, rows)

    def step(self, status: TrainingStatus) -> None:
        """Take the state of things."""
        for report in self._reports:
            report.step(status)

    def epoch(self, row: EpochRow) -> None:
        """Take a finished epoch."""
        for report in self._reports:
            report.epoch(row)
