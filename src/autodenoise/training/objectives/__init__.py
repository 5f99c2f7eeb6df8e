"""Training objectives, one file each, and the table of their names."""

from __future__ import annotations

import functools
from collections.abc import Callable

from autodenoise.training.objectives.neighbor2neighbor import Neighbor2Neighbor
from autodenoise.training.objectives.noise2noise import Noise2Noise
from autodenoise.training.objectives.noise2void import Noise2Void
from autodenoise.training.objectives.objective import DenoisingNetwork, Objective, TrainingTask
from autodenoise.training.objectives.reconstruction import Reconstruction
from autodenoise.training.objectives.recorrupted import Recorrupted
from autodenoise.training.objectives.supervised import Supervised

__all__ = [
    "OBJECTIVES",
    "DenoisingNetwork",
    "Neighbor2Neighbor",
    "Noise2Noise",
    "Noise2Void",
    "Objective",
    "Reconstruction",
    "Recorrupted",
    "Supervised",
    "TrainingTask",
]

OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "supervised": Supervised,
    "reconstruction": Reconstruction,
    "noise2noise": Noise2Noise,
    "noise2void": Noise2Void,
    "noise2void2": functools.partial(Noise2Void, fill="median"),
    "neighbor2neighbor": Neighbor2Neighbor,
    "recorrupted": Recorrupted,
}
"""The objective of each name in recipes, as a function of the noise. Noise2Void also takes `lines`;
see `autodenoise.training.phases.Phase.build_objective`."""
