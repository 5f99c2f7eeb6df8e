"""Estimate the quality of a run without clean images, and warn about unsuitable noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from autodenoise.noise import Compose, is_fixed_zero_mean
from autodenoise.noise.mixture import without_clipping
from autodenoise.noise_estimation import estimate as unsupervised
from autodenoise.noise_estimation.autocorrelation import of_flat_areas, of_shots
from autodenoise.noise_estimation.level import Curve, NoiseLevel
from autodenoise.runs import results
from autodenoise.runs.run import to_images
from autodenoise.training.randomness import generator
from autodenoise.training.validation import corrupt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autodenoise.data.splits import Splits
    from autodenoise.noise_estimation.autocorrelation import Autocorrelation
    from autodenoise.noise_estimation.estimate import QualityEstimate
    from autodenoise.recipes import Recipe
    from autodenoise.runs.run import Run

__all__ = ["estimate_quality", "noise_warnings"]

# Enough pixels for an estimate, which takes no longer than validation.
_PIXELS = 1_000_000
_MAX_TRAINING_IMAGES = 64
_BRIGHTNESSES = 17
_FLAT_SIDE = 128  # pixels
_NARROW_RANGE = 0.5
_SELF_SUPERVISED = ("neighbor2neighbor", "noise2void", "noise2void2")


def estimate_quality(run: Run, splits: Splits) -> QualityEstimate | None:
    """Estimate the quality of a run on its test images, and write it to the folder.

    Return None if there are clean images to measure the quality with, or if the images are too
    small for an estimate.
    """
    if run.has_clean:
        return None
    _, height, width = splits.shape
    test = run.evaluation_images(splits, max(1, _PIXELS // (height * width)))
    model, span = run.model(), splits.normalization[1] - splits.normalization[0]
    found: QualityEstimate | None
    if test.second_shot is not None and test.mean_of_others is not None:
        found = unsupervised.from_repeats(
            model, test.noisy, test.second_shot, test.mean_of_others, span=span
        )
    else:
        found = unsupervised.from_noisy(
            model,
            test.noisy,
            np.random.default_rng(run.recipe.seed),
            also=to_images(splits.train.images[:_MAX_TRAINING_IMAGES]),
            known=_known(run.recipe, splits),
            span=span,
        )
    if found is not None:
        results.write(run.folder, results.ESTIMATE_NAME, found)
    return found


def noise_warnings(recipe: Recipe, splits: Splits) -> tuple[str, ...]:
    """Return warnings about noise that is unsuitable for the recipe, before training."""
    return tuple(filter(None, (_correlated_noise(recipe, splits), _strong_noise(recipe, splits))))


def _correlated_noise(recipe: Recipe, splits: Splits) -> str:
    """Warn about noise that the objectives of a recipe would not remove.

    Self-supervised objectives take what neighboring pixels have in common for structure.
    """
    self_supervised = [
        phase
        for phase in recipe.phase.values()
        if phase.objective in _SELF_SUPERVISED
        or (phase.objective == "recorrupted" and not recipe.noise)
    ]
    found = _independence(recipe, splits) if self_supervised else None
    if found is None or found.direction is None:
        return ""
    # noise2void2 can mask lines in the direction of the noise.
    if all(
        phase.objective.startswith("noise2void") and phase.lines == found.direction
        for phase in self_supervised
    ):
        return ""
    instead = ["train on repeats (Noise2Noise)", "start from photo-real-color"]
    if found.direction != "all":
        instead.insert(1, f'mask lines (noise2void2 with lines = "{found.direction}")')
    return (
        f"the noise {found.description}. Training on noisy images alone assumes that noise is "
        "independent between pixels, and will not remove this noise. Instead, "
        f"{', or '.join(instead)}"
    )


def _strong_noise(recipe: Recipe, splits: Splits) -> str:
    """Warn about noise of a given strength on images that use a small part of their range."""
    low, high = splits.normalization
    if recipe.data.supervision != "clean" or high - low > _NARROW_RANGE:
        return ""
    return (
        f"the images use only {low:.3g} to {high:.3g} of the range of their files, but the "
        "strength of the noise is relative to the whole range (gaussian:25 is 25/255 of it), so it "
        "may be far too strong; choose it with --noise, or measure it with noise-profile"
    )


def _independence(recipe: Recipe, splits: Splits) -> Autocorrelation | None:
    """Return the autocorrelation of the noise in some training images."""
    _, height, width = splits.shape
    part, some = splits.train, slice(max(1, _PIXELS // (height * width)))
    images = to_images(part.images[some])
    if part.noisy is None:
        noisy = to_images(corrupt(Compose(recipe.noise), part.images[some], recipe.seed, "train"))
        return of_shots(noisy, images)
    if recipe.data.supervision == "noisy-only":
        return of_flat_areas(images)
    return of_shots(to_images(part.noisy[some]), images)


def _known(recipe: Recipe, splits: Splits) -> unsupervised.KnownNoise | None:
    """Return the noise that a recipe declares for noisy images, unless it varies between images."""
    if not recipe.noise or not all(map(is_fixed_zero_mean, recipe.noise)):
        return None
    noise, random = without_clipping(Compose(recipe.noise)), generator(recipe.seed, "probes")

    def draw(images: NDArray[np.floating]) -> NDArray[np.floating]:
        clean = torch.from_numpy(images.astype(np.float32).transpose(0, 3, 1, 2)).contiguous()
        return to_images(noise(clean, random) - clean)

    means = np.linspace(*splits.normalization, _BRIGHTNESSES)
    flat = np.ones((1, _FLAT_SIDE, _FLAT_SIDE, splits.shape[0]), np.float32)
    drawn = np.concatenate([draw(mean * flat) for mean in means]).astype(np.float64)
    variances = np.square(drawn).mean((1, 2)).T.tolist()
    curves = (Curve(tuple(means.tolist()), tuple(channel)) for channel in variances)
    return unsupervised.KnownNoise(NoiseLevel.of(curves, drawn), draw)
