"""From a model file back into a network: to start from its weights, or to have it alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from autodenoise import nets
from autodenoise.errors import InputError, UsageError
from autodenoise.nets.residual_unet import ResidualUNet, grown, with_channels
from autodenoise.runtime import Model, checking

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from autodenoise.nets import Autoencoder
    from autodenoise.runtime import Card

__all__ = ["revive", "start_from"]

_BIAS = ".bias"


def start_from(path: Path, network: Autoencoder) -> Card:
    """Put a model file's weights into a network of the same architecture; give its card.

    A "unet" may have been trained on another number of channels, and may be smaller.

    Raises
    ------
    InputError
        There is no such file, it is damaged, or holds another network's weights.
    """
    content, card = _read(path)
    weights = _weights(content, network)
    try:
        if isinstance(network, ResidualUNet) and card.network == "unet":
            weights = with_channels(weights, card.channels, network.channels)
            weights = grown(weights, network.state_dict())
        network.load_state_dict(weights)
    except (KeyError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{path} cannot be started from: {reason}") from None
    return card


def revive(path: Path) -> tuple[Autoencoder, Card]:
    """Make the network of a model file anew, by its card; give both.

    Raises
    ------
    InputError
        There is no such file, it is damaged, or its card and its weights are not of one network.
    """
    content, card = _read(path)
    if card.network not in nets.NETWORKS:
        raise InputError(f"{path} holds a network that is not known: {card.network}")
    try:
        with torch.device("meta"):
            # Before it takes memory.
            told = nets.NETWORKS[card.network](**card.arguments)
        _check_fit(told, _weights(content, told))
        network = nets.build(card.network, card.arguments, torch.Generator().manual_seed(0)).eval()
        # The exporter leaves out what adds nothing.
        biases = {
            name: torch.zeros_like(weight)
            for name, weight in network.named_parameters()
            if name.endswith(_BIAS)
        }
        network.load_state_dict(biases | _weights(content, network))
        _compare(network, Model(path))
    except (ArithmeticError, KeyError, RuntimeError, TypeError, UsageError, ValueError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"the network of {path} cannot be made anew: {reason}") from None
    return network, card


def _check_fit(network: Autoencoder, weights: Mapping[str, Tensor]) -> None:
    """Check that weights are those of a network, but for biases."""
    for name, weight in network.named_parameters():
        found = weights.get(name)
        if not name.endswith(_BIAS) and (found is None or found.shape != weight.shape):
            raise ValueError("its weights are not those that its card tells of")


@torch.no_grad()
def _compare(network: Autoencoder, model: Model) -> None:
    """Check that a network answers as its model file: it may say one thing and do another."""
    card = model.card
    sides = card.size or [-(-64 // card.size_multiple) * card.size_multiple] * 2
    noisy = torch.rand(1, card.channels, *sides, generator=torch.Generator().manual_seed(0))
    alive = network.denoise(noisy).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    if not np.allclose(alive, model.batch(noisy.permute(0, 2, 3, 1).numpy()), atol=1e-3):
        raise ValueError("it answers otherwise than its card says")


def _read(path: Path) -> tuple[bytes, Card]:
    content, card = checking.read(path)
    if card.precision != "float32":
        raise InputError(f"{path} is in {card.precision}; take the file in float32")
    return content, card


def _weights(content: bytes, network: Autoencoder) -> dict[str, Tensor]:
    # The exporter keeps the names of the weights, below that of the network it was given; and those
    # of numbers that follow from the network's arguments.
    start = "network."
    fixed = {f"{start}{name}" for name, _ in network.named_buffers()}
    return {
        tensor.name.removeprefix(start): torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load_from_string(content).graph.initializer
        if tensor.name.startswith(start) and tensor.name not in fixed
    }
