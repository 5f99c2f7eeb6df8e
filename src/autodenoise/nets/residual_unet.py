"""The network for pictures: a residual U-Net without biases, in three sizes."""

from __future__ import annotations

from operator import gt
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor, nn

from autodenoise.errors import UsageError, unknown_name
from autodenoise.nets.autoencoder import Autoencoder
from autodenoise.nets.layers import Add, he_uniform_, relu

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["PRESETS", "Preset", "ResidualUNet", "change_channels", "grow"]


class Preset(NamedTuple):
    """One size of the family.

    Attributes
    ----------
    widths
        Feature maps at 1/2, 1/4 and 1/8 of the image's sides.
    blocks
        Residual blocks at each of these: as many on the way up as on the way down.
    """

    widths: tuple[int, int, int]
    blocks: int


PRESETS: dict[str, Preset] = {
    "fast": Preset((32, 64, 96), 1),
    "balanced": Preset((48, 96, 160), 2),
    "best": Preset((64, 128, 192), 4),
}
"""The sizes by name: 0.42, 1.92 and 5.9 million parameters in colour."""


_FROM_DEEP = "decoder.to_coarse.weight"


def _conv(channels_in: int, channels_out: int) -> nn.Module:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)


class _Block(nn.Module):
    """Conv, ReLU, conv, and what came in."""

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
    """Image to itself and to feature maps at 1/2, 1/4, 1/8 and, if any, 1/16 of its sides."""

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
    """Feature maps back to an image; all that is finer than the coarsest comes in by addition."""

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

    It has neither biases nor normalisation, so that an image twice as bright gives an answer twice
    as bright, and noise stronger than any it was trained on is still taken for noise (Mohan et al.
    2020). Its halo follows from its blocks alone and does not depend on the image.

    Parameters
    ----------
    channels
        Of the image.
    preset
        A size of `PRESETS`: ``fast``, ``balanced`` or ``best``.
    deep
        Feature maps at 1/16 of the image's sides, below those of the preset; 0 for no such level.
        They cost little, as there are few pixels there, and let an output see twice as far.
    residual
        Whether the image itself is added to the answer. A network that learns from hidden pixels
        (Noise2Void) would add back what stands in their place.
    black, white
        Nominal range of the images, which the network takes to [0, 1] and back. That of dim
        microscopy may be a small part of what the file could hold.

    Raises
    ------
    UsageError
        There is no such preset, deep is negative, or black is not below white.

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
        if preset not in PRESETS:
            raise unknown_name("preset", preset, PRESETS)
        if deep < 0:
            raise UsageError(f"network: deep is {deep}; expected feature maps, or 0 for none")
        if not black < white:
            raise UsageError(f"network: black is {black:g}; expected less than white, {white:g}")
        size = *PRESETS[preset], deep
        super().__init__(channels, _Encoder(channels, *size), _Decoder(channels, *size, residual))
        self.multiple = 16 if deep else 8
        self.black, self.white = black, white

    def forward(self, x: Tensor) -> Tensor:
        """Give the clean image."""
        if (self.black, self.white) == (0, 1):
            return super().forward(x)
        span = self.white - self.black
        # Sums alone: model files have no operator Sub.
        return super().forward((x + -self.black) / span) * span + self.black

    @torch.no_grad()
    def initialize(self, generator: torch.Generator) -> None:
        """Draw He uniform weights, faint where they end a residual: it starts near the identity."""
        he_uniform_(self, generator)
        for name, weight in self.named_parameters():
            if name.endswith((".second.weight", ".tail.weight")):
                weight.mul_(0.1)


def change_channels(weights: Mapping[str, Tensor], given: int, wanted: int) -> dict[str, Tensor]:
    """Turn weights for images of some number of channels into ones for another number.

    The new network does to an image whose channels are all the same what the old one did to it,
    averaged over its channels: somewhere to start from.

    Parameters
    ----------
    weights
        A `ResidualUNet`'s by name.
    given, wanted
        Channels that it has, and that it is to have.
    """
    turned = dict(weights)
    if given == wanted:
        return turned
    for name, axis in (("encoder.head.weight", 1), ("decoder.tail.weight", 0)):
        # Channel by channel, four numbers each: the pixels of a 2x2 square.
        shape = list(weights[name].shape)
        apart = weights[name].reshape([*shape[:axis], given, 4, *shape[axis + 1 :]])
        mean = apart.mean(axis, keepdim=True).repeat_interleave(wanted, axis)
        share = given / wanted if name == "encoder.head.weight" else 1
        turned[name] = share * mean.flatten(axis, axis + 1)
    return turned


def grow(weights: Mapping[str, Tensor], drawn: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put a network's weights into those of a larger one, which then answers as the small one did.

    Feature maps that are new are made from all there are, but nothing that was there before reads
    them yet, and blocks that are new add nothing yet. Both get gradients, so that training brings
    them in from its first steps on.

    Parameters
    ----------
    weights
        The small `ResidualUNet`'s by name. One of the same size gives them back.
    drawn
        The large one's as it was initialised, for as many channels.

    Raises
    ------
    ValueError
        It is the other that is larger.

    References
    ----------
    Chen, Goodfellow, Shlens, "Net2Net: accelerating learning via knowledge transfer", ICLR 2016.
    """
    deep = len(weights.get(_FROM_DEEP, ()))
    if deep > len(drawn.get(_FROM_DEEP, ())):
        raise ValueError(f"it has {deep} feature maps at 1/16; set network.deep to {deep} or more")
    for name, old in weights.items():
        if name not in drawn or any(map(gt, old.shape, drawn[name].shape)):
            raise ValueError(
                "its network is larger; a network can start from one of at most its size"
            )
    put = {name: new.clone() for name, new in drawn.items()}
    for name, new in put.items():
        if name in weights:
            old = weights[name]
            outputs = 1 if name.startswith("decoder.to_") else 0
            new.narrow(outputs, 0, old.shape[outputs]).zero_()
            new[: len(old), : old.shape[1]] = old
        elif name.endswith(".second.weight") or name == _FROM_DEEP:
            new.zero_()
    return put
