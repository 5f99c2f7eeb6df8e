"""Corruptions: frozen, declarative, and random only through the generator they are given.

A noise is called as ``noise(clean, generator) -> noisy`` on a whole batch, a float tensor of shape
(B, C, H, W) in [0, 1] on any device, with a generator of that device. Strengths are in pixel units
of that range: the "25" of the literature is ``25 / 255``. A strength given as a pair is drawn for
each image from the uniform distribution between the two. The result is clipped to [0, 1] only where
``clip`` says so. Nothing here changes its input or touches global random state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from autodenoise.errors import UsageError

__all__ = [
    "NOISES",
    "Blur",
    "Compose",
    "Gaussian",
    "Jpeg",
    "Noise",
    "Poisson",
    "PoissonGaussian",
    "SaltPepper",
    "Speckle",
    "Strength",
    "Uniform",
]

Strength = float | tuple[float, float]
"""One value for all images, or (low, high): drawn uniformly for each image."""


class Noise(Protocol):
    """What every corruption in this module is."""

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Give the noisy version of a (B, C, H, W) batch."""
        ...


@dataclass(frozen=True)
class Gaussian:
    """Add N(0, sigma^2), independent in every value."""

    sigma: Strength
    clip: bool = False
    kind: Literal["gaussian"] = "gaussian"

    def __post_init__(self) -> None:
        _check(self.kind, "sigma", self.sigma, low=0)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        sigma = _draw(self.sigma, clean, generator)
        return _finish(_normal_like(clean, generator).mul_(sigma).add_(clean), clip=self.clip)


@dataclass(frozen=True)
class Uniform:
    """Add U[0, amplitude), or U[-amplitude, amplitude) where `symmetric`."""

    amplitude: Strength
    symmetric: bool = False
    clip: bool = False
    kind: Literal["uniform"] = "uniform"

    def __post_init__(self) -> None:
        _check(self.kind, "amplitude", self.amplitude, low=0)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        amplitude = _draw(self.amplitude, clean, generator)
        noise = _uniform_like(clean, generator)
        if self.symmetric:
            noise = noise.mul_(2).sub_(1)
        return _finish(noise.mul_(amplitude).add_(clean), clip=self.clip)


@dataclass(frozen=True)
class Blur:
    """Gaussian blur, `sigma` in pixels; the one corruption here that draws no noise of its own.

    Equal to SciPy's ``ndimage.gaussian_filter`` with its defaults: taps to four sigma, edges
    mirrored with the border pixel repeated.
    """

    sigma: Strength
    clip: bool = False
    kind: Literal["blur"] = "blur"

    def __post_init__(self) -> None:
        _check(self.kind, "sigma", self.sigma, low=0)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        sigma = _for_each(_draw(self.sigma, clean, generator), clean).double()
        radius = torch.floor(4 * sigma + 0.5)
        reach = int(radius.max())
        offsets = torch.arange(-reach, reach + 1, device=clean.device).view(1, -1, 1, 1)
        # SciPy leaves an axis alone from sigma 1e-15 down; the mask makes that one tap of weight 1.
        taps = torch.exp(-0.5 * (offsets / sigma.clamp(min=1e-15)) ** 2) * (offsets.abs() <= radius)
        weights = (taps / taps.sum(1, keepdim=True)).to(clean.dtype)
        rows = _correlate(clean, weights, axis=2)
        return _finish(_correlate(rows, weights, axis=3), clip=self.clip)


@dataclass(frozen=True)
class Poisson:
    """Shot noise: ``Poisson(peak * x) / peak``, where `peak` is the photon count at white.

    The variance is ``x / peak``. Values below 0 count no photons.
    """

    peak: Strength
    clip: bool = False
    kind: Literal["poisson"] = "poisson"

    def __post_init__(self) -> None:
        _check(self.kind, "peak", self.peak, low=0, open_low=True)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        return _finish(_photons(clean, self.peak, generator), clip=self.clip)


@dataclass(frozen=True)
class PoissonGaussian:
    """Shot and read noise: ``Poisson(peak * x) / peak + N(0, sigma^2)``; variance x/peak + sigma^2.

    References
    ----------
    Foi, Trimeche, Katkovnik, Egiazarian, "Practical Poissonian-Gaussian noise modeling and fitting
    for single-image raw-data", IEEE TIP 2008, equation 1.
    """

    peak: Strength
    sigma: Strength
    clip: bool = False
    kind: Literal["poisson-gaussian"] = "poisson-gaussian"

    def __post_init__(self) -> None:
        _check(self.kind, "peak", self.peak, low=0, open_low=True)
        _check(self.kind, "sigma", self.sigma, low=0)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        shot = _photons(clean, self.peak, generator)
        sigma = _draw(self.sigma, clean, generator)
        return _finish(_normal_like(clean, generator).mul_(sigma).add_(shot), clip=self.clip)


