"""Training phases: how long, with which objective, loss, optimizer and schedule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from autodenoise.errors import UsageError, unknown_name
from autodenoise.noise import Noise
from autodenoise.training.history import EpochRow
from autodenoise.training.objectives import OBJECTIVES, Objective
from autodenoise.training.objectives.noise2void import Lines
from autodenoise.training.optimizers import Adam, Optimizer
from autodenoise.training.schedules import Constant, Schedule

__all__ = ["Phase", "is_over"]


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one objective. The next phase continues with the same weights.

    Attributes
    ----------
    epochs
        Number of passes over the training images.
    batch_size
        Images per step. The last step of an epoch takes those that are left.
    accumulate
        Send a batch through the network in this many parts: the same step up to rounding, in the
        memory of one part.
    minutes
        Train for this time instead of `epochs`. The schedule is stretched to it.
    crop
        Side of the random crops in pixels; by default that of ``[data]``.
    objective
        ``supervised``: noisy to clean. ``reconstruction``: clean to clean. Without clean images:
        ``noise2noise``, ``recorrupted``, ``neighbor2neighbor``, ``noise2void`` and
        ``noise2void2``; see `autodenoise.training.objectives`.
    lines
        For noise that is correlated along ``rows`` or ``columns``: ``noise2void`` and
        ``noise2void2`` then hide more pixels along them.
    loss
        ``bce``, ``mse``, ``l1`` or ``charbonnier``.
    noise
        ``once``: draw the noise of each image once, as the tutorials do. ``fresh``: draw new noise
        each time an image is used.
    optimizer
        See `autodenoise.training.optimizers`.
    schedule
        Learning rate over the course of the phase; see `autodenoise.training.schedules`.
    clip
        Scale longer gradients down to this norm.
    ema
        Decay of an exponential moving average of the weights, such as 0.999. The average is
        validated and becomes the model; see `autodenoise.training.ema`.
    precision
        ``bfloat16``: convolutions multiply in bfloat16 and sum in float32, where the processor has
        instructions for it. Weights and losses stay float32.
    patience
        End the phase after this many epochs without a lower validation loss.

    Examples
    --------
    >>> from autodenoise.noise import Gaussian
    >>> phase = Phase(epochs=3, objective="noise2noise", loss="mse")
    >>> phase.build_objective(Gaussian(0.1)).describe()
    'Learns to map one noisy image to another of the same sample (Noise2Noise).'
    """

    epochs: int
    batch_size: int = 128
    accumulate: int = 1
    minutes: float | None = None
    crop: int | None = None
    objective: str = "supervised"
    lines: Lines | None = None
    loss: Literal["bce", "mse", "l1", "charbonnier"] = "bce"
    noise: Literal["once", "fresh"] = "fresh"
    optimizer: Optimizer = field(default_factory=Adam)
    schedule: Schedule = field(default_factory=Constant)
    clip: float | None = None
    ema: float | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    patience: int | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate", "crop", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"phase: {name} is {value}; expected at least 1")
        if self.objective not in OBJECTIVES:
            raise unknown_name("objective", self.objective, OBJECTIVES)
        if self.lines is not None and not self.objective.startswith("noise2void"):
            raise UsageError(f"phase: lines is for noise2void; the objective is {self.objective}")
        for name in ("minutes", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"phase: {name} is {value}; expected a number above 0")
        if self.ema is not None and not 0 < self.ema < 1:
            raise UsageError(f"phase: ema is {self.ema}; expected a number between 0 and 1")

    def build_objective(self, noise: Noise) -> Objective:
        """Return the objective, which draws this noise."""
        options = {} if self.lines is None else {"lines": self.lines}
        return OBJECTIVES[self.objective](noise, **options)


def is_over(rows: list[EpochRow], name: str, phase: Phase) -> bool:
    """Return whether a phase has used up its time, its epochs or its patience."""
    finished = [row for row in rows if row.phase == name]
    losses = [row.val_loss for row in finished]
    if phase.minutes is not None:
        ended = sum(row.seconds for row in finished) >= 60 * phase.minutes
    else:
        ended = len(losses) >= phase.epochs
    if ended or not losses or phase.patience is None:
        return ended
    return len(losses) - 1 - losses.index(min(losses)) >= phase.patience
