"""The autoencoders of the five tutorials, layer for layer.

A ReLU follows every layer except the last, whose sigmoid is part of `Autoencoder.denoise`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain, pairwise

import torch
from torch import nn

from autodenoise.nets.autoencoder import Autoencoder
from autodenoise.nets.layers import (
    Conv,
    ConvTranspose,
    clip_kernel_columns,
    he_uniform_,
    pool,
    relu,
    upsample,
)

__all__ = [
    *("BlurAutoencoder", "BottleneckAutoencoder", "ConvAutoencoder"),
    *("DeepBottleneckAutoencoder", "DenseAutoencoder", "MaxNormAutoencoder"),
]


def _down(*widths: int) -> nn.Sequential:
    """Return pooled convolutions from each of these numbers of channels to the next."""
    layers = ((Conv(*pair), pool(), relu()) for pair in pairwise(widths))
    return nn.Sequential(*chain(*layers))


def _up(*widths: int) -> Iterator[nn.Module]:
    """Yield upsampled convolutions from each of these numbers of channels to the next."""
    for pair in pairwise(widths):
        yield from (Conv(*pair), relu(), upsample())


class ConvAutoencoder(Autoencoder):
    """Two pooled convolutions down, two strided transposed ones up; 28,353 parameters.

    The network of the Keras example "Convolutional autoencoder for image denoising" (2021).
    """

    multiple = 4

    def __init__(self, channels: int = 1, width: int = 32) -> None:
        super().__init__(
            channels,
            encoder=_down(channels, width, width),
            decoder=nn.Sequential(
                # Not in place, since the cropped output is a strided view.
                *(ConvTranspose(width, width, stride=2), nn.ReLU()),
                *(ConvTranspose(width, width, stride=2), nn.ReLU()),
                Conv(width, channels),
            ),
        )


class DenseAutoencoder(Autoencoder):
    """Fully connected layers through a narrow one; 1,313,616 parameters at 28x28.

    The network of the guide "Use Autoencoders to Denoise Images" (2020). `widths` are the hidden
    layers; the narrowest is the code.
    """

    def __init__(
        self,
        channels: int = 1,
        size: tuple[int, int] = (28, 28),
        widths: tuple[int, ...] = (512, 512, 256, 256, 64, 512),
    ) -> None:
        values = channels * math.prod(size)
        bounds = (values, *widths)
        hidden = [(nn.Linear(*pair), relu()) for pair in pairwise(bounds)]
        code = widths.index(min(widths)) + 1
        super().__init__(
            channels,
            encoder=nn.Sequential(nn.Flatten(), *chain(*hidden[:code])),
            decoder=nn.Sequential(
                *chain(*hidden[code:]),
                nn.Linear(widths[-1], values),
                nn.Unflatten(1, (channels, *size)),
            ),
        )


class MaxNormAutoencoder(Autoencoder):
    """Unpadded convolutions, He initialization and a max-norm constraint; 47,425 parameters.

    The network of Michelucci and Sperti, "Denoising Images with Autoencoders based on CNNs" (2020).
    """

    multiple = 1

    def __init__(self, channels: int = 1, max_norm: float = 2.0) -> None:
        super().__init__(
            channels,
            encoder=nn.Sequential(
                *(Conv(channels, 64, valid=True), relu()),
                *(Conv(64, 32, valid=True), relu()),
            ),
            decoder=nn.Sequential(
                *(ConvTranspose(32, 32), relu()),
                *(ConvTranspose(32, 64), relu()),
                Conv(64, channels),
            ),
        )
        self.max_norm = max_norm

    def initialize(self, generator: torch.Generator) -> None:
        """Draw He uniform weights."""
        he_uniform_(self, generator)

    def constrain(self) -> None:
        """Scale down kernel columns whose norm exceeds `max_norm`."""
        clip_kernel_columns(self, self.max_norm)


class BlurAutoencoder(Autoencoder):
    """Three pooled convolutions to a code of 4x4x8; 4,385 parameters.

    The network of the "denoise example" after Chollet, "Building Autoencoders in Keras" (2016).
    Its one unpadded convolution reduces 16 rows to 14, so only 28x28 images keep their size.
    """

    def __init__(self, channels: int = 1) -> None:
        super().__init__(
            channels,
            encoder=_down(channels, 16, 8, 8),
            decoder=nn.Sequential(
                *_up(8, 8, 8),
                *(Conv(8, 16, valid=True), relu(), upsample()),
                Conv(16, channels),
            ),
        )


class BottleneckAutoencoder(Autoencoder):
    """Pooled convolutions down, nearest-neighbor upsampling up; 28,353 parameters.

    The network that the lab sheet "Convolutional Autoencoder for Image Denoising" summarizes and
    trains.
    """

    multiple = 4

    def __init__(self, channels: int = 1, width: int = 32) -> None:
        super().__init__(
            channels,
            encoder=_down(channels, width, width),
            decoder=nn.Sequential(*_up(width, width, width), Conv(width, channels)),
        )


class DeepBottleneckAutoencoder(Autoencoder):
    """Four poolings to a code of 2x2x4, an 8x8 unpadded exit; 5,489 parameters.

    The network in the same lab sheet's program listing. The unpadded 5x5 convolution reduces 32
    rows to 28, so only 28x28 images keep their size.
    """

    def __init__(self, channels: int = 1) -> None:
        super().__init__(
            channels,
            encoder=_down(channels, 16, 8, 4, 4),
            decoder=nn.Sequential(
                *_up(4, 8, 8, 8, 8),
                # The program upsamples by 1 after this layer, which has no effect.
                *(Conv(8, 8, 5, valid=True), relu()),
                Conv(8, channels),
            ),
        )