@dataclass(frozen=True)
class SaltPepper:
    """Replace a share `amount` of all values, by 1 with probability `salt` and else by 0."""

    amount: Strength
    salt: float = 0.5
    kind: Literal["salt-pepper"] = "salt-pepper"

    def __post_init__(self) -> None:
        _check(self.kind, "amount", self.amount, low=0, high=1)
        _check(self.kind, "salt", self.salt, low=0, high=1)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        amount = _draw(self.amount, clean, generator)
        hit = _uniform_like(clean, generator) < amount
        salted = _uniform_like(clean, generator) < self.salt
        return torch.where(hit, salted.to(clean.dtype), clean)


@dataclass(frozen=True)
class Speckle:
    """Multiply by 1 + N(0, sigma^2)."""

    sigma: Strength
    clip: bool = False
    kind: Literal["speckle"] = "speckle"

    def __post_init__(self) -> None:
        _check(self.kind, "sigma", self.sigma, low=0)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        sigma = _draw(self.sigma, clean, generator)
        return _finish(_normal_like(clean, generator).mul_(sigma).add_(1).mul_(clean), self.clip)


# The quantisation tables of ITU-T T.81, annex K, that libjpeg scales by its quality number.
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *(((99,) * 8),) * 4,
)
# JFIF's R'G'B' to Y'CbCr, on 0..255; chroma is centred on 0 here, so the offset of 128 drops out.
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


