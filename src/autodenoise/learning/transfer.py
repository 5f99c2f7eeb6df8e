"""Starting from the weights of a model file instead of random ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import torch
from onnx import numpy_helper

from autodenoise.errors import InputError
from autodenoise.nets.residual_unet import ResidualUNet, with_channels
from autodenoise.runtime import checking

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from autodenoise.nets import Autoencoder
    from autodenoise.runtime import Card

__all__ = ["start_from"]


def start_from(path: Path, network: Autoencoder) -> Card:
    """Put a model file's weights into a network of the same architecture; give its card.

    A "unet" may have been trained on another number of channels.

    Raises
    ------
    InputError
        There is no such file, it is damaged, or holds another network's weights.
    """
    content, card = checking.read(path)
    if card.precision != "float32":
        raise InputError(f"{path} is in {card.precision}; start from the file in float32")
    weights = _weights(content)
    try:
        if isinstance(network, ResidualUNet) and card.network == "unet":
            weights = with_channels(weights, card.channels, network.channels)
        network.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{path} cannot be started from: {reason}") from None
    return card


def _weights(content: bytes) -> dict[str, Tensor]:
    # The exporter keeps the names of the weights, below that of the network it was given.
    start = "network."
    return {
        tensor.name.removeprefix(start): torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load_from_string(content).graph.initializer
        if tensor.name.startswith(start)
    }
