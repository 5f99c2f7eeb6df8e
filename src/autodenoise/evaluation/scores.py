"""Scoring a denoiser against clean images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from autodenoise.metrics import bce, bce_floor, psnr, ssim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = [
    "Comparison",
    "Denoiser",
    "Evaluation",
    "Method",
    "Scores",
    "average",
    "evaluate",
    "run_denoiser",
]

# Images are taken this many at a time, or fewer if they are large.
_BATCH = 500
_PIXELS = _BATCH * 64 * 64
_SSIM_SIDE = 11


class Denoiser(Protocol):
    """Anything that maps noisy images to denoised ones, such as a model file."""

    def batch(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the denoised version of images (N, H, W, C)."""
        ...


@dataclass(frozen=True)
class Scores:
    """Averages over images.

    Attributes
    ----------
    bce
        Binary cross-entropy in nats.
    bce_excess
        The same minus its minimum, the entropy of the clean gray values.
    psnr
        In dB, peak 1, over the images that differ from their clean version at all: an equal one
        has infinite PSNR. None where no image does.
    ssim
        None where images are smaller than its window of 11x11.
    """

    bce: float
    bce_excess: float
    psnr: float | None
    ssim: float | None


@dataclass(frozen=True)
class Evaluation:
    """Scores of the noisy and of the denoised images."""

    images: int
    noisy: Scores
    denoised: Scores


@dataclass(frozen=True)
class Method:
    """A row of a comparison: a denoiser, its number of parameters and its scores."""

    name: str
    parameters: int | None
    scores: Scores


@dataclass(frozen=True)
class Comparison:
    """Several denoisers on the same noisy images; the first row is those images themselves."""

    images: int
    rows: tuple[Method, ...]


def evaluate(
    denoiser: Denoiser, noisy: NDArray[np.float32], clean: NDArray[np.float32]
) -> tuple[Evaluation, NDArray[np.float32]]:
    """Score a denoiser.

    Parameters
    ----------
    denoiser
        The denoiser to score.
    noisy, clean
        (N, H, W, C). Noise outside [0, 1] goes to the denoiser as it is, and is clamped for the
        noisy images' own scores.

    Returns
    -------
    Evaluation
        The scores.
    ndarray
        The denoised images.
    """
    denoised = run_denoiser(denoiser, noisy)
    shown = np.clip(noisy, 0, 1)
    return Evaluation(len(clean), average(clean, shown), average(clean, denoised)), denoised


def run_denoiser(denoiser: Denoiser, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Denoise any number of images (N, H, W, C), in batches."""
    return np.concatenate([denoiser.batch(images[some]) for some in _batches(images)])


def _batches(images: NDArray[np.float32]) -> Iterator[slice]:
    _, height, width, _ = images.shape
    count = min(_BATCH, max(1, _PIXELS // (height * width)))
    for start in range(0, len(images), count):
        yield slice(start, start + count)


def average(clean: NDArray[np.float32], other: NDArray[np.float32]) -> Scores:
    """Average the metrics of `other` against `clean`, both (N, H, W, C) in [0, 1]."""
    cross_entropy, floor, peak, structure = [], [], [], []
    large = min(clean.shape[1:3]) >= _SSIM_SIDE
    for some in _batches(clean):
        a, b = clean[some], other[some]
        cross_entropy.append(bce(a, b))
        floor.append(bce_floor(a))
        peak.append(psnr(a, b))
        if large:
            structure.append(ssim(a, b))
    peaks = np.concatenate(peak)
    finite = peaks[np.isfinite(peaks)]
    total = float(np.concatenate(cross_entropy).mean())
    return Scores(
        bce=total,
        bce_excess=total - float(np.concatenate(floor).mean()),
        psnr=float(finite.mean()) if len(finite) else None,
        ssim=float(np.concatenate(structure).mean()) if large else None,
    )
