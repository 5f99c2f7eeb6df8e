"""A small U-Net after a pixel-unshuffle."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from autodenoise.nets.autoencoder import Autoencoder
from autodenoise.nets.layers import Add, CenterCrop, Conv, PadToMultiple, he_uniform_, relu

__all__ = ["SwiftAutoencoder"]


class _Encoder(nn.Module):
    """Map an image to feature maps at 1/2, 1/4 and 1/8 of its sides, finest first."""

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.fold = nn.PixelUnshuffle(2)
        self.head = Conv(4 * channels, fine)
        self.fine = Conv(fine, fine)
        self.to_middle = nn.Conv2d(fine, middle, 2, stride=2)
        self.middle = Conv(middle, middle)
        self.to_coarse = nn.Conv2d(middle, coarse, 2, stride=2)
        self.coarse = Conv(coarse, coarse)
        self.relu = relu()

    def forward(self, x: Tensor) -> list[Tensor]:
        relu = self.relu
        fine = relu(self.fine(relu(self.head(self.fold(x)))))
        middle = relu(self.middle(relu(self.to_middle(fine))))
        coarse = relu(self.coarse(relu(self.to_coarse(middle))))
        return [fine, middle, coarse]


class _Decoder(nn.Module):
    """Map feature maps back to logits; skip connections are added."""

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.to_middle = nn.ConvTranspose2d(coarse, middle, 2, stride=2)
        self.middle = Conv(middle, middle)
        self.to_fine = nn.ConvTranspose2d(middle, fine, 2, stride=2)
        self.fine = Conv(fine, fine)
        self.tail = Conv(fine, 4 * channels)
        self.unfold = nn.PixelShuffle(2)
        self.add = Add()
        self.relu = relu()

    def forward(self, maps: list[Tensor]) -> Tensor:
        fine, middle, coarse = maps
        add, relu = self.add, self.relu
        middle = relu(self.middle(relu(add(self.to_middle(coarse), middle))))
        fine = relu(self.fine(relu(add(self.to_fine(middle), fine))))
        logits: Tensor = self.unfold(self.tail(fine))
        return logits


class SwiftAutoencoder(Autoencoder):
    """A skip U-Net that works at 1/2, 1/4 and 1/8 of the image's sides.

    A small autoencoder spends most multiply-adds on full-resolution layers. Here a pixel-unshuffle
    (Shi et al. 2016) first folds 2x2 pixels into channels, so as many parameters take a fraction of
    the time and have a receptive field of the whole digit. The network pads sides with zeros to a
    multiple of 8.

    Parameters
    ----------
    channels
        Channels of the image.
    widths
        Feature maps at 1/2, 1/4 and 1/8. The default has 27,988 parameters at one channel.
    dark
        Gray value that the untrained network returns everywhere, set by the output bias. Digits are
        mostly black; starting at their mean saves training steps.

    References
    ----------
    Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015.
    """

    def __init__(
        self,
        channels: int = 1,
        widths: tuple[int, int, int] = (16, 24, 22),
        dark: float = 0.12,
    ) -> None:
        super().__init__(channels, _Encoder(channels, widths), _Decoder(channels, widths))
        self.pad, self.crop = PadToMultiple(8), CenterCrop()
        self.dark = dark

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the clean image."""
        logits: Tensor = self.crop(super().forward(self.pad(x)), *x.shape[2:])
        return logits

    @torch.no_grad()
    def initialize(self, generator: torch.Generator) -> None:
        """Draw He uniform weights, small in the last layer, and set its bias to the data's mean."""
        he_uniform_(self, generator)
        assert isinstance(self.decoder, _Decoder)
        tail = self.decoder.tail
        assert tail.bias is not None
        tail.weight.mul_(0.1)
        nn.init.constant_(tail.bias, math.log(self.dark / (1 - self.dark)))
