"""JPEG compression."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from autodenoise.errors import UsageError
from autodenoise.noise.strength import Corruption, Limit, Strength, draw_per_image

__all__ = ["Jpeg"]

# The quantization tables of ITU-T T.81, annex K, that libjpeg scales by its quality number.
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
# JFIF's R'G'B' to Y'CbCr, on 0..255; chroma is centered on 0 here, so the offset of 128 drops out.
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


@dataclass(frozen=True)
class Jpeg(Corruption):
    """Baseline JPEG: block DCT, libjpeg's tables at `quality`, 8-bit rounding.

    Entropy coding is lossless and omitted, so a whole batch is processed at once on any device.

    Attributes
    ----------
    quality
        From 1 to 100, on libjpeg's scale.
    subsample
        Whether the chroma of color images has half the resolution (4:2:0), as cameras store it.
    aligned
        Whether the block grid starts at the image's corner. Otherwise it has a random offset, the
        same for the whole batch, as in a crop of a photo.
    """

    quality: Strength
    subsample: bool = True
    aligned: bool = True
    kind: Literal["jpeg"] = "jpeg"
    phrase = "JPEG compression at quality {quality}"
    limits = (Limit("quality", 1, 100),)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise`. One channel is stored as gray, three as RGB."""
        channels = clean.shape[1]
        if channels not in (1, 3):
            raise UsageError(f"JPEG stores images of 1 or 3 channels; this one has {channels}")
        quality = draw_per_image(self.quality, clean, generator).round()
        if self.aligned:
            return self._store(clean, quality)
        # A block of chroma at half the resolution covers 16 pixels.
        place = torch.randint(16, (2,), generator=generator, device=clean.device)
        down, right = place.tolist()
        moved = functional.pad(clean, (right, 0, down, 0), mode="replicate")
        return self._store(moved, quality)[..., down:, right:]

    def _store(self, clean: Tensor, quality: Tensor) -> Tensor:
        channels, height, width = clean.shape[1:]
        scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
        levels = (clean * 255).round().clamp(0, 255)
        if channels == 1:
            gray = _quantize(levels - 128, scale, _LUMA) + 128
            return gray.round().clamp(0, 255) / 255
        ycc = torch.einsum("ij,bjhw->bihw", levels.new_tensor(_TO_YCC), levels).round()
        luma = _quantize(ycc[:, :1] - 128, scale, _LUMA) + 128
        chroma = ycc[:, 1:]
        if self.subsample:
            chroma = _pad_edge(chroma, height % 2, width % 2)
            chroma = functional.avg_pool2d(chroma, 2).round()
        chroma = _quantize(chroma, scale, _CHROMA).round()
        if self.subsample:
            # Half-pixel bilinear weights 3/4 and 1/4 are libjpeg's "fancy upsampling".
            chroma = functional.interpolate(
                chroma, scale_factor=2, mode="bilinear", align_corners=False
            )[..., :height, :width]
        decoded = torch.cat([luma.round().clamp(0, 255), chroma.clamp(-128, 127)], 1)
        rgb = torch.einsum("ij,bjhw->bihw", levels.new_tensor(_TO_RGB), decoded)
        return rgb.round().clamp(0, 255) / 255


def _pad_edge(planes: Tensor, bottom: int, right: int) -> Tensor:
    return functional.pad(planes, (0, right, 0, bottom), mode="replicate")


def _quantize(planes: Tensor, scale: Tensor, table: tuple[tuple[int, ...], ...]) -> Tensor:
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
