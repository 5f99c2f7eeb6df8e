"""What an estimate without clean images says, in plain words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from autodenoise.noise_estimation.estimate import QualityEstimate

__all__ = ["Part", "assumption", "cautions", "headline", "parts", "taken_out"]

_TOO_MUCH, _TOO_LITTLE = 1.05, 0.5
_CUT_OFF = 0.02
_WRONG = 1.2

_CORRELATED = {
    "images": (
        "What objectives for noisy images alone make of such noise is structure, which they leave "
        "in and which is not counted here. Take repeats (Noise2Noise), hide lines (noise2void2), "
        "or use photo-real-color."
    ),
    "recipe": "That is counted above, as far as the noise that the recipe names is so too.",
    "shots": (
        "The number above holds all the same; but what is alike in every shot, such as a fixed "
        "pattern of the sensor, is taken for the scene."
    ),
}


class Part(NamedTuple):
    """An error, or a part of one.

    Attributes
    ----------
    name
        What it is of.
    percent
        The root of its mean square, in % of what lies between black and white.
    psnr
        What PSNR there would be with this error alone, in dB.

    Both are None where the mean square came out at 0 or below, which chance can do to an estimate.
    """

    name: str
    percent: float | None
    psnr: float | None


def headline(estimate: QualityEstimate) -> str:
    """Say how good the denoised images are likely to be, and how good the noisy ones are."""
    if estimate.noisy_psnr is None:
        return "The images have no noise that could be measured."
    noisy = f"the noisy images: {estimate.noisy_psnr:.1f} dB"
    if estimate.worth == "none":
        assert estimate.before is not None
        return (
            "How good it is cannot be told from these images alone: their noise "
            f"{estimate.before.verdict}, and so looks like structure."
        )
    worth = estimate.worth.capitalize()
    if estimate.psnr is None:
        return f"{worth} better than can be measured here ({noisy})."
    return f"{worth} {estimate.psnr:.1f} dB ± {estimate.psnr_deviation:.1f} ({noisy})."


def assumption(estimate: QualityEstimate) -> str:
    """Say in one sentence what that rests on."""
    match estimate.known_from:
        case "shots":
            return (
                "Measured against other shots of the same scenes, less their own noise: right "
                "where nothing moved between shots, and where the noise of one tells nothing of "
                "the noise of another."
            )
        case "recipe":
            return (
                "Stein's unbiased risk estimate with the noise that the recipe names: right where "
                "the images have that."
            )
        case "images":
            return (
                "Stein's unbiased risk estimate with the noise as measured on the images: right "
                "where it is independent from pixel to pixel, zero on average, and as strong in "
                "one image as in the next at the same brightness."
            )


def taken_out(estimate: QualityEstimate) -> str:
    """Say whether what was taken out is as strong as the noise."""
    if estimate.noise <= 0:
        return "There is no noise to compare with what was taken out."
    ratio = estimate.removed / estimate.noise
    said = f"What was taken out has {ratio:.2f} times the variance of the noise"
    if ratio > _TOO_MUCH:
        return f"{said}: structure of the images went with it."
    if ratio < _TOO_LITTLE:
        return f"{said}: much of the noise was left in."
    return f"{said}: no more than the noise there is, and most of it."


def cautions(estimate: QualityEstimate) -> list[str]:
    """Say what these images give reason to doubt; nothing where there is none."""
    before, after = estimate.before, estimate.after
    correlated = before is not None and before.direction is not None
    said = []
    if correlated:
        assert before is not None
        said.append(f"The noise {before.verdict}. {_CORRELATED[estimate.known_from]}")
    elif after is not None and after.direction is not None:
        said.append(
            f"What was taken out {after.verdict}, and the noise is not: some structure of the "
            "images went with it."
        )
    if _is_told_wrong(estimate):
        assert estimate.seen is not None
        ratio = math.sqrt(estimate.seen / estimate.noise)
        said.append(
            f"The noise of the images looks {ratio:.2f} times as strong as that of the recipe. If "
            "it is, nothing above holds, and the model has learnt another noise than theirs."
        )
    if estimate.cut_off > _CUT_OFF:
        said.append(
            f"{estimate.cut_off:.0%} of the noisy values are cut off at black or white. There the "
            "noise is not zero on average: shadows come out too bright, lights too dark, and no "
            "number here sees that."
        )
    return said


def _is_told_wrong(estimate: QualityEstimate) -> bool:
    """Whether the images speak against the noise that somebody named, as far as they can tell."""
    if estimate.known_from != "recipe" or estimate.seen is None or estimate.noise <= 0:
        return False
    correlated = estimate.before is not None and estimate.before.direction is not None
    strength = math.sqrt(estimate.seen / estimate.noise)
    return not correlated and not 1 / _WRONG < strength < _WRONG


def parts(estimate: QualityEstimate) -> list[Part]:
    """List the errors of an estimate."""
    squares = {
        "noisy": estimate.noise,
        "denoised": estimate.error,
        "of that, noise that is left": estimate.noise_left,
        "of that, structure that is lost": estimate.structure_lost,
        "at pixels that it is not shown": estimate.hidden,
    }
    return [
        _part(name, square / estimate.span**2)
        for name, square in squares.items()
        if square is not None
    ]


def _part(name: str, square: float) -> Part:
    if square <= 0:
        return Part(name, None, None)
    return Part(name, 100 * math.sqrt(square), -10 * math.log10(square))
