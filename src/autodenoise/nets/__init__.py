"""Networks: the tutorials' autoencoders, our own and imported ones, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from autodenoise.nets import tutorials
from autodenoise.nets.autoencoder import Autoencoder
from autodenoise.nets.layered import LayeredAutoencoder
from autodenoise.nets.receptive_field import halo, minimum_side
from autodenoise.nets.residual_unet import ResidualUNet
from autodenoise.nets.unet import SwiftAutoencoder

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
    "conv": tutorials.ConvAutoencoder,
    "dense": tutorials.DenseAutoencoder,
    "maxnorm": tutorials.MaxNormAutoencoder,
    "blur": tutorials.BlurAutoencoder,
    "bottleneck": tutorials.BottleneckAutoencoder,
    "deep-bottleneck": tutorials.DeepBottleneckAutoencoder,
    "swift": SwiftAutoencoder,
    "unet": ResidualUNet,
    "layers": LayeredAutoencoder,
}
"""The registry of networks, by the name in recipes and model cards."""


def build(name: str, arguments: Mapping[str, Any], generator: torch.Generator) -> Autoencoder:
    """Build a network of `NETWORKS` on the CPU, with weights drawn from `generator` alone.

    >>> network = build("conv", {"channels": 3}, torch.Generator().manual_seed(0))
    >>> network(torch.zeros(1, 3, 28, 28)).shape
    torch.Size([1, 3, 28, 28])
    """
    # Constructors of torch's layers draw weights from the global state; restore it.
    with torch.random.fork_rng(devices=[]):
        network = NETWORKS[name](**arguments)
    network.arguments = dict(arguments)
    network.initialize(generator)
    return network


def parameter_count(network: Autoencoder) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def code_shape(network: Autoencoder, shape: tuple[int, int, int]) -> tuple[int, ...] | None:
    """Return the shape of the code of a (channels, height, width) image; None with skips."""
    code = network.encoder(torch.zeros(1, *shape))
    return tuple(code.shape[1:]) if isinstance(code, torch.Tensor) else None
