"""What a camera's noise has become by the time that a photo is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from autodenoise.errors import UsageError
from autodenoise.noise.demosaicing import MARGIN, Bayer, demosaic, mosaic
from autodenoise.noise.smoothing import blur_inside, gaussian_taps, reach
from autodenoise.noise.strength import Strength, check, draw, for_each, text

__all__ = ["Camera"]

# The read noise's variance by that of the shot noise, after Brooks et al., who fitted phones.
# Taken in log10. The code that they published takes natural logarithms, by which the variance is a
# fifth of this: what is learnt here is for more noise in the shadows.
_READ_SLOPE, _READ_OFFSET, _READ_SPREAD = 2.18, 1.20, 0.26
_RED_GAIN, _BLUE_GAIN = (1.9, 2.4), (1.5, 1.9)
# sRGB's power law with its slope at black, 13, but without the kink: ((x + toe)^p - toe^p) / scale.
_POWER, _TOE = 1 / 2.4, 0.003
_LIFT = _TOE**_POWER
_SCALE = (1 + _TOE) ** _POWER - _LIFT
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Camera:
    """Shot and read noise as they look after the camera has made a photo of them.

    The image is taken back to the light that the sensor measured: the tone curve, the gamma and the
    white balance are inverted. Each pixel of a Bayer pattern gets noise of variance
    ``lambda_s * x + lambda_r``. The noise is demosaicked, its colour is damped and it is smoothed,
    as cameras do and as shrinking a photo does; then white balance, gamma and tone curve are
    applied to light and noise together, clipped to [0, 1].

    Demosaicking and smoothing are linear, so they are applied to the noise alone: equal to the
    whole pipeline on the noisy light minus what it does to the light itself. So an image without
    noise passes unchanged, and what is learnt is to remove noise, neither to sharpen nor to undo
    the colour fringes of demosaicking.

    Attributes
    ----------
    log_shot
        log10 of lambda_s, the variance of the shot noise at white. That of lambda_r follows from it
        with a spread: log10 lambda_r = 2.18 log10 lambda_s + 1.20 +- 0.26, the numbers of the
        reference, which takes other logarithms.
    smoothing
        Of the Gaussian that the noise is smoothed by, in pixels. Demosaicking smooths besides.
    chroma
        What share of the noise's colour is left; less makes the channels more alike. It stands for
        the colour matrix, too, which mixes the channels and is left out.
    tone
        The strength of the tone curve, from none to the smoothstep of the reference.

    References
    ----------
    Brooks, Mildenhall, Xue, Chen, Sharlet, Barron, "Unprocessing images for learned raw denoising",
    CVPR 2019.
    """

    log_shot: Strength = (-4.0, -1.9)
    smoothing: Strength = (0.0, 1.1)
    chroma: Strength = (0.3, 1.0)
    tone: Strength = (0.4, 1.0)
    kind: Literal["camera"] = "camera"

    def __post_init__(self) -> None:
        check(self.kind, "log_shot", self.log_shot, low=-10, high=0)
        check(self.kind, "smoothing", self.smoothing, low=0)
        check(self.kind, "chroma", self.chroma, low=0, high=1)
        check(self.kind, "tone", self.tone, low=0, high=1)

    def describe(self) -> str:
        """See `Noise`."""
        return (
            f"camera noise with a shot noise variance of 10^({text(self.log_shot)}) at white, "
            f"smoothed over {text(self.smoothing)} pixels"
        )

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`. One channel is the luma of a colour camera, three are RGB."""
        channels = clean.shape[1]
        if channels not in (1, 3):
            raise UsageError(f"a camera gives images of 1 or 3 channels, this one has {channels}")
        colour = clean.clamp(0, 1).contiguous().expand(-1, 3, -1, -1)
        # The inverse divides by it; so little of a curve is none.
        tone = for_each(draw(self.tone, clean, generator), clean).clamp(min=1e-3)
        light = _invert_gamma(_invert_tone(colour, tone).clamp_(0, 1))
        noise = self._noise(light, generator)
        photo = _apply_tone(_apply_gamma((light + noise).clamp_(0, 1)), tone)
        if channels == 3:
            return photo
        return (photo * photo.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)

    def _noise(self, light: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the noise of linear, white balanced light in [0, 1], (B, 3, H, W)."""
        batch, _, height, width = light.shape
        log_shot = for_each(draw(self.log_shot, light, generator), light)
        spread = torch.empty_like(log_shot).normal_(std=_READ_SPREAD, generator=generator)
        shot, read = 10**log_shot, 10 ** (_READ_SLOPE * log_shot + _READ_OFFSET + spread)
        # The sensor measures light / gain, whose noise is multiplied by the gain later on.
        red, blue = (
            for_each(draw(gain, light, generator), light) for gain in (_RED_GAIN, _BLUE_GAIN)
        )
        gain = torch.cat([red, torch.ones_like(red), blue], 1)
        radius = reach(self.smoothing)
        margin = MARGIN + radius
        bayer = Bayer.draw(batch, height + 2 * margin, width + 2 * margin, generator)
        variance = torch.addcmul(read * gain**2, light, shot * gain)
        around = functional.pad(variance, (margin,) * 4, mode="replicate")
        measured = mosaic(around, bayer).sqrt_()
        measured.mul_(torch.empty_like(measured).normal_(generator=generator))
        noise = demosaic(measured, bayer, for_each(draw((0.0, 1.0), light, generator), light))
        chroma = for_each(draw(self.chroma, light, generator), light)
        grey = (noise * noise.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
        noise = torch.lerp(grey, noise, chroma)
        smoothing = for_each(draw(self.smoothing, light, generator), light)
        return blur_inside(noise, gaussian_taps(smoothing, radius))


def _apply_gamma(light: Tensor) -> Tensor:
    return light.add_(_TOE).pow_(_POWER).sub_(_LIFT).div_(_SCALE)


def _invert_gamma(image: Tensor) -> Tensor:
    return image.mul_(_SCALE).add_(_LIFT).pow_(1 / _POWER).sub_(_TOE).clamp_(min=0)


def _apply_tone(image: Tensor, strength: Tensor) -> Tensor:
    """Blend the identity with smoothstep, 3 x^2 - 2 x^3."""
    return torch.lerp(image, image * image * (3 - 2 * image), strength)


def _invert_tone(image: Tensor, strength: Tensor) -> Tensor:
    """Give what `_apply_tone` takes to `image`: the middle root of a cubic, by trigonometry."""
    # In 2 x - 1 the blend is odd: u^3 - linear * u + 2 v / strength = 0.
    linear = 1 + 2 / strength
    scale = 3 / (strength * linear) * torch.sqrt(3 / linear)
    angle = (2 * image - 1).mul_(scale).clamp_(-1, 1).asin_().div_(3)
    return angle.sin_().mul_(torch.sqrt(linear / 3)).add_(0.5)
