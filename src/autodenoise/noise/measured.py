"""Noise of a camera, scanner or microscope, reproduced from measurements."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autodenoise.errors import UsageError
from autodenoise.noise.strength import Limit, Strength, draw, finish, luma, normal_like, text

__all__ = ["LagMap", "Measured"]

LagMap = tuple[tuple[float, ...], ...]
"""Correlations by lag: rows are vertical lags from -R to R, columns horizontal ones."""

# The Fourier transform of sides with small factors is fast.
_MULTIPLE = 8


@dataclass(frozen=True)
class Measured:
    """Add Gaussian noise with the strength and correlations that ``noise-profile`` measured.

    The variance as a function of intensity and the correlations between pixels and channels are the
    measured ones; photon noise is approximated as Gaussian. Noise measured in one channel is drawn
    independently for each channel. A gray image gets the luma of noise measured in three.

    Attributes
    ----------
    means
        Intensities, increasing.
    sigmas
        For each channel, the standard deviation at each of these. The variance is interpolated
        linearly and constant outside, so two means describe shot and read noise exactly.
    correlation
        One map per pair of channels, in the order 00, 01, .. 0C, 11, .. CC: the map of the pair cd
        contains the correlation of channel c with channel d at each lag down and right. Independent
        pixels have maps of one entry.
    scale
        Factor of the standard deviation; a range covers other exposures too.

    References
    ----------
    Dietrich, Newsam, "Fast and exact simulation of stationary Gaussian processes through circulant
    embedding of the covariance matrix", SIAM J. Sci. Comput. 1997: drawing the field.
    """

    means: tuple[float, ...]
    sigmas: tuple[tuple[float, ...], ...]
    correlation: tuple[LagMap, ...]
    scale: Strength = 1.0
    clip: bool = False
    kind: Literal["measured"] = "measured"

    def __post_init__(self) -> None:
        Limit("scale", 0).check(self)
        finite = all(map(math.isfinite, self.means))
        if not (self.means and finite and all(a < b for a, b in itertools.pairwise(self.means))):
            raise UsageError(f"measured noise: means are {self.means}; expected increasing numbers")
        if not self.sigmas:
            raise UsageError("measured noise: sigmas are empty; expected one row per channel")
        for row in self.sigmas:
            positive = all(0 <= sigma < math.inf for sigma in row)
            if len(row) != len(self.means) or not positive:
                raise UsageError(
                    f"measured noise: a row of sigmas is {row}; expected {len(self.means)} "
                    "numbers of at least 0, one per mean"
                )
        self._check_correlation()

    def _check_correlation(self) -> None:
        pairs = list(_pairs(len(self.sigmas)))
        if len(self.correlation) != len(pairs):
            raise UsageError(
                f"measured noise: correlation has {len(self.correlation)} maps; expected "
                f"{len(pairs)}, one for each pair of {len(self.sigmas)} channels"
            )
        side = len(self.correlation[0])
        for (one, other), entries in zip(pairs, self.correlation, strict=True):
            if side % 2 == 0 or {len(entries), *map(len, entries)} != {side}:
                raise UsageError(
                    "measured noise: the maps of correlation are not squares of one odd side"
                )
            lags = np.array(entries)
            if one == other and not (
                lags[side // 2, side // 2] == 1 and np.allclose(lags, lags[::-1, ::-1], atol=1e-6)
            ):
                raise UsageError(
                    f"measured noise: the map of channel {one} with itself is not 1 in the middle "
                    "and the same for opposite lags"
                )
            if not np.abs(lags).max() <= 1:
                raise UsageError("measured noise: a correlation is not between -1 and 1")

    def describe(self) -> str:
        """See `Noise`."""
        lowest, highest = (pick(map(pick, self.sigmas)) for pick in (min, max))
        sigma = text(lowest if lowest == highest else (lowest, highest))
        times = "" if self.scale == 1 else f" times {text(self.scale)}"
        return f"measured noise of sigma {sigma}{times}"

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`. Raise UsageError if the noise was measured in other channels."""
        channels, known = clean.shape[1], len(self.sigmas)
        scale = draw(self.scale, clean, generator)
        if known == 3 and channels == 1:
            noise = luma(self._noise(clean.expand(-1, 3, -1, -1).contiguous(), generator))
        elif known in (1, channels):
            noise = self._noise(clean, generator)
        else:
            raise UsageError(
                f"the noise was measured in {known} channels; the images have {channels}"
            )
        return finish(noise.mul_(scale).add_(clean), clip=self.clip)

    def _noise(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        deviations = torch.stack(
            [
                self._deviation(clean[:, channel], self.sigmas[channel % len(self.sigmas)])
                for channel in range(clean.shape[1])
            ],
            dim=1,
        )
        return self._field(clean, generator).mul_(deviations)

    def _deviation(self, clean: Tensor, sigmas: tuple[float, ...]) -> Tensor:
        """Interpolate the standard deviation of a channel at the intensity of each pixel."""
        means = clean.new_tensor(self.means)
        variances = clean.new_tensor(sigmas).square_()
        if len(means) == 1:
            return variances.sqrt().expand(clean.shape)
        after = torch.bucketize(clean.contiguous(), means).clamp_(1, len(means) - 1)
        before = after - 1
        share = ((clean - means[before]) / (means[after] - means[before])).clamp_(0, 1)
        return torch.lerp(variances[before], variances[after], share).sqrt_()

    def _field(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Draw noise of variance 1 with the measured correlations, also at the borders."""
        if len(self.sigmas) == 1 and self.correlation == (((1.0,),),):
            return normal_like(clean, generator)
        batch, channels, height, width = clean.shape
        reach = len(self.correlation[0]) // 2
        # A torus large enough that pixels of the image are not correlated across its seam.
        tall, wide = (
            -(-max(side + reach, 2 * reach + 1) // _MULTIPLE) * _MULTIPLE
            for side in (height, width)
        )
        known = len(self.sigmas)
        filters = torch.from_numpy(_filters(self.correlation, known, tall, wide)).to(
            clean.device, torch.complex128 if clean.dtype == torch.float64 else torch.complex64
        )
        white = clean.new_empty(batch, channels // known, known, tall, wide)
        spectrum = torch.fft.rfft2(white.normal_(generator=generator))
        mixed = torch.einsum("hwcd,bgdhw->bgchw", filters, spectrum)
        field: Tensor = torch.fft.irfft2(mixed, s=(tall, wide))
        return field.reshape(batch, channels, tall, wide)[..., :height, :width]


@functools.lru_cache(maxsize=8)
def _filters(
    correlation: tuple[LagMap, ...], channels: int, height: int, width: int
) -> NDArray[np.complex128]:
    """Return the filters that turn white noise on a torus into noise with these correlations.

    (height, width // 2 + 1, C, C): at each frequency the square root of the spectrum's matrix.
    """
    reach = len(correlation[0]) // 2
    lags = np.arange(-reach, reach + 1)
    covariance = np.zeros((channels, channels, height, width))
    for (one, other), entries in zip(_pairs(channels), correlation, strict=True):
        values = np.array(entries)
        covariance[one, other][np.ix_(lags, lags)] = values
        covariance[other, one][np.ix_(lags, lags)] = values[::-1, ::-1]
    # The cross-spectrum of channels c and d is conjugated: d lies ahead of c by the lag.
    spectra = np.fft.fft2(covariance).conj().transpose(2, 3, 0, 1)
    powers, axes = np.linalg.eigh(spectra)
    # Measured correlations may not be positive semidefinite; clip negative powers to 0.
    roots = (axes * np.sqrt(powers.clip(min=0))[..., None, :]) @ axes.conj().swapaxes(-1, -2)
    variances = np.square(np.abs(roots)).sum(-1).mean((0, 1))
    filters: NDArray[np.complex128] = roots / np.sqrt(variances)[:, None]
    return filters[:, : width // 2 + 1]


def _pairs(channels: int) -> Iterator[tuple[int, int]]:
    return itertools.combinations_with_replacement(range(channels), 2)
