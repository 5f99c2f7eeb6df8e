"""What a recipe says, in plain words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autodenoise.data.arrays import PHOTO_SETS, SOURCES
from autodenoise.noise import (
    Blur,
    Camera,
    CorrelatedGaussian,
    Gaussian,
    Grain,
    Jpeg,
    Measured,
    Mixture,
    Poisson,
    PoissonGaussian,
    SaltPepper,
    Scan,
    Speckle,
    Uniform,
)
from autodenoise.training.optimizers import AdamW, Muon

if TYPE_CHECKING:
    from autodenoise.data.spec import DataSpec, Supervision
    from autodenoise.noise import AnyNoise, Strength
    from autodenoise.recipes import Recipe
    from autodenoise.training.optimizers import Optimizer
    from autodenoise.training.phases import Phase

__all__ = ["LOSS_NAMES", "data", "holds", "noise", "noises", "phase", "source"]

LOSS_NAMES = {
    "bce": "binary cross-entropy",
    "mse": "mean squared error",
    "l1": "mean absolute error",
    "charbonnier": "mean Charbonnier error",
}
"""The losses by the name that recipes write."""

_SOURCES = {
    "mnist": "MNIST",
    "fashion-mnist": "Fashion-MNIST",
    "digits": "scikit-learn's digits",
    "bsds400": "400 photos of BSDS500",
}
_TASKS = {
    "supervised": "noisy to clean",
    "reconstruction": "clean to clean",
    "noise2noise": "noisy to noisy, of the same scene (Noise2Noise)",
    "noise2void": "noisy to pixels that are hidden from it (Noise2Void)",
    "noise2void2": "noisy to pixels that are hidden from it (N2V2)",
    "recorrupted": "noisier to noisy, with noise as theirs (Recorrupted2Recorrupted)",
    "neighbor2neighbor": "noisy to the pixels beside (Neighbor2Neighbor)",
}
_HOLDS: dict[Supervision, str] = {
    "clean": "clean pictures",
    "paired": "pairs of a noisy and a clean picture",
    "repeats": "several noisy shots of each scene",
    "noisy-only": "noisy pictures alone",
}
_DRAWN = {
    "once": "Every image keeps one noisy version.",
    "fresh": "An image gets new noise each time it is seen.",
}
_DRAWN_EACH = " (drawn for each image)"


def source(name: str) -> str:
    """Name a data set; of a path its last part alone, whose folders are nobody's business."""
    return _SOURCES.get(name, Path(name).name)


def holds(kind: Supervision) -> str:
    """Say what there is of each scene."""
    return _HOLDS[kind]


def data(recipe: Recipe) -> str:
    """Say what is learnt from, and what validation is done on."""
    part = recipe.data
    said = source(part.source)
    if part.part == "test":
        said = f"the test part of {said}"
    if part.targets:
        said += f" and {source(part.targets)}"
    if part.supervision != "clean":
        said += f", {holds(part.supervision)}"
    if part.shots is not None:
        said += f", {part.shots} noisy shot{'s' if part.shots > 1 else ''} of each, taken once"
    if part.size is not None:
        height, width = part.size
        said += f", resized to {width}x{height}"
    if part.gray:
        said += ", in gray"
    if part.crop is not None:
        said += f", random squares of {part.crop} pixels, turned and mirrored"
    if part.samples is not None:
        said += f", {part.samples:,} an epoch"
    if part.normalize:
        said += ", from the darkest value there is to the brightest"
    if part.shrink != 1:
        said += f", of pictures shrunk down to {part.shrink:g} of their sides"
    if part.shuffle_channels:
        said += ", channels shuffled"
    if part.validation == "test":
        if part.source in PHOTO_SETS:
            own = "validation"
        else:
            own = "test" if part.source in SOURCES else "validation or test"
        said += f", validated on its {own} images"
    else:
        which = "the last" if part.validation == "last" else "a random"
        said += f", {which} {part.share:.0%} held back for validation"
    if part.copies > 1:
        said += f"; each image comes {part.copies} times an epoch"
    if recipe.validation == "clean":
        said += "; validation images stay clean"
    return said


def noises(recipe: Recipe) -> list[str]:
    """Say which noise is learnt to remove, each a sentence without its full stop."""
    own = [] if recipe.data.supervision == "clean" else ["That of the pictures themselves"]
    return own + [noise(part) for part in recipe.noise]


