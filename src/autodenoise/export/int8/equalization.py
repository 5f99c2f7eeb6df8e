"""Weight equalization: bring the ranges of feature maps closer together.

Where convolutions without biases follow each other, with only sums and ReLUs in between, a channel
can be multiplied by any positive number: the convolutions that compute it are multiplied by the
number, and those that read it divided. The output is unchanged, and a single scale for all channels
fits them better in 8 bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, numpy_helper

__all__ = ["CONVOLUTIONS", "ChannelRange", "equalize"]

CONVOLUTIONS = ("Conv", "ConvTranspose")

# A channel's range is taken as at least this share of the widest one's, so that unused channels
# are not blown up.
_MIN_RELATIVE_RANGE = 1e-6


class ChannelRange(NamedTuple):
    """Least and largest value of each channel, (C,)."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]


def equalize(graph: GraphProto, ranges: Mapping[str, ChannelRange]) -> dict[str, ChannelRange]:
    """Scale weights in place, so that the channels of each feature map have more equal ranges.

    Values without a range are skipped. Return the new ranges, by the name of the value.

    References
    ----------
    Nagel, van Baalen, Blankevoort, Welling, "Data-free quantization through weight equalization and
    bias correction", ICCV 2019, Section 4.1; here with the ranges of activations.
    """
    weights = {tensor.name: tensor for tensor in graph.initializer}
    changed = dict(ranges)
    for values, producers, consumers in _groups(graph):
        known = [changed[name] for name in values if name in changed]
        if not known:
            continue
        width = np.max([np.maximum(-low, high) for low, high in known], axis=0)
        # The square root: full equalization of the feature maps would unbalance the weights.
        factors = np.sqrt(width.max() / np.maximum(width, _MIN_RELATIVE_RANGE * width.max()))
        for node in producers:
            _multiply(weights[node.input[1]], factors, 0 if node.op_type == "Conv" else 1)
        for node in consumers:
            _multiply(weights[node.input[1]], 1 / factors, 1 if node.op_type == "Conv" else 0)
        for name in values & changed.keys():
            changed[name] = ChannelRange(*(end * factors for end in changed[name]))
    return changed


def _groups(graph: GraphProto) -> Iterator[tuple[set[str], list[NodeProto], list[NodeProto]]]:
    """Yield values that must have one scale, and the convolutions before and after them.

    They are connected by sums and ReLUs. Groups with other nodes around them are skipped.
    """
    connected: dict[str, set[str]] = {}
    for node in graph.node:
        if node.op_type in ("Add", "Relu"):
            touched = (*node.input, *node.output)
            joined = set[str]().union(*(connected.get(value, {value}) for value in touched))
            connected.update(dict.fromkeys(joined, joined))
        else:
            for value in node.output:
                connected.setdefault(value, {value})
    for values in {id(values): values for values in connected.values()}.values():
        producers, consumers, produced, only_convolutions = [], [], set(), True
        for node in graph.node:
            reads, outputs = bool(values & set(node.input)), values & set(node.output)
            produced |= outputs
            if node.op_type in CONVOLUTIONS and len(node.input) == 2:
                producers += [node] * bool(outputs)
                consumers += [node] * reads
            elif (reads or outputs) and node.op_type not in ("Add", "Relu"):
                only_convolutions = False
        if only_convolutions and produced == values and consumers:
            yield values, producers, consumers


def _multiply(weights: TensorProto, factors: NDArray[np.float32], axis: int) -> None:
    values = numpy_helper.to_array(weights)
    shape = [-1 if place == axis else 1 for place in range(values.ndim)]
    product = (values * factors.reshape(shape)).astype(np.float32)
    weights.CopyFrom(numpy_helper.from_array(product, weights.name))
