"""How good a run is likely to be where nobody has the clean images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from autodenoise.noise import Compose, adds_alike
from autodenoise.noise.mixture import uncut
from autodenoise.noise_estimation import estimate as unsupervised
from autodenoise.noise_estimation.autocorrelation import check_independence, of_shots
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
    from autodenoise.training.phases import Phase

__all__ = ["assess", "caution"]

# So many are enough, and take no longer than validation does.
_PIXELS = 1_000_000
_ALSO = 64
_LEVELS, _FLAT = 17, 128
_LITTLE = 0.5
_BLIND = ("neighbor2neighbor", "noise2void", "noise2void2")


def assess(run: Run, splits: Splits) -> QualityEstimate | None:
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
    if run.has_clean:
        return None
    _, height, width = splits.shape
    held = run.held_back(splits, max(1, _PIXELS // (height * width)))
    model, span = run.model(), splits.normalization[1] - splits.normalization[0]
    found: QualityEstimate | None
    if held.again is not None and held.others is not None:
        found = unsupervised.from_repeats(model, held.noisy, held.again, held.others, span=span)
    else:
        found = unsupervised.from_noisy(
            model,
            held.noisy,
            np.random.default_rng(run.recipe.seed),
            also=to_images(splits.train.images[:_ALSO]),
            known=_known(run.recipe, splits),
            span=span,
        )
    if found is not None:
        results.write(run.folder, results.ESTIMATE_NAME, found)
    return found


def caution(recipe: Recipe, splits: Splits) -> tuple[str, ...]:
    """Say what about the noise is likely to go wrong, before anything is trained.

    Returns
    -------
    tuple of str
        Warnings; empty where all is well, or nothing can be told.
    """
    return (*_kept(recipe, splits), *_strong(recipe, splits))


def _kept(recipe: Recipe, splits: Splits) -> tuple[str, ...]:
    """Say it if the noise is such that a recipe's objectives would keep it.

    They take what neighbours have in common for structure, if nobody tells them about the noise.
    """
    blind = [
        phase
        for phase in recipe.phase.values()
        if phase.objective in _BLIND or (phase.objective == "recorrupted" and not recipe.noise)
    ]
    found = _independence(recipe, splits) if blind else None
    if found is None or found.direction is None:
        return ()
    if all(_hides(phase, found.direction) for phase in blind):
        return ()
    instead = ["learn from repeats (Noise2Noise)", "start from photo-real-color"]
    if found.direction != "all":
        instead.insert(1, f'hide lines (noise2void2 with lines = "{found.direction}")')
    better = ", or ".join(instead)
    said = (
        f"the noise {found.verdict}. What is learnt from noisy pictures alone takes it to be "
        f"independent from pixel to pixel, and will leave it in. Better {better}"
    )
    return (said,)


def _strong(recipe: Recipe, splits: Splits) -> tuple[str, ...]:
    """Say it if noise of a set strength is put on pictures that use little of their range."""
    low, high = splits.normalization
    if recipe.data.supervision != "clean" or high - low > _LITTLE:
        return ()
    said = (
        f"the pictures reach from {low:.3g} to {high:.3g} of what their files could hold, and the "
        "noise that is put on them is told in units of the whole (gaussian:25 is 25/255 of it); "
        "it may be far too strong: choose it by --noise, or measure it with noise-profile"
    )
    return (said,)


def _hides(phase: Phase, direction: str) -> bool:
    return phase.objective.startswith("noise2void") and phase.lines == direction


def _independence(recipe: Recipe, splits: Splits) -> Autocorrelation | None:
    """Look at the noise of some training images, in the most certain way that they allow."""
    _, height, width = splits.shape
    part, some = splits.train, slice(max(1, _PIXELS // (height * width)))
    images = to_images(part.images[some])
    if part.noisy is None:
        noisy = to_images(corrupt(Compose(recipe.noise), part.images[some], recipe.seed, "train"))
        return of_shots(noisy, images)
    if recipe.data.supervision == "noisy-only":
        return check_independence(images)
    return of_shots(to_images(part.noisy[some]), images)


def _known(recipe: Recipe, splits: Splits) -> unsupervised.KnownNoise | None:
    """Give the noise that a recipe says its noisy pictures have, if that is one and the same."""
    if not recipe.noise or not all(map(adds_alike, recipe.noise)):
        return None
    noise, random = uncut(Compose(recipe.noise)), generator(recipe.seed, "probes")

    def draw(images: NDArray[np.floating]) -> NDArray[np.floating]:
        clean = torch.from_numpy(images.astype(np.float32).transpose(0, 3, 1, 2)).contiguous()
        return to_images(noise(clean, random) - clean)

    means = np.linspace(*splits.normalization, _LEVELS)
    flat = np.ones((1, _FLAT, _FLAT, splits.shape[0]), np.float32)
    drawn = np.concatenate([draw(mean * flat) for mean in means]).astype(np.float64)
    variances = np.square(drawn).mean((1, 2)).T.tolist()
    curves = (Curve(tuple(means.tolist()), tuple(channel)) for channel in variances)
    return unsupervised.KnownNoise(NoiseLevel.of(curves, drawn), draw)
