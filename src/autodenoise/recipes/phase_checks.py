"""Check that a phase of training fits the rest of its recipe."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autodenoise.errors import UsageError
from autodenoise.nets import NETWORKS
from autodenoise.noise import is_fixed_zero_mean
from autodenoise.training.objectives import OBJECTIVES
from autodenoise.training.phases import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autodenoise.data.spec import DataSpec
    from autodenoise.noise import AnyNoise

__all__ = ["check_phase"]

_BLIND = ("recorrupted", "neighbor2neighbor", "noise2void", "noise2void2")
_POSSIBLE = {
    "clean": tuple(OBJECTIVES),
    "paired": ("supervised", "reconstruction", *_BLIND),
    "repeats": ("noise2noise", *_BLIND),
    "noisy-only": _BLIND,
}
# A phase's weights are saved under its name, beside files of these names.
_TAKEN = ("best", "checkpoint", "start")


def check_phase(
    name: str, phase: Phase, data: DataSpec, noise: Iterable[AnyNoise], network: str
) -> None:
    """Raise `UsageError` if a phase does not fit its data, noise and network."""
    if not re.fullmatch(r"[\w-]+", name) or name in _TAKEN:
        raise UsageError(
            f"a phase is called {name!r}; expected letters, digits, _ and -, and not one of "
            f"{', '.join(_TAKEN)}"
        )
    if phase.noise == "once" and data.crop is not None:
        raise UsageError(f"phase.{name}.noise is once, but no crop is used twice; use fresh")
    supervision = data.supervision
    if data.shots is not None:
        supervision = "noisy-only" if data.shots == 1 else "repeats"
    if phase.objective not in _POSSIBLE[supervision]:
        raise UsageError(
            f"phase.{name}.objective is {phase.objective}, which does not support {supervision} "
            f"images; expected one of: {', '.join(_POSSIBLE[supervision])}"
        )
    if phase.objective == "recorrupted" and not all(map(is_fixed_zero_mean, noise)):
        raise UsageError(
            f"phase.{name}.objective is recorrupted, which must know the noise of every image; "
            "specify noise of one strength with mean 0, or none to measure it on noisy images"
        )
    if phase.crop is not None and data.crop is None:
        raise UsageError(f"phase.{name}.crop needs crop in [data]")
    if phase.loss == "bce" and NETWORKS[network].answers == "image":
        raise UsageError(
            f"phase.{name}.loss is bce, which needs a network whose output is logits; "
            f"{network} outputs the image itself: use mse"
        )
