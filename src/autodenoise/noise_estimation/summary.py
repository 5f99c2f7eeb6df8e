"""Sentences that explain a quality estimate to a user."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from autodenoise.noise_estimation.estimate import QualityEstimate

__all__ = ["ErrorPart", "assumption", "cautions", "headline", "parts", "taken_out"]

# Variance of the removed part, as a multiple of the noise's.
_MAX_REMOVED, _MIN_REMOVED = 1.05, 0.5
_MAX_CLIPPED = 0.02
_MAX_STRENGTH_RATIO = 1.2

_CORRELATED = {
    "images": (
        "Objectives for noisy images alone take such noise for structure and keep it, and this "
        "estimate does not count it. Train on repeats (Noise2Noise), hide lines (noise2void2), or "
        "use photo-real-color."
    ),
    "recipe": "The estimate is valid if the noise in the recipe has the same correlation.",
    "shots": (
        "The estimate is still valid, except for a fixed pattern of the sensor: it is the same in "
        "every shot, so it counts as part of the image."
    ),
}


class ErrorPart(NamedTuple):
    """An error, or a part of one.

    Attributes
    ----------
    name
        What the error is measured on.
    percent
        Root mean square, in % of the intensity range.
    psnr
        The PSNR with this error alone, in dB.

    Both are None if the estimated mean square is 0 or negative, which happens by chance.
    """

    name: str
    percent: float | None
    psnr: float | None


def headline(estimate: QualityEstimate) -> str:
    """Return the estimated PSNR of the denoised and the noisy images, as a sentence."""
    if estimate.noisy_psnr is None:
        return "No noise was found in the images."
    noisy = f"noisy images: {estimate.noisy_psnr:.1f} dB"
    if estimate.worth == "none":
        assert estimate.before is not None
        return (
            "The quality cannot be estimated from these images alone: their noise "
            f"{estimate.before.description}, so it looks like structure."
        )
    worth = estimate.worth.capitalize()
    if estimate.psnr is None:
        return f"{worth} too good to be measured on these images ({noisy})."
    return f"{worth} {estimate.psnr:.1f} dB ± {estimate.psnr_deviation:.1f} ({noisy})."


def assumption(estimate: QualityEstimate) -> str:
    """Return how the estimate was made and when it is valid, as one sentence."""
    match estimate.known_from:
        case "shots":
            return (
                "Measured against other shots of the same scenes, minus their noise: valid if "
                "nothing moved between the shots and their noise is independent."
            )
        case "recipe":
            return (
                "Stein's unbiased risk estimate with the noise in the recipe: valid if the images "
                "have that noise."
            )
        case "images":
            return (
                "Stein's unbiased risk estimate with the noise measured on the images: valid if "
                "the noise is independent between pixels, has zero mean, and has the same level in "
                "all images at the same brightness."
            )


def taken_out(estimate: QualityEstimate) -> str:
    """Return whether the removed part is as strong as the noise, as a sentence."""
    if estimate.noise <= 0:
        return "There is no noise to compare the removed part with."
    ratio = estimate.removed / estimate.noise
    removed = f"The removed part has {ratio:.2f} times the variance of the noise"
    if ratio > _MAX_REMOVED:
        return f"{removed}: image structure was removed too."
    if ratio < _MIN_REMOVED:
        return f"{removed}: much of the noise is left."
    return f"{removed}: most of the noise, and no more."


def cautions(estimate: QualityEstimate) -> list[str]:
    """Return the reasons to doubt the estimate, as sentences; empty if there are none."""
    before, after = estimate.before, estimate.after
    correlated = before is not None and before.direction is not None
    warnings = []
    if correlated:
        assert before is not None
        warnings.append(f"The noise {before.description}. {_CORRELATED[estimate.known_from]}")
    elif after is not None and after.direction is not None:
        warnings.append(
            f"The removed part {after.description}, but the noise is not: some image structure was "
            "removed too."
        )
    if _disagrees_with_recipe(estimate):
        assert estimate.seen is not None
        ratio = math.sqrt(estimate.seen / estimate.noise)
        warnings.append(
            f"The noise of the images seems to be {ratio:.2f} times as strong as the noise in the "
            "recipe. If so, the estimate is wrong, and the model was trained for other noise."
        )
    if estimate.cut_off > _MAX_CLIPPED:
        warnings.append(
            f"{estimate.cut_off:.0%} of the noisy values are clipped at black or white. Clipped "
            "noise does not have zero mean: shadows become too bright and highlights too dark, "
            "which the estimate does not include."
        )
    return warnings


def _disagrees_with_recipe(estimate: QualityEstimate) -> bool:
    """Return whether the noise measured on the images differs from that of the recipe."""
    if estimate.known_from != "recipe" or estimate.seen is None or estimate.noise <= 0:
        return False
    correlated = estimate.before is not None and estimate.before.direction is not None
    strength = math.sqrt(estimate.seen / estimate.noise)
    return not correlated and not 1 / _MAX_STRENGTH_RATIO < strength < _MAX_STRENGTH_RATIO


def parts(estimate: QualityEstimate) -> list[ErrorPart]:
    """Return the errors of an estimate, as rows of a table."""
    squares = {
        "noisy": estimate.noise,
        "denoised": estimate.error,
        "denoised: remaining noise": estimate.noise_left,
        "denoised: lost structure": estimate.structure_lost,
        "at hidden pixels": estimate.hidden,
    }
    return [
        _part(name, square / estimate.span**2)
        for name, square in squares.items()
        if square is not None
    ]


def _part(name: str, square: float) -> ErrorPart:
    if square <= 0:
        return ErrorPart(name, None, None)
    return ErrorPart(name, 100 * math.sqrt(square), -10 * math.log10(square))
