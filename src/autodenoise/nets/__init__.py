"""Networks: the tutorials' autoencoders and our own, by name."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from autodenoise.errors import UsageError
from autodenoise.nets.autoencoder import Autoencoder
from autodenoise.nets.keras_layers import ACTIVATIONS, Rescaling
from autodenoise.nets.layered import LayeredAutoencoder
from autodenoise.nets.residual_unet import ResidualUNet
from autodenoise.nets.tutorials import (
    BlurAutoencoder,
    BottleneckAutoencoder,
    ConvAutoencoder,
    DeepBottleneckAutoencoder,
    DenseAutoencoder,
    MaxNormAutoencoder,
)
from autodenoise.nets.unet import SwiftAutoencoder

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "NETWORKS",
    "Autoencoder",
    "build",
    "code_shape",
    "halo",
    "minimum_side",
    "parameter_count",
]

NETWORKS: dict[str, type[Autoencoder]] = {
    "conv": ConvAutoencoder,
    "dense": DenseAutoencoder,
    "maxnorm": MaxNormAutoencoder,
    "blur": BlurAutoencoder,
    "bottleneck": BottleneckAutoencoder,
    "deep-bottleneck": DeepBottleneckAutoencoder,
    "swift": SwiftAutoencoder,
    "unet": ResidualUNet,
    "layers": LayeredAutoencoder,
}
"""The name of each architecture, as recipes and model cards write it."""


def build(name: str, arguments: Mapping[str, Any], generator: torch.Generator) -> Autoencoder:
    """Make a network of `NETWORKS` with freshly drawn weights, on the CPU.

    Parameters
    ----------
    name
        A key of `NETWORKS`.
    arguments
        Keywords of its class.
    generator
        Of the CPU; the only source of the weights.
    """
    # Torch's layers draw weights as they are made; ours come from the generator alone.
    with torch.random.fork_rng(devices=[]):
        network = NETWORKS[name](**arguments)
    network.arguments = dict(arguments)
    network.initialize(generator)
    return network


def parameter_count(network: Autoencoder) -> int:
    """Count the trainable numbers."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def code_shape(network: Autoencoder, shape: tuple[int, int, int]) -> tuple[int, ...] | None:
    """Give the shape of one image's code; None if the decoder gets more than one tensor.

    Parameters
    ----------
    network
        The autoencoder.
    shape
        (channels, height, width) of the image.
    """
    code = network.encoder(torch.zeros(1, *shape))
    return tuple(code.shape[1:]) if isinstance(code, torch.Tensor) else None


@torch.no_grad()
def minimum_side(network: Autoencoder) -> int:
    """Give a side that is long enough, if not the shortest: unpadded kernels need some room.

    Parameters
    ----------
    network
        One that takes images of any size.

    Raises
    ------
    UsageError
        It takes no image whose sides are multiples of its own.
    """
    multiple = network.multiple or 1
    side = multiple
    # Far beyond what kernels of any sense need; larger images take minutes to find that out.
    while side <= max(2048, 2 * multiple):
        if side >= 8 and _fits(network, side):
            return side
        side *= 2
    raise UsageError(f"the network works on no images whose sides are multiples of {multiple}")


def _fits(network: Autoencoder, side: int) -> bool:
    weight = next(network.parameters())
    try:
        network(weight.new_zeros(1, network.channels, side, side))
    except RuntimeError:
        # torch's word for a map that is smaller than the kernel on it.
        return False
    return True


@torch.no_grad()
def halo(network: Autoencoder) -> int | None:
    """Give how many pixels away an input can still change an output; None if the size is fixed.

    Found by probing: with all weights positive and biases zero, every layer here (convolution,
    pooling, ReLU, enlargement, sum) is monotonic, so a single bright line on black lights up
    exactly the outputs that can see it. What changes each value by itself sees no further, and is
    left out, as it may be flat or give light for black. Each offset within one size multiple is
    tried, since strided layers see differently from each.
    """
    multiple = network.multiple
    if multiple is None:
        return None
    # Doubles: the brightness grows a hundredfold with each layer.
    probe = copy.deepcopy(network).double().cpu()
    probe.black, probe.white = 0.0, 1.0
    for name, parameter in probe.named_parameters():
        parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    for module in list(probe.modules()):
        for name, part in module.named_children():
            if isinstance(part, (*ACTIVATIONS, Rescaling)):
                setattr(module, name, nn.Identity())
    width = minimum_side(network)
    side = 16 * multiple + 2 * width
    # Light at the end of the strip may have gone on beyond it, and what unpadded kernels take
    # there, less than a width, may have become dark.
    while (reach := _reach(probe, multiple, side, width)) >= side // 2 - multiple - width:
        side *= 2
    return reach


def _reach(probe: Autoencoder, multiple: int, side: int, width: int) -> int:
    reach = 0
    # One after the other: all at once, the maps of a deep network would be gigabytes.
    for at in range(side // 2, side // 2 + multiple):
        # A strip tells as much as a square.
        line = torch.zeros(1, probe.channels, side, width, dtype=torch.double)
        line[:, :, at] = 1
        lit = probe(line).sum((0, 1, 3)) + probe(line.transpose(2, 3)).sum((0, 1, 2))
        reach = max(reach, int((lit.nonzero() - at).abs().max()))
    return reach
