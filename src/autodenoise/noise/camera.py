"""Camera noise as it looks in a stored photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from autodenoise.errors import UsageError
from autodenoise.noise.demosaicing import MARGIN, Bayer, demosaic, mosaic
from autodenoise.noise.smoothing import blur_valid, gaussian_taps, kernel_radius
from autodenoise.noise.strength import Corruption, Limit, Strength, draw_per_image, luma

__all__ = ["Camera"]

# log10 of the read noise variance as a function of log10 of the shot noise variance, after Brooks
# et al., who fitted phones. Their published code uses natural logarithms, which makes the variance
# a fifth of this; these values put more noise in the shadows.
_READ_SLOPE, _READ_OFFSET, _READ_SPREAD = 2.18, 1.20, 0.26
_RED_GAIN, _BLUE_GAIN = (1.9, 2.4), (1.5, 1.9)
# sRGB's power law with its slope at black, 13, but without the kink: ((x + toe)^p - toe^p) / scale.
_POWER, _TOE = 1 / 2.4, 0.003
_LIFT = _TOE**_POWER
_SCALE = (1 + _TOE) ** _POWER - _LIFT


@dataclass(frozen=True)
class Camera(Corruption):
    """Shot and read noise after a camera's processing.

    The tone curve, gamma and white balance are inverted to get linear light. Each pixel of a Bayer
    pattern gets noise of variance ``lambda_s * x + lambda_r``. The noise is demosaicked, partly
    desaturated and smoothed, as cameras and downscaling do. White balance, gamma and tone curve are
    then applied to light and noise together, clipped to [0, 1].

    Demosaicking and smoothing are linear, so they are applied to the noise alone. An image without
    noise passes unchanged, so a network learns to remove noise and not to sharpen or to correct
    demosaicking artifacts.

    Attributes
    ----------
    log_shot
        log10 of lambda_s, the variance of the shot noise at white. lambda_r is drawn around it:
        log10 lambda_r = 2.18 log10 lambda_s + 1.20 +- 0.26, the numbers of the reference, which
        uses natural logarithms in its code.
    smoothing
        Sigma of the Gaussian that smooths the noise, in pixels, in addition to demosaicking.
    chroma
        Fraction of the noise's color that remains. It also stands for the color matrix, which mixes
        the channels and is not simulated.
    tone
        Strength of the tone curve, from 0 (none) to 1 (the smoothstep of the reference).

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
    phrase = (
        "camera noise with a shot noise variance of 10^({log_shot}) at white, "
        "smoothed over {smoothing} pixels"
    )
    limits = (
        Limit("log_shot", -10, 0),
        Limit("smoothing", 0),
        Limit("chroma", 0, 1),
        Limit("tone", 0, 1),
    )

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`. One channel is the luma of a color camera; three are RGB."""
        channels = clean.shape[1]
        if channels not in (1, 3):
            raise UsageError(
                f"camera noise needs images of 1 or 3 channels; this one has {channels}"
            )
        color = clean.clamp(0, 1).contiguous().expand(-1, 3, -1, -1)
        # The inverse divides by the strength; 0.001 is practically no curve.
        tone = draw_per_image(self.tone, clean, generator).clamp(min=1e-3)
        light = _invert_gamma(_invert_tone(color, tone).clamp_(0, 1))
        noise = self._noise(light, generator)
        photo = _apply_tone(_apply_gamma((light + noise).clamp_(0, 1)), tone)
        return photo if channels == 3 else luma(photo)

    def _noise(self, light: Tensor, generator: torch.Generator) -> Tensor:
        """Draw noise for linear, white-balanced light in [0, 1], (B, 3, H, W)."""
        batch, _, height, width = light.shape
        log_shot = draw_per_image(self.log_shot, light, generator)
        spread = torch.empty_like(log_shot).normal_(std=_READ_SPREAD, generator=generator)
        shot, read = 10**log_shot, 10 ** (_READ_SLOPE * log_shot + _READ_OFFSET + spread)
        # The sensor measures light / gain; white balance multiplies its noise by the gain.
        red, blue = (draw_per_image(gain, light, generator) for gain in (_RED_GAIN, _BLUE_GAIN))
        gain = torch.cat([red, torch.ones_like(red), blue], 1)
        radius = kernel_radius(self.smoothing)
        margin = MARGIN + radius
        bayer = Bayer.draw(batch, height + 2 * margin, width + 2 * margin, generator)
        variance = torch.addcmul(read * gain**2, light, shot * gain)
        padded = functional.pad(variance, (margin,) * 4, mode="replicate")
        measured = mosaic(padded, bayer).sqrt_()
        measured.mul_(torch.empty_like(measured).normal_(generator=generator))
        noise = demosaic(measured, bayer, draw_per_image((0.0, 1.0), light, generator))
        chroma = draw_per_image(self.chroma, light, generator)
        noise = torch.lerp(luma(noise), noise, chroma)
        smoothing = draw_per_image(self.smoothing, light, generator)
        return blur_valid(noise, gaussian_taps(smoothing, radius))


def _apply_gamma(light: Tensor) -> Tensor:
    return light.add_(_TOE).pow_(_POWER).sub_(_LIFT).div_(_SCALE)


def _invert_gamma(image: Tensor) -> Tensor:
    return image.mul_(_SCALE).add_(_LIFT).pow_(1 / _POWER).sub_(_TOE).clamp_(min=0)


def _apply_tone(image: Tensor, strength: Tensor) -> Tensor:
    """Blend the identity with smoothstep, 3 x^2 - 2 x^3."""
    return torch.lerp(image, image * image * (3 - 2 * image), strength)


def _invert_tone(image: Tensor, strength: Tensor) -> Tensor:
    """Invert `_apply_tone`: the middle root of a cubic, by trigonometry."""
    # In 2 x - 1 the blend is odd: u^3 - linear * u + 2 v / strength = 0.
    linear = 1 + 2 / strength
    scale = 3 / (strength * linear) * torch.sqrt(3 / linear)
    angle = (2 * image - 1).mul_(scale).clamp_(-1, 1).asin_().div_(3)
    return angle.sin_().mul_(torch.sqrt(linear / 3)).add_(0.5)
