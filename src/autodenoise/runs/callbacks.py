"""Several training callbacks as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autodenoise.training.history import EpochRow
    from autodenoise.training.state import Training, TrainingCallback, TrainingStatus

__all__ = ["CallbackList"]


class CallbackList:
    """Calls each of its callbacks in order; with none, it does nothing."""

    def __init__(self, *callbacks: TrainingCallback) -> None:
        self._callbacks = callbacks

    def begin(self, training: Training, rows: tuple[EpochRow, ...]) -> None:
        """Handle the start of training."""
        for callback in self._callbacks:
            callback.begin(training, rows)

    def step(self, status: TrainingStatus) -> None:
        """Handle a training step."""
        for callback in self._callbacks:
            callback.step(status)

    def epoch(self, row: EpochRow) -> None:
        """Handle the end of an epoch."""
        for callback in self._callbacks:
            callback.epoch(row)
