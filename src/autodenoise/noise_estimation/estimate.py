"""Estimate the quality of a denoiser without clean images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from autodenoise.evaluation.scores import run_denoiser
from autodenoise.noise_estimation import level as noise_level
from autodenoise.noise_estimation.autocorrelation import (
    Autocorrelation,
    of_flat_areas,
    of_residual,
    of_shots,
)
from autodenoise.noise_estimation.level import Curve, NoiseLevel

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from autodenoise.evaluation.scores import Denoiser

    Images = NDArray[np.float32]
    Floats = NDArray[np.float64]

__all__ = ["KnownNoise", "QualityEstimate", "from_noisy", "from_repeats", "hidden_risk"]

# Step of the finite difference, in units of the noise: a smaller one is lost in float32, a
# larger one is not local.
_PROBE = 0.05
_GRID = 4
_DRAWS = 2
_NEIGHBORS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2))
# With fewer images than this, the standard error is that over tiles.
_MIN_IMAGES = 8
_TILE = 64


class KnownNoise(NamedTuple):
    """Noise with known properties.

    Attributes
    ----------
    level
        Its variance by brightness.
    draw
        Draws the noise alone for images (N, H, W, C); it may be correlated between pixels.
    """

    level: NoiseLevel
    draw: Callable[[NDArray[np.floating]], NDArray[np.floating]]


@dataclass(frozen=True)
class QualityEstimate:
    """Quality of a denoiser, estimated without clean images. Squares are in the images' unit.

    Attributes
    ----------
    images
        Number of images it is measured on.
    known_from
        Where the noise level is from: other ``shots`` of the same scenes, the ``recipe``, or the
        noisy ``images`` themselves.
    span
        Peak value for PSNR: white minus black.
    noise
        Mean variance of the noise, the error of the noisy images.
    seen
        The same, measured on the images alone; None if that is impossible, and with shots.
    error
        Expected mean squared error of the denoised images.
    deviation
        The standard error of `error`, from image to image.
    noise_left, structure_lost
        The two parts of `error`; None with shots, which only give their sum.
    hidden
        Expected mean squared error at pixels hidden from the denoiser; None with shots.
    removed
        Mean square of the removed part.
    cut_off
        Share of the noisy values at the minimum or maximum. The noise is clipped there, and does
        not have zero mean.
    level
        Variance of the noise by brightness.
    residual
        Variance of the removed part by denoised brightness, for each channel.
    before, after
        Autocorrelation of the noise, and of the removed part.
    """

    images: int
    known_from: Literal["shots", "recipe", "images"]
    span: float
    noise: float
    seen: float | None
    error: float
    deviation: float
    noise_left: float | None
    structure_lost: float | None
    hidden: float | None
    removed: float
    cut_off: float
    level: NoiseLevel
    residual: tuple[Curve, ...]
    before: Autocorrelation | None
    after: Autocorrelation | None

    @property
    def worth(self) -> Literal["likely", "perhaps", "none"]:
        """How reliable `error` is: correlated noise is taken for structure."""
        if self.known_from != "images" or self.before is None or self.before.direction is None:
            return "likely"
        return "none" if self.before.certain else "perhaps"

    @property
    def noisy_psnr(self) -> float | None:
        """PSNR of the noisy images, in dB; None if they have no noise."""
        return self._psnr(self.noise)

    @property
    def psnr(self) -> float | None:
        """PSNR of the denoised images, in dB; None if the error is too small to measure."""
        return self._psnr(self.error)

    @property
    def psnr_deviation(self) -> float:
        """Standard error of `psnr`, in dB."""
        return 10 / math.log(10) * self.deviation / self.error if self.error > 0 else math.inf

    def _psnr(self, error: float) -> float | None:
        return 10 * math.log10(self.span**2 / error) if error > 0 else None


def from_noisy(
    denoiser: Denoiser,
    noisy: Images,
    random: np.random.Generator,
    *,
    also: Images | None = None,
    known: KnownNoise | None = None,
    span: float = 1.0,
) -> QualityEstimate | None:
    """Estimate a denoiser's error from noisy images alone: Stein's unbiased risk estimate.

    With noise n of covariance S on a clean image x, y = x + n, the error of the output f(y) is

        E|f(y) - x|^2 = E|f(y) - y|^2 - tr S + 2 E tr(S J),

    where J is the derivative of f. The last trace is estimated as b' J b with probes b drawn like
    the noise. The part of a probe that f lets through is the remaining noise; the rest of the error
    is lost structure. This holds for Gaussian noise of zero mean, and approximately for other
    noise; clipped noise does not have zero mean. Noise that is measured on the images themselves
    must be independent between pixels.

    `noisy` are float images (N, H, W, C); `also` are more of them to measure the noise on, unless
    it is `known`. `span` is white minus black. Return None if the images are too small to measure
    their noise.

    References
    ----------
    Stein, "Estimation of the mean of a multivariate normal distribution", Annals of Statistics
    1981. Ramani, Blu, Unser, "Monte-Carlo SURE: A black-box optimization of regularization
    parameters for general denoising algorithms", IEEE TIP 2008.
    """
    measured = noisy if also is None else np.concatenate([noisy, also])
    seen = noise_level.from_images(measured)
    level = seen if known is None else known.level
    if level is None:
        return None
    denoised = run_denoiser(denoiser, noisy)
    probe = level.draw(denoised, random) if known is None else known.draw(denoised)
    step = (_PROBE * probe).astype(np.float32)
    ahead, behind = (run_denoiser(denoiser, noisy + sign * step) for sign in (1, -1))
    passed = (ahead.astype(np.float64) - behind) / (2 * _PROBE)
    variance = level.variance(denoised)
    squares = np.square(denoised.astype(np.float64) - noisy)
    errors = squares - variance + 2 * probe * passed
    error, left = float(errors.mean()), float(np.square(passed).mean())
    return QualityEstimate(
        images=len(noisy),
        known_from="images" if known is None else "recipe",
        span=span,
        noise=float(variance.mean()),
        seen=None if seen is None else float(seen.variance(denoised).mean()),
        error=error,
        deviation=math.hypot(_deviation(errors), level.deviation),
        noise_left=left,
        structure_lost=error - left,
        hidden=hidden_risk(denoiser, noisy, random) - float(variance.mean()),
        removed=float(squares.mean()),
        cut_off=_cut_off(noisy),
        level=level,
        residual=noise_level.curves(denoised, squares),
        before=of_flat_areas(measured),
        after=of_residual(noisy, denoised),
    )


def from_repeats(
    denoiser: Denoiser, noisy: Images, again: Images, others: Images, *, span: float = 1.0
) -> QualityEstimate:
    """Estimate a denoiser's error from repeats: against other shots, minus their noise.

    With y and z two shots (`noisy`, `again`), and m the mean of all but y (`others`), with
    independent noise,

        E|f(y) - x|^2 = E|f(y) - m|^2 - E|y - m|^2 + E|y - z|^2 / 2,

    since the last two differ by the variance of m. The noise may be correlated and depend on the
    signal. All are aligned float images (N, H, W, C).

    References
    ----------
    Lehtinen et al., "Noise2Noise: Learning image restoration without clean data", ICML 2018, train
    with the first of these terms.
    """
    denoised = run_denoiser(denoiser, noisy)
    y, z, m, f = (images.astype(np.float64) for images in (noisy, again, others, denoised))
    noise = np.square(y - z) / 2
    errors = np.square(f - m) - np.square(y - m) + noise
    squares = np.square(f - y)
    return QualityEstimate(
        images=len(noisy),
        known_from="shots",
        span=span,
        noise=float(noise.mean()),
        seen=None,
        error=float(errors.mean()),
        deviation=_deviation(errors),
        noise_left=None,
        structure_lost=None,
        hidden=None,
        removed=float(squares.mean()),
        cut_off=_cut_off(noisy),
        level=noise_level.from_shots(noisy, again),
        residual=noise_level.curves(denoised, squares),
        before=of_shots(noisy, again),
        after=of_residual(noisy, denoised),
    )


def hidden_risk(denoiser: Denoiser, noisy: Images, random: np.random.Generator) -> float:
    """Return the mean squared difference to pixels that are hidden from the denoiser.

    One pixel of each square of 4x4 is replaced by the median of its eight neighbors. Noise that is
    independent between pixels adds its variance to the error of the output there, so the lowest
    risk means the lowest error (Batson, Royer, "Noise2Self: Blind denoising by self-supervision",
    ICML 2019, proposition 1).
    """
    height, width = noisy.shape[1:3]
    padded = np.pad(noisy, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    places = random.permutation(_GRID**2)[:_DRAWS]
    risks = []
    for top, left in zip(*np.unravel_index(places, (_GRID, _GRID)), strict=True):
        spots = np.s_[:, top::_GRID, left::_GRID]
        if noisy[spots].size == 0:
            continue
        around = [
            padded[:, down : down + height, across : across + width][spots]
            for down, across in _NEIGHBORS
        ]
        hidden = noisy.copy()
        hidden[spots] = np.median(around, axis=0)
        answer = run_denoiser(denoiser, hidden)[spots]
        risks.append(np.square(answer.astype(np.float64) - noisy[spots]).mean())
    return float(np.mean(risks))


def _cut_off(images: Images) -> float:
    """Return the share of values at the minimum or maximum."""
    at_the_ends = (images == images.min()).sum() + (images == images.max()).sum()
    return min(1.0, float(at_the_ends / images.size))


def _deviation(errors: Floats) -> float:
    """Return the standard error, over images, of the mean of a map (N, H, W, C)."""
    each = errors.mean((1, 2, 3))
    if len(errors) < _MIN_IMAGES:
        height, width = errors.shape[1:3]
        parts = (
            errors[:, top : top + _TILE, left : left + _TILE].mean((1, 2, 3))
            for top in range(0, height, _TILE)
            for left in range(0, width, _TILE)
        )
        each = np.concatenate(list(parts))
    return float(each.std(ddof=1) / math.sqrt(len(each))) if len(each) > 1 else 0.0
