"""The layers of Keras that a network may be put together from, in torch's layout.

Tensors are (B, C, H, W), or (B, N) where the layout of the image is gone. Sides come as (rows,
columns), what lies around a map as (top, bottom, left, right). Padding is given in numbers: Keras's
words ``same`` and ``valid`` mean others for each size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ACTIVATIONS",
    "AveragePool",
    "ChannelScale",
    "Concatenate",
    "CroppedConvTranspose",
    "Cropping",
    "Flatten",
    "MaxPool",
    "PaddedConv",
    "Rescaling",
    "Reshape",
    "Upsample",
    "ZeroPadding",
    "rectify",
]

ACTIVATIONS = (
    nn.ELU,
    nn.Hardtanh,
    nn.LeakyReLU,
    nn.ReLU,
    nn.SELU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Tanh,
)
"""What changes each value by itself, and has neither weights nor a scale."""

_Sides = tuple[int, int]


def _sides(values: Sequence[int]) -> _Sides:
    rows, columns = values
    return rows, columns


def _pad(x: Tensor, pads: Sequence[int], value: float = 0.0) -> Tensor:
    top, bottom, left, right = pads
    return functional.pad(x, (left, right, top, bottom), value=value)


def _cut(x: Tensor, crops: Sequence[int]) -> Tensor:
    top, bottom, left, right = crops
    return x[:, :, top : -bottom or None, left : -right or None]


class PaddedConv(nn.Conv2d):
    """Convolution with zeros around, of which there may be more at one end: Keras's ``same``."""

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
    """Transposed convolution whose full output loses some rows and columns at each end.

    Keras takes the transpose of a forward convolution, and crops what that one pads. Where kernels
    leave gaps, rows and columns are added at the end instead: `more` of them.
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
        return _cut(full, self.uneven) if self.uneven else full


class MaxPool(nn.MaxPool2d):
    """The largest value under a window; what lies around the map is never the largest."""

    def __init__(
        self,
        kernel: Sequence[int],
        *,
        stride: Sequence[int],
        pads: Sequence[int] = (0, 0, 0, 0),
    ) -> None:
        super().__init__(_sides(kernel), _sides(stride))
        self.pads = tuple(pads) if any(pads) else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H', W')."""
        pooled: Tensor = super().forward(_pad(x, self.pads, -torch.inf) if self.pads else x)
        return pooled


class AveragePool(nn.AvgPool2d):
    """The mean under a window, of what lies within the map."""

    def __init__(
        self, kernel: Sequence[int], *, stride: Sequence[int], pads: Sequence[int] = (0, 0)
    ) -> None:
        super().__init__(_sides(kernel), _sides(stride), _sides(pads), count_include_pad=False)


class Upsample(nn.Upsample):
    """Enlargement by whole numbers: nearest neighbour, or linear between pixels' centres."""

    def __init__(
        self, factors: Sequence[int], *, mode: Literal["nearest", "bilinear"] = "nearest"
    ) -> None:
        rows, columns = factors
        super().__init__(
            scale_factor=(float(rows), float(columns)),
            mode=mode,
            align_corners=None if mode == "nearest" else False,
        )


class ZeroPadding(nn.Module):
    """Zeros around a map."""

    def __init__(self, pads: Sequence[int]) -> None:
        super().__init__()
        self.pads = tuple(pads)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H', W')."""
        return _pad(x, self.pads)


class Cropping(nn.Module):
    """A map without some rows and columns at each end."""

    def __init__(self, crops: Sequence[int]) -> None:
        super().__init__()
        self.crops = tuple(crops)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H', W')."""
        return _cut(x, self.crops)


class Flatten(nn.Module):
    """A map as a row of values, pixel by pixel as Keras has them: the channels come last."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, H * W * C)."""
        pixels = x.permute(0, 2, 3, 1) if x.shape[1] > 1 else x
        return pixels.flatten(1)


class Reshape(nn.Module):
    """A row of values as a map: what `Flatten` has made of it, undone."""

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
    """A trained factor and offset for each channel: batch normalisation as it is at inference."""

    def __init__(self, channels: int, *, vector: bool = False) -> None:
        super().__init__()
        shape = (channels,) if vector else (channels, 1, 1)
        self.weight = nn.Parameter(torch.ones(shape))
        self.bias = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W), or (B, N), to the same shape."""
        return x * self.weight + self.bias


class Rescaling(nn.Module):
    """A fixed factor and offset: one, or one for each channel."""

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
    """The channels of several maps, one after the other."""

    def forward(self, *maps: Tensor) -> Tensor:
        """Join maps (B, Ci, H, W) into (B, C, H, W)."""
        return torch.cat(maps, 1)


def rectify(most: float | None = None) -> nn.Module:
    """ReLU, that may have an upper end; unlike `layers.relu` it leaves its input as it was."""
    return nn.ReLU() if most is None else nn.Hardtanh(0.0, most)
