"""Layers of Keras in torch's layout, from which imported networks are built.

Tensors are (B, C, H, W), or (B, N) after `Flatten`. Sizes are (rows, columns), padding and cropping
(top, bottom, left, right). Padding is explicit, since the numbers behind Keras's ``same`` depend on
the size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    *("ACTIVATIONS", "ChannelScale", "Concatenate", "CroppedConvTranspose", "Cropping", "Flatten"),
    *("MaxPool", "PaddedConv", "Rescaling", "Reshape", "ZeroPadding", "average_pool", "relu"),
    "upsample",
]

ACTIVATIONS = (nn.ELU, nn.Hardtanh, nn.LeakyReLU, nn.ReLU, nn.SELU, nn.SiLU, nn.Sigmoid, nn.Tanh)
"""Elementwise layers without weights or scale."""


def _sides(values: Sequence[int]) -> tuple[int, int]:
    rows, columns = values
    return rows, columns


def _pad(x: Tensor, pads: Sequence[int], value: float = 0.0) -> Tensor:
    top, bottom, left, right = pads
    return functional.pad(x, (left, right, top, bottom), value=value)


def _crop(x: Tensor, crops: Sequence[int]) -> Tensor:
    top, bottom, left, right = crops
    return x[:, :, top : -bottom or None, left : -right or None]


class PaddedConv(nn.Conv2d):
    """Convolution with zero padding that may differ between opposite sides: Keras's ``same``."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: Sequence[int],
        *,
        stride: Sequence[int] = (1, 1),
        pads: Sequence[int] = (0, 0, 0, 0),
        dilation: Sequence[int] = (1, 1),
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        top, bottom, left, right = pads
        self.uneven = None if (top, left) == (bottom, right) else tuple(pads)
        super().__init__(
            channels_in,
            channels_out,
            _sides(kernel),
            _sides(stride),
            padding=0 if self.uneven else (top, left),
            dilation=_sides(dilation),
            groups=groups,
            bias=bias,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in, H, W) to (B, out, H', W')."""
        return super().forward(_pad(x, self.uneven) if self.uneven else x)


class CroppedConvTranspose(nn.ConvTranspose2d):
    """Transposed convolution whose full output is cropped.

    Keras transposes a forward convolution and crops what that one pads. A kernel smaller than the
    stride needs `more` rows and columns at the end instead.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: Sequence[int],
        *,
        stride: Sequence[int] = (1, 1),
        crops: Sequence[int] = (0, 0, 0, 0),
        more: Sequence[int] = (0, 0),
        bias: bool = True,
    ) -> None:
        top, bottom, left, right = crops
        self.uneven = None if (top, left) == (bottom, right) else tuple(crops)
        super().__init__(
            channels_in,
            channels_out,
            _sides(kernel),
            _sides(stride),
            padding=0 if self.uneven else (top, left),
            output_padding=_sides(more),
            bias=bias,
        )

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map (B, in, H, W) to (B, out, H', W')."""
        full: Tensor = super().forward(x, output_size)
        return _crop(full, self.uneven) if self.uneven else full


class MaxPool(nn.MaxPool2d):
    """Max-pooling; padding is minus infinity."""

    def __init__(
        self, kernel: Sequence[int], *, stride: Sequence[int], pads: Sequence[int] = (0, 0, 0, 0)
    ) -> None:
        super().__init__(_sides(kernel), _sides(stride))
        self.pads = tuple(pads) if any(pads) else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H', W')."""
        pooled: Tensor = super().forward(_pad(x, self.pads, -torch.inf) if self.pads else x)
        return pooled


class ZeroPadding(nn.ZeroPad2d):
    """Zero padding."""

    def __init__(self, pads: Sequence[int]) -> None:
        top, bottom, left, right = pads
        super().__init__((left, right, top, bottom))


class Cropping(nn.Module):
    """Remove rows and columns at each end."""

    def __init__(self, crops: Sequence[int]) -> None:
        super().__init__()
        self.crops = tuple(crops)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H', W')."""
        return _crop(x, self.crops)


class Flatten(nn.Module):
    """Flatten in the order of Keras: channels last."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, H * W * C)."""
        pixels = x.permute(0, 2, 3, 1) if x.shape[1] > 1 else x
        return pixels.flatten(1)


class Reshape(nn.Module):
    """Undo `Flatten`."""

    def __init__(self, height: int, width: int, channels: int) -> None:
        super().__init__()
        self.sides = height, width, channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H * W * C) to (B, C, H, W)."""
        height, width, channels = self.sides
        if channels == 1:
            return x.reshape(-1, 1, height, width)
        return x.reshape(-1, *self.sides).permute(0, 3, 1, 2)


class ChannelScale(nn.Module):
    """A trained factor and offset per channel: batch normalization at inference."""

    def __init__(self, channels: int, *, vector: bool = False) -> None:
        super().__init__()
        shape = (channels,) if vector else (channels, 1, 1)
        self.weight = nn.Parameter(torch.ones(shape))
        self.bias = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W), or (B, N), to the same shape."""
        return x * self.weight + self.bias


class Rescaling(nn.Module):
    """A fixed factor and offset, for all channels or each."""

    factor: Tensor
    offset: Tensor

    def __init__(
        self, factor: float | Sequence[float] = 1.0, offset: float | Sequence[float] = 0.0
    ) -> None:
        super().__init__()
        for name, given in (("factor", factor), ("offset", offset)):
            value = torch.tensor(given, dtype=torch.float32)
            value = value if value.ndim == 0 else value.reshape(-1, 1, 1)
            self.register_buffer(name, value, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W), or (B, N), to the same shape."""
        return x * self.factor + self.offset


class Concatenate(nn.Module):
    """Concatenate channels."""

    def forward(self, *maps: Tensor) -> Tensor:
        """Join maps (B, Ci, H, W) into (B, C, H, W)."""
        return torch.cat(maps, 1)


def average_pool(
    kernel: Sequence[int], *, stride: Sequence[int], pads: Sequence[int] = (0, 0)
) -> nn.Module:
    """Average pooling that does not count padding."""
    return nn.AvgPool2d(_sides(kernel), _sides(stride), _sides(pads), count_include_pad=False)


def upsample(
    factors: Sequence[int], *, mode: Literal["nearest", "bilinear"] = "nearest"
) -> nn.Module:
    """Upsampling by integers: nearest neighbor, or bilinear between pixel centers."""
    rows, columns = factors
    scale = float(rows), float(columns)
    return nn.Upsample(None, scale, mode, align_corners=None if mode == "nearest" else False)


def relu(most: float | None = None) -> nn.Module:
    """ReLU with an optional upper limit; unlike `layers.relu`, it does not change its input."""
    return nn.ReLU() if most is None else nn.Hardtanh(0.0, most)
