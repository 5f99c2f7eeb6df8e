"""A recipe in plain English, for `describe`, reports, model cards and the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autodenoise.data.arrays import PHOTO_SETS, SOURCES
from autodenoise.noise import Compose, Mixture
from autodenoise.noise.strength import varies

if TYPE_CHECKING:
    from autodenoise.data.spec import DataSpec, Supervision
    from autodenoise.noise import AnyNoise
    from autodenoise.recipes import Recipe
    from autodenoise.training.phases import Phase

__all__ = ["LOSS_NAMES", "data", "noise", "noises", "phase", "source", "supervision"]

LOSS_NAMES = {
    "bce": "binary cross-entropy",
    "mse": "mean squared error",
    "l1": "mean absolute error",
    "charbonnier": "mean Charbonnier error",
}
"""The losses by their name in recipes."""

_SOURCES = {
    "mnist": "MNIST",
    "fashion-mnist": "Fashion-MNIST",
    "digits": "scikit-learn's digits",
    "bsds400": "400 photos of BSDS500",
}
_SUPERVISION: dict[Supervision, str] = {
    "clean": "clean images",
    "paired": "pairs of a noisy and a clean image",
    "repeats": "several noisy shots of each view",
    "noisy-only": "noisy images only",
}
_NOISE_DRAWN = {
    "once": "Each image keeps one noisy version.",
    "fresh": "Noise is drawn anew each time an image is used.",
}


def source(name: str) -> str:
    """Return the name of a dataset; for a path its last part, since the folders are private."""
    return _SOURCES.get(name, Path(name).name)


def supervision(kind: Supervision) -> str:
    """Return what the data contain of each sample."""
    return _SUPERVISION[kind]


def data(recipe: Recipe) -> str:
    """Return what the network is trained and validated on, as a phrase."""
    spec = recipe.data
    parts = [("the test part of " if spec.part == "test" else "") + source(spec.source)]
    if spec.targets:
        parts[0] += f" and {source(spec.targets)}"
    if spec.supervision != "clean":
        parts.append(supervision(spec.supervision))
    if spec.shots is not None:
        parts.append(f"{spec.shots} noisy version{'s' if spec.shots > 1 else ''} of each image")
    if spec.size is not None:
        height, width = spec.size
        parts.append(f"resized to {width}x{height}")
    if spec.gray:
        parts.append("converted to gray")
    if spec.crop is not None:
        parts.append(f"random crops of {spec.crop}x{spec.crop} pixels, flipped and rotated")
    if spec.samples is not None:
        parts.append(f"{spec.samples:,} per epoch")
    if spec.normalize:
        parts.append("normalized to the range of their values")
    if spec.shrink != 1:
        parts.append(f"from images at {spec.shrink:g} to 1 times their size")
    if spec.shuffle_channels:
        parts.append("channels shuffled")
    if spec.copies > 1:
        parts.append(f"each image {spec.copies} times per epoch")
    return f"{', '.join(parts)}; {_validation(recipe)}"


def _validation(recipe: Recipe) -> str:
    spec = recipe.data
    if spec.validation != "test":
        which = "the last" if spec.validation == "last" else "a random"
        where = f"{which} {spec.share:.0%}"
    elif spec.source in PHOTO_SETS:
        where = "its validation images"
    else:
        where = f"its {'test' if spec.source in SOURCES else 'validation or test'} images"
    clean = ", without noise" if recipe.validation == "clean" else ""
    return f"validated on {where}{clean}"


def noises(recipe: Recipe) -> list[str]:
    """Return the noise that the network learns to remove, one phrase per corruption."""
    present = [] if recipe.data.supervision == "clean" else ["The noise of the images themselves"]
    return present + [noise(spec) for spec in recipe.noise]


def noise(spec: AnyNoise) -> str:
    """Return what a corruption does, as a phrase that starts a sentence."""
    text = spec.describe()
    if isinstance(spec, Mixture) or varies(spec):
        text += ", drawn for each image"
    if getattr(spec, "clip", False):
        text += ", clipped to [0, 1]"
    return text[0].upper() + text[1:]


def phase(spec: Phase, data: DataSpec | None = None) -> list[str]:
    """Return what a phase of training does, in a few sentences.

    `data` says whether the images bring their own noise; by default they are clean.
    """
    length = f"{spec.epochs} epoch{'s' if spec.epochs > 1 else ''}"
    if spec.minutes is not None:
        length = f"{spec.minutes:.3g} minutes"
    batches = f"batches of {spec.batch_size}"
    if spec.crop is not None:
        batches += f" crops of {spec.crop}x{spec.crop} pixels"
    sentences = [
        spec.build_objective(Compose(())).describe(),
        f"Trains for {length} in {batches}.",
        (
            f"Minimizes {LOSS_NAMES[spec.loss]} by {spec.optimizer.describe()}, "
            f"{spec.schedule.describe()}."
        ),
    ]
    if spec.patience is not None:
        sentences.append(f"Stops after {spec.patience} epochs without a lower validation loss.")
    drawn = data is None or (data.supervision == "clean" and data.shots is None)
    if drawn and spec.objective != "reconstruction":
        sentences.append(_NOISE_DRAWN[spec.noise])
    if spec.ema is not None:
        sentences.append(
            f"Keeps an exponential moving average of the weights (decay {spec.ema:g})."
        )
    if spec.precision == "bfloat16":
        sentences.append("Computes in bfloat16 where the machine supports it.")
    return sentences
