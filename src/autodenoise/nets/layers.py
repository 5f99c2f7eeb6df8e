"""Building blocks with Keras's semantics in torch's layout.

Tensors are (B, C, H, W). Convolution weights are torch's: (out, in, kh, kw) for `Conv`,
(in, out, kh, kw) for `ConvTranspose`, where Keras has (kh, kw, in, out) and (kh, kw, out, in).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional, grad

__all__ = [
    *("Add", "CenterCrop", "Conv", "ConvTranspose", "PadToMultiple", "clip_kernel_columns"),
    *("glorot_uniform_", "he_uniform_", "pool", "relu", "upsample"),
]


class Conv(nn.Conv2d):
    """Convolution of stride 1; ``same`` keeps the size with zeros around, ``valid`` adds none."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int = 3, *, valid: bool = False
    ) -> None:
        super().__init__(channels_in, channels_out, kernel, padding=0 if valid else kernel // 2)


class ConvTranspose(nn.ConvTranspose2d):
    """Transposed convolution, kernel 3: with stride 2 twice the size, like Keras's ``same``.

    The full output of stride 2 and kernel 3 has 2n + 1 rows and columns. Keras takes the transpose
    of a forward ``same`` convolution, whose one row of padding lies at the end, so the last row
    and column are removed. torch's padding can only crop both ends equally.

    With stride 1 this is Keras's ``valid``: n + 2 rows and columns.
    """

    def __init__(self, channels_in: int, channels_out: int, *, stride: Literal[1, 2] = 1) -> None:
        super().__init__(channels_in, channels_out, 3, stride)
        self.crop = stride > 1

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map (B, in, H, W) to (B, out, H', W')."""
        # Autocast converts weights to bfloat16 for torch's own operators only.
        fast = x.is_cpu and self.training and not torch.is_autocast_enabled("cpu")
        if fast and not torch.compiler.is_exporting():
            assert self.bias is not None
            result: Tensor = _TransposeOnCpu.apply(x, self.weight, self.bias, self.stride[0])  # type: ignore[no-untyped-call]
            return result
        full = super().forward(x, output_size)
        return full[:, :, :-1, :-1] if self.crop else full


class _TransposeOnCpu(torch.autograd.Function):
    """The same transposed convolution through oneDNN, which trains 1.5 times as fast.

    torch runs transposed convolutions on the CPU with its own matrix products, in row-major memory.
    Their forward pass is also a convolution's gradient with respect to its input, which torch runs
    with oneDNN, channels last; and their gradients are a convolution and its weight gradient.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        height, width = (stride * (side - 1) + weight.shape[2] for side in x.shape[2:])
        # Only its shape and layout matter.
        shape = (len(x), weight.shape[1], height, width)
        image = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
        wanted = [True, False, False]
        full: Tensor = torch.ops.aten.convolution_backward(
            x, image, weight, None, [stride] * 2, [0, 0], [1, 1], False, [0, 0], 1, wanted
        )[0]
        full.add_(bias.view(-1, 1, 1))
        # Not a view if stride is 1: autograd forbids in-place changes of a returned view.
        return full if stride == 1 else full[:, :, : 1 - stride, : 1 - stride]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        batch, channels, height, width = gradient.shape
        # Padded by hand: functional.pad would fill the whole image with zeros first.
        shape = (batch, channels, height + ctx.stride - 1, width + ctx.stride - 1)
        full = torch.empty(shape, dtype=gradient.dtype, memory_format=torch.channels_last)
        full[:, :, height:] = 0
        full[:, :, :, width:] = 0
        full[:, :, :height, :width] = gradient
        for_x = functional.conv2d(full, weight, stride=ctx.stride)
        for_weight = grad.conv2d_weight(full, weight.shape, x, ctx.stride)  # type: ignore[no-untyped-call]
        return for_x, for_weight, gradient.sum((0, 2, 3)), None


class Add(nn.Module):
    """The sum of two feature maps, for skip connections."""

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Add (B, C, H, W) and another of that shape."""
        return x + skip


class PadToMultiple(nn.Module):
    """Zero padding of (B, C, H, W), centered, to the next multiple of both sides."""

    def __init__(self, multiple: int) -> None:
        super().__init__()
        self.multiple = multiple

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H', W')."""
        down, right = -x.shape[2] % self.multiple, -x.shape[3] % self.multiple
        return functional.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))


class CenterCrop(nn.Module):
    """The center of (B, C, H, W), to undo `PadToMultiple`."""

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """Map (B, C, H, W) to (B, C, height, width)."""
        top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
        return x[:, :, top : top + height, left : left + width]


def relu() -> nn.Module:
    """In-place ReLU; every use follows a layer that does not need its output again."""
    return nn.ReLU(inplace=True)


def pool() -> nn.Module:
    """Max-pooling by 2, ``same``: an odd last row or column is pooled alone.

    Networks here pool before the ReLU. Maximum and ReLU are both monotonic, so they commute, and a
    quarter of the values remains for the ReLU.
    """
    return nn.MaxPool2d(2, ceil_mode=True)


def upsample() -> nn.Module:
    """Nearest-neighbor upsampling by 2."""
    return nn.Upsample(scale_factor=2, mode="nearest")


def glorot_uniform_(network: nn.Module, generator: torch.Generator) -> None:
    """Draw Keras's defaults: Glorot uniform kernels and zero biases."""
    _initialize(network, nn.init.xavier_uniform_, generator=generator)


def he_uniform_(network: nn.Module, generator: torch.Generator) -> None:
    """Draw He uniform kernels and zero biases.

    Keras reads the fan-in from the last but one axis of the kernel, which for a transposed
    convolution is the number of *output* channels; torch's second axis is that same number.
    """
    _initialize(network, nn.init.kaiming_uniform_, nonlinearity="relu", generator=generator)


def _weighted(network: nn.Module) -> list[nn.Conv2d | nn.ConvTranspose2d | nn.Linear]:
    kinds = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
    return [layer for layer in network.modules() if isinstance(layer, kinds)]


def _initialize(network: nn.Module, draw: Callable[..., Tensor], **options: Any) -> None:
    for layer in _weighted(network):
        draw(layer.weight, **options)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


@torch.no_grad()
def clip_kernel_columns(network: nn.Module, limit: float) -> None:
    """Apply Keras's ``max_norm(limit)`` with its default axis 0 to every kernel, in place.

    Axis 0 of a Keras kernel is its *height*, so the norm is taken over kh alone, for each column,
    input and output channel: axis 2 here.
    """
    for layer in _weighted(network):
        weight = layer.weight
        norm = weight.square().sum(2, keepdim=True).sqrt_()
        weight.mul_(norm.clamp(max=limit) / (norm + 1e-7))
