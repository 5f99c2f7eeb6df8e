"""The noise that training uses: that of the recipe, or measured on the noisy training images."""

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

__all__ = ["training_noise"]

_PIXELS = 500_000
_MAX_IMAGES = 256
_MIN_BRIGHTNESSES = 2


def training_noise(recipe: Recipe, splits: Splits) -> tuple[AnyNoise, ...]:
    """Return the noise of a recipe, or measure it if the recipe has none and an objective needs it.

    Measured noise is assumed to be independent between pixels. It depends on the images alone, so
    that a resumed run gets the same noise.
    """
    wanted = any(phase.objective == "recorrupted" for phase in recipe.phase.values())
    if recipe.noise or not wanted:
        return recipe.noise
    level = from_images(_images(splits.train))
    # A single brightness would be the one with the least noise.
    if level is None or min(len(curve.means) for curve in level.channels) < _MIN_BRIGHTNESSES:
        instead = " ".join(
            f"--set phase.{name}.objective=neighbor2neighbor"
            for name, phase in recipe.phase.items()
            if phase.objective == "recorrupted"
        )
        raise UsageError(
            "the images are too small or too few to measure their noise (at least about 200x200 "
            "pixels in all), or nearly all black or white. Specify it, as in --noise gaussian:25, "
            f"or train without knowing it: {instead}"
        )
    means = sorted({mean for curve in level.channels for mean in curve.means})
    variances = [np.interp(means, curve.means, curve.variances) for curve in level.channels]
    correlation = np.array(level.correlation).clip(-1, 1)
    np.fill_diagonal(correlation, 1)  # exactly, despite rounding
    pairs = zip(*np.triu_indices(len(variances)), strict=True)
    measured = Measured(
        means=tuple(means),
        sigmas=tuple(tuple(np.sqrt(each.clip(min=0)).tolist()) for each in variances),
        correlation=tuple(((float(correlation[pair]),),) for pair in pairs),
    )
    return (measured,)


def _images(part: Part) -> NDArray[np.float32]:
    """Return enough of the noisy images: all, or the centers of some."""
    noisy = part.images if part.noisy is None else part.noisy
    if noisy[:, 0].numel() >= _PIXELS or not part.full_images:
        return to_images(noisy)
    chosen: list[Tensor] = []
    pixels = 0
    for number in range(min(len(part.full_images), _MAX_IMAGES)):
        chosen.append(part.full_images[number][0])
        pixels += chosen[-1][0].numel()
        if pixels >= _PIXELS:
            break
    largest = max(min(image.shape[1:]) for image in chosen)
    chosen = [image for image in chosen if min(image.shape[1:]) > largest // 2]
    if len(chosen) == 1:
        return to_images(chosen[0][None])
    return to_images(center_crops(chosen, largest))