def noise(part: AnyNoise) -> str:
    """Say what a corruption does, as a sentence without its full stop."""
    match part:
        case Gaussian():
            said = f"Gaussian noise of sigma {_strength(part.sigma)}"
        case Uniform(symmetric=True):
            said = f"Uniform noise of up to ±{_strength(part.amplitude)}"
        case Uniform():
            said = f"Uniform noise from 0 to {_strength(part.amplitude)}"
        case Blur():
            said = f"Gaussian blur of sigma {_strength(part.sigma)} pixels"
        case Poisson():
            said = f"Shot noise at {_strength(part.peak)} photons for white"
        case PoissonGaussian():
            said = (
                f"Shot noise at {_strength(part.peak)} photons for white, and read noise of sigma "
                f"{_strength(part.sigma)}"
            )
        case SaltPepper():
            said = f"Salt and pepper on a share of {_strength(part.amount)} of the values"
        case Speckle():
            said = f"Speckle of sigma {_strength(part.sigma)}, in proportion to the brightness"
        case Jpeg():
            said = f"JPEG at quality {_strength(part.quality)}"
        case CorrelatedGaussian():
            said = (
                f"Gaussian noise of sigma {_strength(part.sigma)}, smoothed by "
                f"{_strength(part.smoothing)} pixels, with channels that correlate by "
                f"{_strength(part.channel_correlation)}"
            )
        case Grain():
            said = (
                f"Film grain of up to {_strength(part.amplitude)}, {_strength(part.size)} pixels "
                f"wide, with channels that correlate by {_strength(part.channel_correlation)}"
            )
        case Camera():
            said = (
                "Camera noise, in raw light of a variance whose log10 at white is "
                f"{_strength(part.log_shot)}, smoothed by {_strength(part.smoothing)} pixels"
            )
        case Scan():
            said = (
                f"Scanned: dust on a share of {_strength(part.dust)} of the area, "
                f"{_strength(part.scratches)} scratches, rows banded by {_strength(part.banding)}"
            )
        case Measured():
            least, most = (f"{pick(map(pick, part.sigmas)):.3g}" for pick in (min, max))
            between = least if least == most else f"{least} to {most}"
            said = f"Noise as it was measured, of sigma {between}"
            if part.scale != 1:
                said += f" times {_strength(part.scale)}"
        case Mixture():
            said = f"One of these for each image, with strengths drawn for it: {_ways(part)}"
    clipped = getattr(part, "clip", False)
    return f"{said}, clipped to [0, 1]" if clipped else said


def _ways(mixture: Mixture) -> str:
    total = sum(part.weight for part in mixture.parts)
    return "; ".join(
        f"{part.weight / total:.0%} {', then '.join(map(_within, part.noise)) or 'nothing'}"
        for part in mixture.parts
    )


def _within(part: AnyNoise) -> str:
    """Say it inside a sentence that has told already that strengths are drawn."""
    if isinstance(part, Mixture):
        return f"one of ({_ways(part)})"
    said = noise(part).replace(_DRAWN_EACH, "")
    return said if said.startswith(("Gaussian", "JPEG")) else said[0].lower() + said[1:]


def _strength(strength: Strength) -> str:
    if isinstance(strength, tuple):
        return f"{strength[0]:g} to {strength[1]:g}{_DRAWN_EACH}"
    return f"{strength:g}"


def phase(part: Phase, data: DataSpec | None = None) -> list[str]:
    """Say what a phase of training does, in a few sentences; on data that may bring their noise."""
    long = f"{part.epochs} epoch{'s' if part.epochs > 1 else ''}"
    if part.minutes is not None:
        long = f"{part.minutes:.3g} minutes"
    batches = f"in batches of {part.batch_size}"
    if part.crop is not None:
        batches += f" squares of {part.crop} pixels"
    patience = (
        ""
        if part.patience is None
        else f", fewer if the validation loss has not fallen for {part.patience}"
    )
    rate = _RATES[part.schedule.kind]
    said = [
        f"Learns {_TASKS[part.objective]}: {long} {batches}{patience}.",
        f"Minimises {LOSS_NAMES[part.loss]} by {_optimizer(part.optimizer)}, {rate}.",
    ]
    if part.lines is not None:
        said.append(f"Hides pixels beside the hidden ones in their {part.lines} too.")
    drawn = data is None or (data.supervision == "clean" and data.shots is None)
    if drawn and part.objective != "reconstruction":
        said.append(_DRAWN[part.noise])
    if part.ema is not None:
        said.append(f"Keeps an average of the weights, {part.ema:g} of it from before a step.")
    if part.precision == "bfloat16":
        said.append("Multiplies in bfloat16 where the machine can.")
    return said


_RATES = {
    "constant": "constant",
    "cosine": "falling along a cosine",
    "one-cycle": "rising and falling in one cycle",
}


def _optimizer(optimizer: Optimizer) -> str:
    rate = f"{optimizer.learning_rate:g}"
    match optimizer:
        case Muon():
            beside = f"{optimizer.adamw_learning_rate:g}"
            return f"Muon at learning rate {rate} and AdamW at {beside} beside it"
        case AdamW():
            return f"AdamW at learning rate {rate}"
        case _:
            return f"{optimizer.kind.capitalize()} at learning rate {rate}"
