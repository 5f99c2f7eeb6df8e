"""Learning-rate schedules: the share of the peak rate over the course of a phase."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from autodenoise.errors import UsageError

__all__ = ["SCHEDULES", "Constant", "Cosine", "OneCycle", "Schedule"]


@dataclass(frozen=True)
class Constant:
    """The peak rate throughout."""

    kind: Literal["constant"] = "constant"

    def factor(self, progress: float) -> float:
        """Return the share of the peak rate when this share of the phase is over."""
        del progress
        return 1.0

    def describe(self) -> str:
        """Return a few words that follow a learning rate."""
        return "constant"


@dataclass(frozen=True)
class OneCycle:
    """Rise from 1/25 of the peak over the share `warmup`, then fall to 0, both along a cosine.

    References
    ----------
    Smith and Topin, "Super-convergence", 2019, with fastai's cosine in place of straight lines.
    """

    warmup: float = 0.3
    kind: Literal["one-cycle"] = "one-cycle"

    def __post_init__(self) -> None:
        if not 0 < self.warmup < 1:
            raise UsageError(f"one-cycle: warmup is {self.warmup}; expected between 0 and 1")

    def factor(self, progress: float) -> float:
        """Return the share of the peak rate when this share of the phase is over."""
        if progress < self.warmup:
            return 0.04 + 0.96 * (1 - math.cos(math.pi * progress / self.warmup)) / 2
        return (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup))) / 2

    def describe(self) -> str:
        """Return a few words that follow a learning rate."""
        return "rising and falling in one cycle"


@dataclass(frozen=True)
class Cosine:
    """Rise linearly from 0 over the share `warmup`, then fall along a cosine to the share `floor`.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Examples
    --------
    >>> schedule = Cosine(warmup=0.2, floor=0.1)
    >>> [round(schedule.factor(progress), 2) for progress in (0, 0.1, 0.2, 0.6, 1)]
    [0.0, 0.5, 1.0, 0.55, 0.1]
    """

    warmup: float = 0.02
    floor: float = 0.0
    kind: Literal["cosine"] = "cosine"

    def __post_init__(self) -> None:
        for name in ("warmup", "floor"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise UsageError(f"cosine: {name} is {value}; expected 0 or more, below 1")

    def factor(self, progress: float) -> float:
        """Return the share of the peak rate when this share of the phase is over."""
        if progress < self.warmup:
            return progress / self.warmup
        fallen = (1 - math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup))) / 2
        return 1 - (1 - self.floor) * fallen

    def describe(self) -> str:
        """Return a few words that follow a learning rate."""
        return "falling along a cosine"


SCHEDULES = {"constant": Constant, "cosine": Cosine, "one-cycle": OneCycle}
"""The schedule of each ``kind`` in recipes."""

Schedule = Annotated[Constant | Cosine | OneCycle, Field(discriminator="kind")]
