"""How much memory an exported network takes to run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import onnx

from autodenoise.runtime.engine import onnxruntime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import ModelProto, NodeProto

__all__ = ["bytes_per_pixel"]

# ONNX Runtime keeps some maps in a second layout, and its arena leaves gaps: measured on the
# networks here, a process grows by 1.5 to 1.7 times what the graph alone asks for.
_ARENA = 1.75

_FLOAT = 4


def bytes_per_pixel(model: ModelProto, height: int, width: int) -> int:
    """Give the most memory that running a model holds at once, for each pixel of one image.

    Every value lives from the node that makes it to the last one that reads it; the most that is
    alive at any node counts, with what that node needs for itself.

    Parameters
    ----------
    model
        With one input and one output, (B, C, H, W) in float32.
    height, width
        A size that it takes.
    """
    graph = model.graph
    sizes = _sizes(model, height, width)
    weights = {weight.name: weight.dims for weight in graph.initializer}
    last = {name: place for place, node in enumerate(graph.node) for name in node.input}
    # Whoever calls holds the input, and gets the output.
    kept = {graph.input[0].name, graph.output[0].name}
    alive = {graph.input[0].name}
    most = 0
    for place, node in enumerate(graph.node):
        alive.update(node.output)
        held = sum(sizes.get(name, 0) for name in alive)
        most = max(most, held + _own(node, sizes, weights))
        alive = {name for name in alive if last.get(name, 0) > place or name in kept}
    return math.ceil(_ARENA * most / (height * width))


def _own(node: NodeProto, sizes: Mapping[str, int], weights: Mapping[str, list[int]]) -> int:
    """Give what a node holds beside its inputs and outputs."""
    if node.op_type != "ConvTranspose":
        return 0
    # A product of matrices gives every input pixel its whole kernel, before these are summed.
    channels, *kernel = weights[node.input[1]]
    return sizes[node.input[0]] // channels * math.prod(kernel)


def _sizes(model: ModelProto, height: int, width: int) -> dict[str, int]:
    """Give the bytes of every value, by running the model on zeros of one size.

    Sizes that the graph itself computes are beyond ONNX's shape inference.
    """
    graph = model.graph
    (noisy,) = graph.input
    shape = (1, noisy.type.tensor_type.shape.dim[1].dim_value, height, width)
    names = [name for node in graph.node for name in node.output if name]
    telling = onnx.ModelProto()
    telling.CopyFrom(model)
    del telling.graph.output[:]
    telling.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        telling.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    values = session.run(None, {noisy.name: np.zeros(shape, np.float32)})
    sizes = {name: value.nbytes for name, value in zip(names, values, strict=True)}
    return {**sizes, noisy.name: _FLOAT * math.prod(shape)}
