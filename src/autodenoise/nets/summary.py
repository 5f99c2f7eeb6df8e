"""A network's layers in order, with shapes, parameters and multiply-adds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from autodenoise.nets.autoencoder import Autoencoder
from autodenoise.nets.keras_layers import ACTIVATIONS
from autodenoise.nets.layers import PadToMultiple

__all__ = ["LayerSummary", "NetworkSummary", "format_shape", "summarize"]


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a `NetworkSummary`, such as ``"Conv 3x3 same + ReLU"``.

    `inputs` are the indices of the layers whose outputs it takes; empty for the image itself. The
    shape of its output is (C, H, W), or (N,) after flattening. Multiply-adds are for one image,
    including those with padding zeros, without biases, sums and activations.
    """

    operation: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    parameters: int = 0
    multiply_adds: int = 0


@dataclass(frozen=True)
class NetworkSummary:
    """A network's layers, in order of computation; the first is the image.

    `code` are the indices of those that the encoder passes to the decoder: the code, preceded by
    any skip connections.
    """

    layers: tuple[LayerSummary, ...]
    code: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one image."""
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def code_size(self) -> int:
        """Number of values that the encoder passes to the decoder."""
        return sum(math.prod(self.layers[row].shape) for row in self.code)

    @property
    def code_description(self) -> str:
        """The size of the code in words: ``"2x2x4 = 16 numbers for 784 pixels"``."""
        sizes = " + ".join(format_shape(self.layers[row].shape) for row in self.code)
        equals = "" if sizes == str(self.code_size) else f"{sizes} = "
        image = self.layers[0].shape
        unit = "pixels" if image[0] == 1 else "values"
        words = f"{equals}{self.code_size:,} numbers for {math.prod(image):,} {unit}"
        return words if self.code_size < math.prod(image) else f"{words}, no bottleneck"


def format_shape(shape: tuple[int, ...]) -> str:
    """Format a shape in Keras's order, channels last: ``"28x28x32"``."""
    return "x".join(str(size) for size in (*shape[1:], shape[0]))


@torch.no_grad()
def summarize(network: Autoencoder, shape: tuple[int, int, int]) -> NetworkSummary:
    """Run a network on zeros and record each layer.

    An activation is part of the layer that it follows. Networks here pool before the ReLU, which
    equals the tutorials' order since maximum and ReLU commute. The sigmoid of `Autoencoder.denoise`
    is part of the last layer if the network returns logits.

    Layers are linked by the identity of their input and output tensors, so every operation between
    input and output has to be a module. The shape is (channels, height, width).
    """
    layers = [LayerSummary("Image", (), shape)]
    image = next(network.parameters()).new_zeros(1, *shape)
    # The layer of each tensor. Tensors are kept alive, since ids of freed ones are reused.
    rows: dict[int, int] = {id(image): 0}
    alive = [image]
    code: list[int] = []

    def record(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        sources = tuple(rows[id(value)] for value in inputs if isinstance(value, Tensor))
        if isinstance(module, ACTIVATIONS):
            (row,) = sources
            words = _activation(module)
            layers[row] = replace(layers[row], operation=f"{layers[row].operation} + {words}")
        else:
            row = len(layers)
            layers.append(
                LayerSummary(
                    operation=_operation(module, inputs[0], output),
                    inputs=sources,
                    shape=tuple(output.shape[1:]),
                    parameters=sum(parameter.numel() for parameter in module.parameters()),
                    multiply_adds=_multiply_adds(module, inputs[0], output),
                )
            )
        rows[id(output)] = row
        alive.append(output)

    def record_code(_module: nn.Module, _inputs: object, output: Tensor | list[Tensor]) -> None:
        values = [output] if isinstance(output, Tensor) else output
        code.extend(rows[id(value)] for value in values)

    hooks = [
        module.register_forward_hook(record)
        for module in network.modules()
        if not list(module.children())
    ]
    hooks.append(network.encoder.register_forward_hook(record_code))
    try:
        network(image)
    finally:
        for hook in hooks:
            hook.remove()
    if network.answers == "logits":
        layers[-1] = replace(layers[-1], operation=f"{layers[-1].operation} + sigmoid")
    return NetworkSummary(tuple(layers), tuple(code))


def _multiply_adds(module: nn.Module, x: Tensor, y: Tensor) -> int:
    if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        return 0
    # A convolution applies its kernel at every output, a transposed one at every input.
    at = x if isinstance(module, nn.ConvTranspose2d) else y
    return module.weight.numel() * math.prod(at.shape[2:])


def _operation(module: nn.Module, x: Tensor, y: Tensor) -> str:
    match module:
        case nn.Conv2d():
            return f"Conv {_kernel(module, x, y)}"
        case nn.ConvTranspose2d():
            # It is the transpose of a convolution from y to x.
            return f"ConvTranspose {_kernel(module, y, x)}"
        case nn.MaxPool2d():
            return f"MaxPool {_window(module)}"
        case nn.AvgPool2d():
            return f"AveragePool {_window(module)}"
        case nn.Upsample():
            factors = _two(module.scale_factor)
            times = factors if len(set(factors)) > 1 else factors[:1]
            return f"Upsample x{'x'.join(f'{factor:g}' for factor in times)}, {module.mode}"
        case nn.Linear():
            return "Dense"
        case nn.Unflatten():
            return "Reshape"
        case nn.PixelUnshuffle():
            return f"PixelUnshuffle {module.downscale_factor}"
        case nn.PixelShuffle():
            return f"PixelShuffle {module.upscale_factor}"
        case PadToMultiple():
            return f"Pad to multiples of {module.multiple}"
        case _:
            return type(module).__name__


def _activation(module: nn.Module) -> str:
    match module:
        case nn.Sigmoid() | nn.Tanh():
            return type(module).__name__.lower()
        case nn.Hardtanh():
            return f"ReLU up to {module.max_val:g}"
        case _:
            return type(module).__name__


def _two(sides: Any) -> tuple[Any, Any]:
    return sides if isinstance(sides, tuple) else (sides, sides)


def _window(pool: nn.MaxPool2d | nn.AvgPool2d) -> str:
    kernel, stride = _two(pool.kernel_size), _two(pool.stride)
    words = f"{kernel[0]}x{kernel[1]}"
    return words if stride == kernel else f"{words} stride {stride[0]}"


def _kernel(layer: nn.Conv2d | nn.ConvTranspose2d, large: Tensor, small: Tensor) -> str:
    """Return kernel, stride and padding in Keras's words."""
    (rows, columns), (stride, _) = layer.kernel_size, layer.stride
    words = f"{rows}x{columns}"
    if stride > 1:
        words += f" stride {stride}"
    if max(layer.dilation) > 1:
        words += f" dilation {max(layer.dilation)}"
    # Kernels that do not overlap need no padding.
    if rows > stride:
        same = small.shape[2] == math.ceil(large.shape[2] / stride)
        words += " same" if same else " valid"
    return words
