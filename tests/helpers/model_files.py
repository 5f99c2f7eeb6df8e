"""Small model files with known outputs, written without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from autodenoise import runtime
from autodenoise.errors import InputError
from autodenoise.runtime import model_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = [
    "assert_input_error",
    "box_blur",
    "gains",
    "identity",
    "int8_blur",
    "mosaic",
    "ratio",
]


def identity(
    path: Path, *, size: tuple[int, int] | None = None, multiple: int = 1, channels: int = 1
) -> Path:
    """Write a model file that returns its input."""
    # Clip without bounds, because the operator Identity is not supported.
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
    """Write a model file that computes means of 3x3 pixels by default, padded with zeros."""
    side = 2 * radius + 1
    kernel = np.zeros((channels, channels, side, side), np.float32)
    kernel[range(channels), range(channels)] = 1 / side**2
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
    return _write(path, card, [node], [_weight("kernel", kernel)])


def int8_blur(path: Path) -> Path:
    """Write a model file that computes means of 3x3 pixels in 8 bits, within 0.5 %."""
    range_ = [_weight("step", np.float32(1 / 255)), _weight("black", np.uint8(0))]
    kernel = [
        _weight("kernel", np.full((1, 1, 3, 3), 127, np.int8)),
        _weight("kernel.step", np.array([1 / 9 / 127], np.float32)),
        _weight("kernel.zero", np.zeros(1, np.int8)),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["noisy", "step", "black"], ["bytes"]),
        helper.make_node("DequantizeLinear", ["bytes", "step", "black"], ["rounded"]),
        helper.make_node(
            "DequantizeLinear", ["kernel", "kernel.step", "kernel.zero"], ["mean"], axis=0
        ),
        helper.make_node("Conv", ["rounded", "mean"], ["exact"], pads=[1] * 4),
        helper.make_node("QuantizeLinear", ["exact", "step", "black"], ["output"]),
        helper.make_node("DequantizeLinear", ["output", "step", "black"], ["clean"]),
    ]
    card = runtime.Card(
        name="box-int8",
        network="box",
        channels=1,
        parameters=9,
        size_multiple=4,
        halo=1,
        precision="int8",
    )
    return _write(path, card, nodes, [*range_, *kernel])


def mosaic(path: Path, *, multiple: int, channels: int = 1) -> Path:
    """Write a model file that replaces each square with side `multiple` by its mean."""
    one = np.zeros((channels, channels, multiple, multiple), np.float32)
    one[range(channels), range(channels)] = 1
    nodes = [
        helper.make_node(operator, [source, kernel], [result], strides=[multiple] * 2)
        for operator, source, kernel, result in (
            ("Conv", "noisy", "mean", "small"),
            ("ConvTranspose", "small", "one", "clean"),
        )
    ]
    weights = [_weight("mean", one / np.float32(multiple**2)), _weight("one", one)]
    card = runtime.Card(
        name="mosaic",
        network="mosaic",
        channels=channels,
        parameters=0,
        size_multiple=multiple,
        halo=multiple - 1,
    )
    return _write(path, card, nodes, weights)


def gains(path: Path, factors: Sequence[float]) -> Path:
    """Write a model file that multiplies each channel by a factor."""
    values = np.array(factors, np.float32).reshape(-1, 1, 1)
    node = helper.make_node("Mul", ["noisy", "factors"], ["clean"])
    card = runtime.Card(
        name="gains", network="gains", channels=len(factors), parameters=len(factors), halo=0
    )
    return _write(path, card, [node], [_weight("factors", values)])


def ratio(path: Path) -> Path:
    """Write a model file that divides the image by itself, so black pixels become NaN."""
    node = helper.make_node("Div", ["noisy", "noisy"], ["clean"])
    card = runtime.Card(name="ratio", network="ratio", channels=1, parameters=0, halo=0)
    return _write(path, card, [node])


def assert_input_error(content: bytes, message: str) -> None:
    """Check that the content of a model file is an error with a printable message."""
    with pytest.raises(InputError, match=message) as raised:
        model_file.inspect(content)
    assert str(raised.value).isprintable()


def _weight(name: str, values: NDArray[Any] | np.generic) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.asarray(values), name)


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
