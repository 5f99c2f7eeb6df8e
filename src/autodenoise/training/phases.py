"""What a stretch of training is: how long, on what, towards what, and by which steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from autodenoise.errors import UsageError
from autodenoise.training.objectives.blind_spots import Lines
from autodenoise.training.optimizers import Adam, Constant, Optimizer, Schedule

if TYPE_CHECKING:
    from autodenoise.training.history import EpochRow

__all__ = ["ObjectiveName", "Phase", "is_over"]

ObjectiveName = Literal[
    "supervised",
    "reconstruction",
    "noise2noise",
    "noise2void",
    "noise2void2",
    "neighbor2neighbor",
    "recorrupted",
]
"""The objectives by the name that recipes write."""


@dataclass(frozen=True)
class Phase:
    """One stretch of training with one objective; a later phase goes on with the same weights.

    Attributes
    ----------
    epochs
        How many times over all images are learnt from.
    batch_size
        How many images a step learns from; the last of an epoch takes what is left.
    accumulate
        Send a step's images through the network in so many parts, one after the other: the same
        step up to rounding, in the memory that one part takes.
    minutes
        Train for so long instead, with the schedule stretched to it, whatever the machine can do
        in that time; `epochs` then counts for nothing.
    crop
        The side of the squares that are learnt from, where it is not that of the data.
    objective
        ``supervised``: noisy to clean. ``reconstruction``: clean to clean. Without clean images:
        ``noise2noise``, ``recorrupted``, ``neighbor2neighbor``, ``noise2void`` and
        ``noise2void2``; see `autodenoise.training.objectives`.
    lines
        For noise that goes along ``rows`` or ``columns``, which ``noise2void`` then hides more of.
    loss
        ``bce``, ``mse``, ``l1`` or ``charbonnier``.
    noise
        ``once``: every image keeps one noisy version, as the tutorials do. ``fresh``: each time it
        is seen it gets another.
    optimizer
        What makes steps of gradients, see `autodenoise.training.optimizers`.
    schedule
        How long steps are, by how much of the phase is over.
    clip
        Scale a step's gradient down to this norm where it is longer.
    average
        Validate and keep a moving average of the weights, to which each step's count 1 minus this;
        see `autodenoise.training.ema`.
    precision
        ``bfloat16``: convolutions multiply numbers of 8 bits of mantissa and add them up in
        float32, where the machine has instructions for it; weights and losses stay float32.
    patience
        Stop the phase after this many epochs without a lower validation loss; None: never.
    """

    epochs: int
    batch_size: int = 128
    accumulate: int = 1
    minutes: float | None = None
    crop: int | None = None
    objective: ObjectiveName = "supervised"
    lines: Lines | None = None
    loss: Literal["bce", "mse", "l1", "charbonnier"] = "bce"
    noise: Literal["once", "fresh"] = "fresh"
    optimizer: Optimizer = field(default_factory=Adam)
    schedule: Schedule = field(default_factory=Constant)
    clip: float | None = None
    average: float | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    patience: int | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate", "crop", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"phase: {name} is {value}; expected at least 1")
        if self.lines is not None and not self.objective.startswith("noise2void"):
            raise UsageError(f"phase: lines is for noise2void; the objective is {self.objective}")
        for name in ("minutes", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"phase: {name} is {value}; expected a number above 0")
        if self.average is not None and not 0 < self.average < 1:
            raise UsageError(f"phase: average is {self.average}; expected a number between 0 and 1")


def is_over(rows: list[EpochRow], name: str, phase: Phase) -> bool:
    """Tell whether a phase has had its time or its epochs, or has run out of patience."""
    own = [row for row in rows if row.phase == name]
    losses = [row.val_loss for row in own]
    if phase.minutes is not None:
        ended = sum(row.seconds for row in own) >= 60 * phase.minutes
    else:
        ended = len(losses) >= phase.epochs
    if ended or not losses or phase.patience is None:
        return ended
    return len(losses) - 1 - losses.index(min(losses)) >= phase.patience
