"""The protocol of published denoising scores: its noise, and how outputs are scored."""

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

__all__ = ["EARLIER_PROTOCOLS", "PROTOCOL", "SEED", "AddedNoise", "score_input", "score_output"]

SEED = 0
"""Seed of NumPy's legacy generator, which is restarted for each image."""

PROTOCOL = (
    "Noise: NumPy's RandomState(0), restarted for each image, draws normal(0, sigma/255, (H, W, "
    "C)) or poisson(image * peak) / peak. It is added to the float image without clipping or "
    "quantization; noisy/clean pairs are used as they are. Outputs: clamped to [0, 1] and rounded "
    "to 8 bits. PSNR: peak 255, squared error pooled over pixels and channels, borders included. "
    "SSIM: Wang et al. 2004, Gaussian window of sigma 1.5, data range 255. Scores are averaged "
    "over images; an exact output counts as 100 dB. Rounding limits outputs to about 59 dB on "
    "16-bit images. The score of the noisy input is computed without clamping and rounding. "
    "Seconds: wall time of the denoiser's call, after one warm-up call."
)
"""How the numbers are computed; all rows of an output folder follow one protocol."""

EARLIER_PROTOCOLS = frozenset({"473781ffc42e445d97c7362fe38733f3dc9bf8860587a7be6737e1e30a1a05de"})
"""SHA-256 of earlier wordings of the same protocol; their output folders can be continued."""

_MAX_STRENGTH = 1_000_000
_MAX_8_BIT = 255
_8_BIT, _UNIT = IntensityRange(0, _MAX_8_BIT), IntensityRange(0, 1)


@dataclass(frozen=True)
class AddedNoise:
    """Noise that a benchmark adds, drawn by NumPy from a fixed seed and so equal everywhere.

    Attributes
    ----------
    kind
        ``gaussian`` for additive white noise, ``poisson`` for photon counting.
    strength
        For ``gaussian`` the standard deviation in 8-bit units, as in the literature: 25 means
        25/255. For ``poisson`` the number of photons at white.

    Raises
    ------
    UsageError
        The kind is unknown, or the strength is not a number above 0 and up to a million.

    Examples
    --------
    >>> import numpy as np
    >>> noise = AddedNoise.parse("gaussian:25")
    >>> noisy = noise(np.full((100, 100, 1), 0.5, np.float32))
    >>> print(round(float(noisy.std() * 255), 1))
    24.7
    """

    kind: str
    strength: float

    def __post_init__(self) -> None:
        if self.kind not in ("gaussian", "poisson") or not 0 < self.strength <= _MAX_STRENGTH:
            raise _unknown_noise(self.name)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``"gaussian:25"`` or ``"poisson:30"``.

        Raises
        ------
        UsageError
            The text is neither.
        """
        kind, _, strength = text.partition(":")
        try:
            number = float(strength)
        except ValueError:
            raise _unknown_noise(text) from None
        return cls(kind, number)

    @property
    def name(self) -> str:
        """The text that `parse` takes."""
        # With all digits: noise of another strength is other noise.
        return f"{self.kind}:{float(self.strength)!r}".removesuffix(".0")

    @property
    def sigma(self) -> float | None:
        """Standard deviation for images in [0, 1]; None for noise that depends on the signal."""
        return self.strength / _MAX_8_BIT if self.kind == "gaussian" else None

    def __call__(self, clean: Pixels) -> Pixels:
        """Return the noisy version of an image (H, W, C), without clipping or quantization."""
        generator = np.random.RandomState(SEED)
        if self.sigma is not None:
            noisy = clean + generator.normal(0, self.sigma, clean.shape)
        else:
            noisy = generator.poisson(clean * np.float64(self.strength)) / self.strength
        return noisy.astype(np.float32)


def _unknown_noise(noise: str) -> UsageError:
    return UsageError(
        f"noise is '{noise}'; expected gaussian:SIGMA with sigma of 255, as in gaussian:25, or "
        f"poisson:PEAK, with a number above 0 and up to {_MAX_STRENGTH:,}"
    )


def score_input(clean: NDArray[Any], noisy: Pixels) -> tuple[float, float | None]:
    """Score the noisy input as it is, without clamping and rounding.

    Takes the samples (H, W, C) of the clean image file, uint8 or uint16, and the noisy image,
    nominally in [0, 1]. Returns the PSNR in dB, ``inf`` if the images are equal, and the SSIM, None
    if a side is shorter than its window of 11 pixels.
    """
    return _score(Pair(clean, noisy, after_range=_UNIT))


def score_output(clean: NDArray[Any], output: Pixels) -> tuple[float, float | None]:
    """Score a denoiser's output like `score_input`, clamped to [0, 1] and rounded to 8 bits first.

    The squared error is pooled over all pixels and channels, borders included; SSIM is that of Wang
    et al. 2004, see `metrics.ssim`.
    """
    if output.shape != clean.shape:
        raise InputError(
            f"the output has shape {output.shape}; expected that of the image, {clean.shape}"
        )
    if not np.isfinite(output).all():
        raise InputError("the output contains NaN or infinity")
    return _score(Pair(clean, _8_BIT.from_float(output, np.dtype(np.uint8))))


def _score(pair: Pair) -> tuple[float, float | None]:
    # `measure` works in strips: a large image in double precision would take too much memory.
    change = measure(pair)
    return math.inf if change.psnr is None else change.psnr, change.ssim
