"""What a recipe says, in plain words: its data, noise and phases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autodenoise.learning.data import SOURCES
from autodenoise.learning.optim import Adadelta, Adam, AdamW, Muon, OneCycle
from autodenoise.noise import (
    Blur,
    Gaussian,
    Jpeg,
    Poisson,
    PoissonGaussian,
    SaltPepper,
    Speckle,
    Strength,
    Uniform,
)

if TYPE_CHECKING:
    from autodenoise.learning.data import Data
    from autodenoise.learning.loop import Phase
    from autodenoise.learning.optim import Optimizer
    from autodenoise.recipes import AnyNoise, Recipe

__all__ = ["LOSS_NAMES", "data_in_words", "noise_in_words", "phase_in_words"]


LOSS_NAMES = {"bce": "binary cross-entropy", "mse": "mean squared error"}
"""The losses' names in full."""


def data_in_words(data: Data) -> str:
    """Say what is learnt from, and what validation is done on."""
    words = data.source if data.part == "train" else f"the test part of {data.source}"
    if data.size is not None:
        height, width = data.size
        words += f", resized to {width}x{height}"
    match data.validation:
        case "test":
            own = "test" if data.source in SOURCES else "validation or test"
            words += f", validated on its {own} images"
        case "last":
            words += f", the last {data.share:.0%} held back for validation"
        case "random":
            words += f", a random {data.share:.0%} held back for validation"
    if data.copies > 1:
        words += f"; each image {data.copies} times an epoch"
    return words


def noise_in_words(recipe: Recipe) -> str:
    """Say how images are corrupted, and which are."""
    words = ", then ".join(_corruption(part) for part in recipe.noise)
    return words if recipe.validation == "noisy" else f"{words}; validation images stay clean"


def _corruption(noise: AnyNoise) -> str:
    match noise:
        case Gaussian():
            words = f"Gaussian noise of sigma {_strength(noise.sigma)}"
        case Uniform():
            sides = "two-sided" if noise.symmetric else "one-sided"
            words = f"{sides} uniform noise of amplitude {_strength(noise.amplitude)}"
        case Blur():
            words = f"Gaussian blur of sigma {_strength(noise.sigma)}"
        case Poisson():
            words = f"shot noise of {_strength(noise.peak)} photons at white"
        case PoissonGaussian():
            words = (
                f"shot noise of {_strength(noise.peak)} photons at white and Gaussian read noise "
                f"of sigma {_strength(noise.sigma)}"
            )
        case SaltPepper():
            words = f"a share {_strength(noise.amount)} of values set to white or black"
        case Speckle():
            words = f"speckle of sigma {_strength(noise.sigma)}"
        case Jpeg():
            words = f"JPEG of quality {_strength(noise.quality)}"
    clipped = not isinstance(noise, SaltPepper | Jpeg) and noise.clip
    return f"{words}, clipped to [0, 1]" if clipped else words


def _strength(strength: Strength) -> str:
    if isinstance(strength, tuple):
        low, high = strength
        return f"{low:g} to {high:g} drawn for each image"
    return f"{strength:g}"


def phase_in_words(phase: Phase) -> str:
    """Say how long, what from what, with which optimiser and loss."""
    epochs = f"{phase.epochs} epoch{'s' if phase.epochs > 1 else ''}"
    if phase.objective == "reconstruction":
        task = "clean to clean"
    else:
        fresh = "fresh noise each time" if phase.noise == "fresh" else "noise drawn once"
        task = f"noisy to clean, {fresh}"
    words = f"{epochs} in batches of {phase.batch_size}: {task}; {LOSS_NAMES[phase.loss]}; "
    words += _optimizer(phase.optimizer)
    if isinstance(phase.schedule, OneCycle):
        words += ", one cycle"
    if phase.patience is not None:
        words += f"; stops after {phase.patience} epochs without a lower validation loss"
    return words


def _optimizer(optimizer: Optimizer) -> str:
    rate = f"at {optimizer.learning_rate:g}"
    match optimizer:
        case Adam():
            return f"Adam {rate}"
        case Adadelta():
            return f"Adadelta {rate}"
        case AdamW():
            return f"AdamW {rate}"
        case Muon():
            return f"Muon {rate} and AdamW at {optimizer.adamw_learning_rate:g}"