@dataclass(frozen=True)
class Jpeg:
    """What storing as baseline JPEG does: block DCT, libjpeg's tables at `quality`, 8-bit rounding.

    The entropy coder loses nothing and is left out, so a whole batch passes at once, on any device.
    Colour images lose half their chroma resolution where `subsample` (4:2:0, as cameras store).
    """

    quality: Strength
    subsample: bool = True
    kind: Literal["jpeg"] = "jpeg"

    def __post_init__(self) -> None:
        _check(self.kind, "quality", self.quality, low=1, high=100)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`. One channel is stored as grey, three as RGB."""
        channels, height, width = clean.shape[1:]
        if channels not in (1, 3):
            raise UsageError(f"JPEG stores images of 1 or 3 channels, this one has {channels}")
        quality = _for_each(_draw(self.quality, clean, generator), clean).round()
        scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
        levels = (clean * 255).round().clamp(0, 255)
        if channels == 1:
            grey = _quantise(levels - 128, scale, _LUMA) + 128
            return grey.round().clamp(0, 255) / 255
        ycc = torch.einsum("ij,bjhw->bihw", levels.new_tensor(_TO_YCC), levels).round()
        luma = _quantise(ycc[:, :1] - 128, scale, _LUMA) + 128
        chroma = ycc[:, 1:]
        if self.subsample:
            chroma = _pad_edge(chroma, height % 2, width % 2)
            chroma = functional.avg_pool2d(chroma, 2).round()
        chroma = _quantise(chroma, scale, _CHROMA).round()
        if self.subsample:
            # Half-pixel bilinear weights 3/4 and 1/4 are libjpeg's "fancy upsampling".
            chroma = functional.interpolate(
                chroma, scale_factor=2, mode="bilinear", align_corners=False
            )[..., :height, :width]
        decoded = torch.cat([luma.round().clamp(0, 255), chroma.clamp(-128, 127)], 1)
        rgb = torch.einsum("ij,bjhw->bihw", levels.new_tensor(_TO_RGB), decoded)
        return rgb.round().clamp(0, 255) / 255


@dataclass(frozen=True)
class Compose:
    """Several corruptions, one after the other."""

    parts: tuple[Noise, ...]

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`."""
        for part in self.parts:
            clean = part(clean, generator)
        return clean


NOISES = {
    "gaussian": Gaussian,
    "uniform": Uniform,
    "blur": Blur,
    "poisson": Poisson,
    "poisson-gaussian": PoissonGaussian,
    "salt-pepper": SaltPepper,
    "speckle": Speckle,
    "jpeg": Jpeg,
}
"""The name of each corruption, as recipes write it in ``kind``."""


def _check(
    kind: str,
    name: str,
    strength: Strength,
    *,
    low: float,
    high: float = math.inf,
    open_low: bool = False,
) -> None:
    """Refuse a strength outside [low, high], or a pair that is not (smaller, larger)."""
    ends = strength if isinstance(strength, tuple) else (strength,)
    inside = all(low <= end <= high and math.isfinite(end) for end in ends)
    if not inside or ends[0] > ends[-1] or (open_low and ends[0] == low):
        least = f"above {low:g}" if open_low else f"at least {low:g}"
        most = "" if high == math.inf else f" and at most {high:g}"
        raise UsageError(
            f"{kind} noise: {name} is {strength!r}; expected a number {least}{most}, "
            "or a pair (low, high) of such numbers"
        )


def _draw(strength: Strength, clean: Tensor, generator: torch.Generator) -> Tensor | float:
    """Give a strength that broadcasts over the batch: one an image where a range is given."""
    if not isinstance(strength, tuple):
        return strength
    low, high = strength
    each = clean.new_empty(len(clean), 1, 1, 1).uniform_(generator=generator)
    return each.mul_(high - low).add_(low)


def _for_each(strength: Tensor | float, clean: Tensor) -> Tensor:
    """Give a strength as one number an image, (B, 1, 1, 1)."""
    return torch.as_tensor(strength, dtype=clean.dtype, device=clean.device).expand(
        len(clean), 1, 1, 1
    )


# New noise has the memory layout of the images, so that the sums below run without copies.
def _normal_like(clean: Tensor, generator: torch.Generator) -> Tensor:
    return torch.empty_like(clean).normal_(generator=generator)


def _uniform_like(clean: Tensor, generator: torch.Generator) -> Tensor:
    return torch.empty_like(clean).uniform_(generator=generator)


def _finish(noisy: Tensor, clip: bool) -> Tensor:
    return noisy.clamp_(0, 1) if clip else noisy


def _photons(clean: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    peak = _draw(strength, clean, generator)
    return torch.poisson(clean.clamp(min=0) * peak, generator=generator) / peak


def _correlate(images: Tensor, weights: Tensor, axis: int) -> Tensor:
    """Correlate each image along `axis` with its own taps, weights (B, taps, 1, 1).

    Shift and add: as many passes as taps, and no dense kernel or unfolded copy of the batch.
    """
    taps, size = weights.shape[1], images.shape[axis]
    position = torch.arange(-(taps // 2), size + taps // 2, device=images.device)
    # Reflection with the edge repeated has period 2 * size: 2 1 0 | 0 1 2 ... n | n ... 2.
    position = position.remainder(2 * size)
    mirrored = images.index_select(axis, torch.minimum(position, 2 * size - 1 - position))
    total = torch.zeros_like(images)
    for tap in range(taps):
        total.addcmul_(mirrored.narrow(axis, tap, size), weights[:, tap : tap + 1])
    return total


def _pad_edge(planes: Tensor, bottom: int, right: int) -> Tensor:
    return functional.pad(planes, (0, right, 0, bottom), mode="replicate")


def _quantise(planes: Tensor, scale: Tensor, table: tuple[tuple[int, ...], ...]) -> Tensor:
    """Round the 8x8 DCT coefficients of (B, C, H, W) planes to the scaled table's steps."""
    batch, channels, height, width = planes.shape
    padded = _pad_edge(planes, -height % 8, -width % 8)
    # libjpeg's jpeg_quality_scaling: integer steps from 1 to 255.
    base = planes.new_tensor(table)
    steps = torch.floor((base * torch.floor(scale) + 50) / 100).clamp(1, 255)[:, None, None]
    index = torch.arange(8, device=planes.device, dtype=planes.dtype)
    dct = torch.cos(math.pi / 8 * index[:, None] * (index + 0.5)) / 2
    dct[0] /= math.sqrt(2)
    rows, columns = padded.shape[2] // 8, padded.shape[3] // 8
    blocks = padded.reshape(batch, channels, rows, 8, columns, 8).transpose(3, 4)
    coefficients = dct @ blocks @ dct.T
    steps = steps.view(batch, 1, 1, 1, 8, 8)
    restored: Tensor = dct.T @ ((coefficients / steps).round() * steps) @ dct
    whole = restored.transpose(3, 4).reshape(padded.shape)
    return whole[..., :height, :width]
