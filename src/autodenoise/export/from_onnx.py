"""Model files back into networks: to start training from their weights, or to run them in torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from autodenoise import nets
from autodenoise.errors import InputError, UsageError
from autodenoise.nets import Autoencoder
from autodenoise.nets.residual_unet import ResidualUNet, change_channels, grow
from autodenoise.runtime import Card, Model, model_file

__all__ = ["initialize_from", "load_network"]

_BIAS = ".bias"


def initialize_from(path: Path, network: Autoencoder) -> Card:
    """Load a model file's weights into a network of the same architecture; return its card.

    The model of a "unet" may have another number of channels, and may be smaller. Raise InputError
    if the file is missing or damaged, or has the weights of another network.
    """
    content, card = _read(path)
    weights = _weights(content, network)
    try:
        if isinstance(network, ResidualUNet) and card.network == "unet":
            weights = change_channels(weights, card.channels, network.channels)
            weights = grow(weights, network.state_dict())
        network.load_state_dict(weights)
    except (KeyError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"cannot start from {path}: {reason}") from None
    return card


def load_network(path: Path) -> tuple[Autoencoder, Card]:
    """Return the network of a model file, built from its card, and the card.

    Raise InputError if the file is missing or damaged, or its card does not match its weights.
    """
    content, card = _read(path)
    if card.network not in nets.NETWORKS:
        raise InputError(f"{path} has an unknown network: {card.network}")
    try:
        with torch.device("meta"):
            # Compare shapes before memory is allocated.
            described = nets.NETWORKS[card.network](**card.arguments)
        _check_shapes(described, _weights(content, described))
        network = nets.build(card.network, card.arguments, torch.Generator().manual_seed(0)).eval()
        # The exporter drops biases that are zero.
        biases = {
            name: torch.zeros_like(weight)
            for name, weight in network.named_parameters()
            if name.endswith(_BIAS)
        }
        network.load_state_dict(biases | _weights(content, network))
        _check_output(network, Model(path))
    except (ArithmeticError, KeyError, RuntimeError, TypeError, UsageError, ValueError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"the network of {path} cannot be rebuilt: {reason}") from None
    return network, card


def _check_shapes(network: Autoencoder, weights: Mapping[str, Tensor]) -> None:
    """Check that weights fit a network, except for missing biases."""
    for name, weight in network.named_parameters():
        found = weights.get(name)
        if not name.endswith(_BIAS) and (found is None or found.shape != weight.shape):
            raise ValueError("its weights do not fit the network on its card")


@torch.no_grad()
def _check_output(network: Autoencoder, model: Model) -> None:
    """Check that a network's output is that of its model file, whose card may be wrong."""
    card = model.card
    sides = card.size or [-(-64 // card.size_multiple) * card.size_multiple] * 2
    noisy = torch.rand(1, card.channels, *sides, generator=torch.Generator().manual_seed(0))
    output = network.denoise(noisy).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    if not np.allclose(output, model.batch(noisy.permute(0, 2, 3, 1).numpy()), atol=1e-3):
        raise ValueError("its output is not that of the network on its card")


def _read(path: Path) -> tuple[bytes, Card]:
    content, card = model_file.read(path)
    if card.precision != "float32":
        raise InputError(f"{path} is in {card.precision}; use the float32 file")
    return content, card


def _weights(content: bytes, network: Autoencoder) -> dict[str, Tensor]:
    # The exporter keeps the names of weights, and of constants that follow from the arguments.
    prefix = "network."
    constants = {f"{prefix}{name}" for name, _ in network.named_buffers()}
    return {
        tensor.name.removeprefix(prefix): torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load_from_string(content).graph.initializer
        if tensor.name.startswith(prefix) and tensor.name not in constants
    }
