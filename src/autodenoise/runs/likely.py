"""How good a run is likely to be where nobody has the clean images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from autodenoise.evaluation import unsupervised
from autodenoise.evaluation.independence import check_independence, of_shots
from autodenoise.evaluation.noise_level import Curve, NoiseLevel
from autodenoise.learning.randomness import generator
from autodenoise.noise import Measured
from autodenoise.runs import results
from autodenoise.runs.run import to_images

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autodenoise.evaluation.unsupervised import Estimate
    from autodenoise.learning.data import Splits
    from autodenoise.recipes import Recipe
    from autodenoise.runs.run import Run

__all__ = ["estimate", "warnings"]

# So many are enough, and take no longer than an epoch.
_PIXELS = 2_000_000
_BLIND = ("neighbor2neighbor", "noise2void", "noise2void2")


def estimate(run: Run, splits: Splits) -> Estimate | None:
    """Estimate how good a run's model file is on its held-back images, and note it in the folder.

    Returns
    -------
    Estimate or None
        None where there are clean images, which tell it for certain, and where the images are too
        small for anything to be told.

    Raises
    ------
    InputError
        The model file is missing or damaged.
    OutputError
        The folder cannot be written.
    """
    if run.recipe.data.holds in ("clean", "pairs"):
        return None
    channels, height, width = splits.shape
    held = run.held_back(splits, max(1, _PIXELS // (height * width)))
    model, span = run.model(), splits.span[1] - splits.span[0]
    if held.again is not None and held.others is not None:
        found = unsupervised.from_repeats(model, held.noisy, held.again, held.others, span=span)
    else:
        found = unsupervised.from_noisy(
            model,
            held.noisy,
            np.random.default_rng(run.recipe.seed),
            profile=_profile(run.recipe, channels),
            span=span,
        )
    if found is not None:
        results.write(run.folder, results.ESTIMATE_NAME, found)
    return found
