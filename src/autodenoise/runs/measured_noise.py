"""The noise of somebody's own pictures, measured on the pictures where nobody tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autodenoise.data.crops import center_crops
from autodenoise.errors import UsageError
from autodenoise.noise import Measured
from autodenoise.noise_estimation.level import from_images
from autodenoise.runs.run import to_images

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from autodenoise.data.splits import Part, Splits
    from autodenoise.noise import AnyNoise
    from autodenoise.recipes import Recipe

__all__ = ["noise_of"]

_ENOUGH = 500_000
_MOST = 256
_BRIGHTNESSES = 2


def noise_of(recipe: Recipe, splits: Splits) -> tuple[AnyNoise, ...]:
    """Give a recipe's noise; where it has none and an objective needs to know it, as measured.

    What is measured is taken to be independent from pixel to pixel, and follows from the pictures
    alone: a run that is gone on with has the same.

    Raises
    ------
    UsageError
        The pictures are too small or too few to measure noise on.
    """
    wanted = any(phase.objective == "recorrupted" for phase in recipe.phase.values())
    if recipe.noise or not wanted:
        return recipe.noise
    level = from_images(_images(splits.train))
    # One brightness alone would be the one with the least noise.
    if level is None or min(len(curve.means) for curve in level.channels) < _BRIGHTNESSES:
        instead = " ".join(
            f"--set phase.{name}.objective=neighbor2neighbor"
            for name, phase in recipe.phase.items()
            if phase.objective == "recorrupted"
        )
        raise UsageError(
            "the pictures are too small or too few to measure their noise on (about 200x200 pixels "
            "together), or nearly all black or white. Name it, as in --noise gaussian:25, or learn "
            f"without knowing it, by {instead}"
        )
    means = sorted({mean for curve in level.channels for mean in curve.means})
    variances = [np.interp(means, curve.means, curve.variances) for curve in level.channels]
    between = np.array(level.correlation).clip(-1, 1)
    np.fill_diagonal(between, 1)  # which rounding may have missed
    pairs = zip(*np.triu_indices(len(variances)), strict=True)
    measured = Measured(
        means=tuple(means),
        sigmas=tuple(tuple(np.sqrt(each.clip(min=0)).tolist()) for each in variances),
        correlation=tuple(((float(between[pair]),),) for pair in pairs),
    )
    return (measured,)


def _images(part: Part) -> NDArray[np.float32]:
    """Give as much of the noisy pictures as is enough: some whole, or the middles of some."""
    noisy = part.images if part.noisy is None else part.noisy
    if noisy[:, 0].numel() >= _ENOUGH or not part.full_images:
        return to_images(noisy)
    taken: list[Tensor] = []
    pixels = 0
    for number in range(min(len(part.full_images), _MOST)):
        taken.append(part.full_images[number][0])
        pixels += taken[-1][0].numel()
        if pixels >= _ENOUGH:
            break
    largest = max(min(picture.shape[1:]) for picture in taken)
    taken = [picture for picture in taken if min(picture.shape[1:]) > largest // 2]
    if len(taken) == 1:
        return to_images(taken[0][None])
    return to_images(center_crops(taken, largest))
