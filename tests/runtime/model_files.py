"""Small model files with a known answer, made without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from autodenoise import runtime

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["box_blur", "identity"]


def identity(
    path: Path, *, size: tuple[int, int] | None = None, multiple: int = 1, channels: int = 1
) -> Path:
    """Write a model file that answers with what it is given."""
    # Without bounds. Identity itself is in none of our networks, and refused.
    node = helper.make_node("Clip", ["noisy"], ["clean"])
    card = runtime.Card(
        name="same",
        network="same",
        channels=channels,
        parameters=0,
        size=size,
        size_multiple=multiple,
        halo=0,
    )
    return _write(path, card, [node])


def box_blur(
    path: Path,
    *,
    size: tuple[int, int] | None = None,
    multiple: int = 4,
    channels: int = 1,
    radius: int = 1,
) -> Path:
    """Write a model file that takes means, of 3x3 pixels by default, with zeros around."""
    side = 2 * radius + 1
    kernel = np.zeros((channels, channels, side, side), np.float32)
    kernel[range(channels), range(channels)] = 1 / side**2
    weight = helper.make_tensor("kernel", TensorProto.FLOAT, kernel.shape, kernel.tobytes(), True)
    node = helper.make_node("Conv", ["noisy", "kernel"], ["clean"], pads=[radius] * 4)
    card = runtime.Card(
        name="box",
        network="box",
        channels=channels,
        parameters=side**2,
        size=size,
        size_multiple=multiple,
        halo=radius,
    )
    return _write(path, card, [node], [weight])


def _write(path: Path, card: runtime.Card, nodes: list[Any], weights: Sequence[Any] = ()) -> Path:
    shape = ["n", card.channels, *(card.size or ("h", "w"))]
    noisy, clean = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("noisy", "clean")
    )
    graph = helper.make_graph(nodes, card.name, [noisy], [clean], weights)
    opset = helper.make_opsetid("", 20)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    helper.set_model_props(model, {runtime.CARD_KEY: card.to_json()})
    onnx.save(model, path)
    return path
