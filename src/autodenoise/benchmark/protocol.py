"""The protocol that published denoising scores follow: its noise, and how an answer is scored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from autodenoise.errors import InputError, UsageError
from autodenoise.evaluation.comparison import Pair, measure
from autodenoise.images import IntensityRange

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float32]

__all__ = ["SEED", "AddedNoise", "score_input", "score_output"]

SEED = 0
"""Of NumPy's legacy generator, anew for each image."""

_STRONGEST = 1_000_000
_LEVELS = 255
_BYTES, _UNIT = IntensityRange(0, _LEVELS), IntensityRange(0, 1)


@dataclass(frozen=True)
class AddedNoise:
    """The noise that a benchmark adds: equal for everybody, since NumPy draws it from a fixed seed.

    Attributes
    ----------
    kind
        ``gaussian``: white and additive. ``poisson``: photons are counted.
    strength
        Of ``gaussian`` the standard deviation in 8-bit units, as the literature writes it: 25 is
        25/255. Of ``poisson`` how many photons make white.

    Raises
    ------
    UsageError
        The kind is neither, or the strength no number above 0 and up to a million.
    """

    kind: str
    strength: float

    def __post_init__(self) -> None:
        known = self.kind in ("gaussian", "poisson")
        if not (known and 0 < self.strength <= _STRONGEST):
            raise _unknown(self.name)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``"gaussian:25"`` or ``"poisson:30"``.

        Raises
        ------
        UsageError
            It is neither.
        """
        kind, _, strength = text.partition(":")
        try:
            number = float(strength)
        except ValueError:
            raise _unknown(text) from None
        return cls(kind, number)

    @property
    def name(self) -> str:
        """What `parse` reads."""
        # All its digits: another strength is other noise.
        return f"{self.kind}:{float(self.strength)!r}".removesuffix(".0")

    @property
    def sigma(self) -> float | None:
        """Its standard deviation in the image's unit; None where that is not one number."""
        return self.strength / _LEVELS if self.kind == "gaussian" else None

    def __call__(self, clean: Pixels) -> Pixels:
        """Give the noisy version of an image (H, W, C), neither clipped nor quantised."""
        generator = np.random.RandomState(SEED)
        if self.sigma is not None:
            noisy = clean + generator.normal(0, self.sigma, clean.shape)
        else:
            noisy = generator.poisson(clean * np.float64(self.strength)) / self.strength
        return noisy.astype(np.float32)


def _unknown(noise: str) -> UsageError:
    return UsageError(
        f"noise is '{noise}'; expected gaussian:SIGMA with sigma of 255, as in gaussian:25, or "
        f"poisson:PEAK, with a number above 0 and up to {_STRONGEST:,}"
    )


def score_input(clean: NDArray[Any], noisy: Pixels) -> tuple[float, float | None]:
    """Score what a denoiser is given: as it is, neither clamped nor rounded.

    Parameters
    ----------
    clean
        (H, W, C) samples as their file has them, uint8 or uint16.
    noisy
        (H, W, C) in [0, 1] nominally.

    Returns
    -------
    float
        PSNR in dB; ``inf`` where the two are equal.
    float or None
        SSIM; None where a side is shorter than its window of 11 pixels.
    """
    return _score(Pair(clean, noisy, after_range=_UNIT))


def score_output(clean: NDArray[Any], output: Pixels) -> tuple[float, float | None]:
    """Score a denoiser's answer: clamped to [0, 1] and rounded to 8 bits first.

    Parameters and results are those of `score_input`. The squared error is pooled over pixels and
    channels, no border is left out; SSIM is that of Wang et al. 2004, see `metrics.ssim`.

    Raises
    ------
    InputError
        The answer has another shape, or values that are no finite numbers.
    """
    if output.shape != clean.shape:
        raise InputError(f"it answers an image of shape {clean.shape} with one of {output.shape}")
    if not np.isfinite(output).all():
        raise InputError("it answers with values that are no finite numbers")
    return _score(Pair(clean, _BYTES.from_float(output, np.dtype(np.uint8))))


def _score(pair: Pair) -> tuple[float, float | None]:
    # In strips: the whole of a large picture in double precision, many times over, is too much.
    found = measure(pair)
    return math.inf if found.psnr is None else found.psnr, found.ssim
