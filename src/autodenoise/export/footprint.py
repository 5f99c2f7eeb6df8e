"""How much memory an exported network needs to run."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, NodeProto

from autodenoise.export.session import session_returning

__all__ = ["bytes_per_pixel"]

# ONNX Runtime keeps some feature maps in a second layout, and its arena has gaps. Measured on our
# networks, a process grows by 1.5 to 1.7 times what the graph alone needs.
_ARENA_FACTOR = 1.75

_FLOAT_BYTES = 4


def bytes_per_pixel(model: ModelProto, height: int, width: int) -> int:
    """Return the peak memory of running a model, per pixel of one image.

    Every value is in memory from the node that computes it to the last node that reads it. The peak
    is over all nodes, each with the working memory that it needs itself. The model has one input
    and one output, (B, C, H, W) in float32, and accepts this size.
    """
    graph = model.graph
    sizes = _sizes(model, height, width)
    weights = {weight.name: weight.dims for weight in graph.initializer}
    last_use = {name: place for place, node in enumerate(graph.node) for name in node.input}
    # The caller has the input, and receives the output.
    never_freed = {graph.input[0].name, graph.output[0].name}
    in_memory = {graph.input[0].name}
    peak = 0
    for place, node in enumerate(graph.node):
        in_memory.update(node.output)
        total = sum(sizes.get(name, 0) for name in in_memory)
        peak = max(peak, total + _working_memory(node, sizes, weights))
        in_memory = {
            name for name in in_memory if last_use.get(name, 0) > place or name in never_freed
        }
    return math.ceil(_ARENA_FACTOR * peak / (height * width))


def _working_memory(
    node: NodeProto, sizes: Mapping[str, int], weights: Mapping[str, list[int]]
) -> int:
    """Return the bytes that a node needs besides its inputs and outputs."""
    if node.op_type != "ConvTranspose":
        return 0
    # A matrix product computes a whole kernel for every input pixel, before they are summed.
    channels, *kernel = weights[node.input[1]]
    return sizes[node.input[0]] // channels * math.prod(kernel)


def _sizes(model: ModelProto, height: int, width: int) -> dict[str, int]:
    """Return the bytes of every value, by running the model on zeros.

    ONNX's shape inference does not know sizes that the graph itself computes.
    """
    graph = model.graph
    (noisy,) = graph.input
    shape = (1, noisy.type.tensor_type.shape.dim[1].dim_value, height, width)
    names = [name for node in graph.node for name in node.output if name]
    session = session_returning(model, names, optimize=False)
    values = session.run(names, {noisy.name: np.zeros(shape, np.float32)})
    sizes = {name: value.nbytes for name, value in zip(names, values, strict=True)}
    return {**sizes, noisy.name: _FLOAT_BYTES * math.prod(shape)}
