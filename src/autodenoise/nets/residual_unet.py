"""The network for photos: a residual U-Net without biases, in three sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import gt
from typing import Literal

import torch
from torch import Tensor, nn

from autodenoise.errors import UsageError, unknown_name
from autodenoise.nets.autoencoder import Autoencoder
from autodenoise.nets.layers import Add, he_uniform_, relu

__all__ = ["ResidualUNet", "change_channels", "grow"]


# Feature maps at 1/2, 1/4 and 1/8 of the image's sides, and residual blocks at each of these, both
# down and up: 0.42, 1.92 and 5.9 million parameters for color.
_PRESETS = {
    "fast": ((32, 64, 96), 1),
    "balanced": ((48, 96, 160), 2),
    "best": ((64, 128, 192), 4),
}
_FROM_DEEP = "decoder.to_coarse.weight"


def _conv(channels_in: int, channels_out: int) -> nn.Module:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)


class _Block(nn.Module):
    """Conv, ReLU, conv, plus the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = _conv(width, width), _conv(width, width)
        self.relu, self.add = relu(), Add()

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.add(self.second(self.relu(self.first(x))), x)
        return added


def _blocks(width: int, count: int) -> nn.Module:
    return nn.Sequential(*(_Block(width) for _ in range(count)))


class _Encoder(nn.Module):
    """Map an image to itself and feature maps at 1/2, 1/4, 1/8 and maybe 1/16 of its sides."""

    def __init__(self, channels: int, widths: Sequence[int], blocks: int, deep: int) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.fold = nn.PixelUnshuffle(2)
        self.head = _conv(4 * channels, fine)
        self.fine = _blocks(fine, blocks)
        self.to_middle = nn.Conv2d(fine, middle, 2, stride=2, bias=False)
        self.middle = _blocks(middle, blocks)
        self.to_coarse = nn.Conv2d(middle, coarse, 2, stride=2, bias=False)
        self.coarse = _blocks(coarse, blocks)
        self.has_deep = deep > 0
        if self.has_deep:
            self.to_deep = nn.Conv2d(coarse, deep, 2, stride=2, bias=False)
            self.deep = _blocks(deep, blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        fine = self.fine(self.head(self.fold(x)))
        middle = self.middle(self.to_middle(fine))
        coarse = self.coarse(self.to_coarse(middle))
        deep = [self.deep(self.to_deep(coarse))] if self.has_deep else []
        return [x, fine, middle, coarse, *deep]


class _Decoder(nn.Module):
    """Map feature maps back to an image; skip connections are added."""

    def __init__(
        self, channels: int, widths: Sequence[int], blocks: int, deep: int, residual: bool
    ) -> None:
        super().__init__()
        fine, middle, coarse = widths
        if deep:
            self.to_coarse = nn.ConvTranspose2d(deep, coarse, 2, stride=2, bias=False)
        self.to_middle = nn.ConvTranspose2d(coarse, middle, 2, stride=2, bias=False)
        self.middle = _blocks(middle, blocks)
        self.to_fine = nn.ConvTranspose2d(middle, fine, 2, stride=2, bias=False)
        self.fine = _blocks(fine, blocks)
        self.tail = _conv(fine, 4 * channels)
        self.unfold = nn.PixelShuffle(2)
        self.add = Add()
        self.residual = residual

    def forward(self, maps: list[Tensor]) -> Tensor:
        x, fine, middle, coarse, *deep = maps
        if deep:
            coarse = self.add(self.to_coarse(*deep), coarse)
        middle = self.middle(self.add(self.to_middle(coarse), middle))
        fine = self.fine(self.add(self.to_fine(middle), fine))
        image: Tensor = self.unfold(self.tail(fine))
        return self.add(image, x) if self.residual else image


class ResidualUNet(Autoencoder):
    """A skip U-Net of residual blocks whose outermost skip is the image itself.

    It has neither biases nor normalization, so its output scales with the input, and it removes
    noise stronger than it was trained on (Mohan et al. 2020). Its halo does not depend on the
    image.

    Parameters
    ----------
    channels
        Channels of the image.
    preset
        Size: ``fast``, ``balanced`` or ``best``.
    deep
        Feature maps at 1/16 of the image's sides; 0 for no such level. They cost little, since
        there are few pixels, and double the receptive field.
    residual
        Whether the image itself is added to the output. Not for training on masked pixels
        (Noise2Void), where this would add the replacement values to the output.
    black, white
        Nominal range of the images, which the network maps to [0, 1] and back. Dim microscopy
        images may use a small part of the range of their files.

    Raises
    ------
    UsageError
        The preset is unknown, `deep` is negative, or `black` is not below `white`.

    References
    ----------
    Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015. Shi et al., "Real-time single image and video
    super-resolution", CVPR 2016 (the pixel shuffle). Mohan et al., "Robust and interpretable blind
    image denoising via bias-free convolutional neural networks", ICLR 2020. Zhang et al.,
    "Plug-and-play image restoration with deep denoiser prior", TPAMI 2021 (such a U-Net, larger).
    """

    answers = "image"

    def __init__(
        self,
        channels: int = 1,
        preset: Literal["fast", "balanced", "best"] = "fast",
        deep: int = 0,
        residual: bool = True,
        black: float = 0.0,
        white: float = 1.0,
    ) -> None:
        if preset not in _PRESETS:
            raise unknown_name("preset", preset, _PRESETS)
        if deep < 0:
            raise UsageError(f"network: deep is {deep}; expected feature maps, or 0 for none")
        if not black < white:
            raise UsageError(f"network: black is {black:g}; expected less than white, {white:g}")
        size = *_PRESETS[preset], deep
        super().__init__(channels, _Encoder(channels, *size), _Decoder(channels, *size, residual))
        self.multiple = 16 if deep else 8
        self.black, self.white = black, white

    def forward(self, x: Tensor) -> Tensor:
        """Return the clean image."""
        if (self.black, self.white) == (0, 1):
            return super().forward(x)
        scale = self.white - self.black
        # Adds the negative, since Sub is not an operator of model files.
        return super().forward((x + -self.black) / scale) * scale + self.black

    @torch.no_grad()
    def initialize(self, generator: torch.Generator) -> None:
        """Draw He uniform weights, small at the end of each residual to start near the identity."""
        he_uniform_(self, generator)
        for name, weight in self.named_parameters():
            if name.endswith((".second.weight", ".tail.weight")):
                weight.mul_(0.1)


def change_channels(weights: Mapping[str, Tensor], given: int, wanted: int) -> dict[str, Tensor]:
    """Convert the weights of a `ResidualUNet` from `given` to `wanted` channels.

    For an image with equal channels, the output is that of the original network, averaged over its
    channels: a starting point for training.
    """
    converted = dict(weights)
    if given == wanted:
        return converted
    for name, axis in (("encoder.head.weight", 1), ("decoder.tail.weight", 0)):
        # Each channel has four entries: the pixels of a 2x2 square.
        shape = list(weights[name].shape)
        apart = weights[name].reshape([*shape[:axis], given, 4, *shape[axis + 1 :]])
        mean = apart.mean(axis, keepdim=True).repeat_interleave(wanted, axis)
        share = given / wanted if name == "encoder.head.weight" else 1
        converted[name] = share * mean.flatten(axis, axis + 1)
    return converted


def grow(weights: Mapping[str, Tensor], drawn: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put the weights of a `ResidualUNet` into a larger one, keeping the function it computes.

    New feature maps are computed from all others, but the weights that read them are zero, and new
    blocks add nothing. Both get gradients, so training uses them from its first steps (Chen,
    Goodfellow, Shlens, "Net2Net: accelerating learning via knowledge transfer", ICLR 2016).

    `drawn` are the initial weights of the larger network, for the same number of channels. Raise
    ValueError if `weights` are those of a larger one.
    """
    deep = len(weights.get(_FROM_DEEP, ()))
    if deep > len(drawn.get(_FROM_DEEP, ())):
        raise ValueError(f"it has {deep} feature maps at 1/16; set network.deep to {deep} or more")
    for name, old in weights.items():
        if name not in drawn or any(map(gt, old.shape, drawn[name].shape)):
            raise ValueError(
                "its network is larger; a network can start from one of at most its size"
            )
    grown = {name: new.clone() for name, new in drawn.items()}
    for name, new in grown.items():
        if name in weights:
            old = weights[name]
            outputs = 1 if name.startswith("decoder.to_") else 0
            new.narrow(outputs, 0, old.shape[outputs]).zero_()
            new[: len(old), : old.shape[1]] = old
        elif name.endswith(".second.weight") or name == _FROM_DEEP:
            new.zero_()
    return grown
