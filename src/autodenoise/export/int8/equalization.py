"""Feature maps of a model file brought nearer to one range, without a change to what it answers.

Where convolutions without biases follow each other, with sums and ReLUs between them at most, a
channel may be multiplied by any positive number, if all that makes it is and all that reads it
divides by the same number. One scale for all channels, as 8 bits have it, then fits them better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from onnx import numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from onnx import GraphProto, NodeProto, TensorProto

__all__ = ["CONVOLUTIONS", "Range", "equalise"]

CONVOLUTIONS = ("Conv", "ConvTranspose")

_FAINTEST = 1e-6
"""The least that a channel counts for, of the widest: one that is never used is not blown up."""


class Range(NamedTuple):
    """The least and the largest value of each channel, (C,)."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]


class _Stretch(NamedTuple):
    """Values that can be multiplied together, the convolutions that make and that read them."""

    values: set[str]
    makers: list[NodeProto]
    readers: list[NodeProto]


def equalise(graph: GraphProto, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """Multiply weights in place, so that the channels of each feature map have more equal ranges.

    Parameters
    ----------
    graph
        The network.
    ranges
        Of values by their name; those that are missing are not looked at.

    Returns
    -------
    dict
        What the ranges are now.

    References
    ----------
    Nagel, van Baalen, Blankevoort, Welling, "Data-free quantization through weight equalization and
    bias correction", ICCV 2019, Section 4.1; here by the ranges of what flows.
    """
    weights = {tensor.name: tensor for tensor in graph.initializer}
    changed = dict(ranges)
    for stretch in _stretches(graph):
        seen = [changed[name] for name in stretch.values if name in changed]
        if not seen:
            continue
        width = np.max([np.maximum(-low, high) for low, high in seen], axis=0)
        # Half of the way, as factors go: what feature maps gain all the way, the weights lose.
        factors = np.sqrt(width.max() / np.maximum(width, _FAINTEST * width.max()))
        for node in stretch.makers:
            _multiply(weights[node.input[1]], factors, 0 if node.op_type == "Conv" else 1)
        for node in stretch.readers:
            _multiply(weights[node.input[1]], 1 / factors, 1 if node.op_type == "Conv" else 0)
        for name in stretch.values & changed.keys():
            changed[name] = Range(*(end * factors for end in changed[name]))
    return changed


def _stretches(graph: GraphProto) -> list[_Stretch]:
    together: dict[str, set[str]] = {}
    for node in graph.node:
        if node.op_type in ("Add", "Relu"):
            touched = (*node.input, *node.output)
            joined = set[str]().union(*(together.get(value, {value}) for value in touched))
            together.update(dict.fromkeys(joined, joined))
        else:
            for value in node.output:
                together.setdefault(value, {value})
    groups = {id(group): group for group in together.values()}.values()
    found = (_stretch(graph, group) for group in groups)
    return [stretch for stretch in found if stretch is not None]


def _stretch(graph: GraphProto, values: set[str]) -> _Stretch | None:
    """Give the convolutions around some values; None where anything else is."""
    makers, readers, made = [], [], set()
    for node in graph.node:
        reads = bool(values & set(node.input))
        makes = values & set(node.output)
        made |= makes
        if node.op_type in CONVOLUTIONS and len(node.input) == 2:
            makers += [node] * bool(makes)
            readers += [node] * reads
        elif (reads or makes) and node.op_type not in ("Add", "Relu"):
            return None
    return _Stretch(values, makers, readers) if made == values and readers else None


def _multiply(weights: TensorProto, factors: NDArray[np.float32], axis: int) -> None:
    values = numpy_helper.to_array(weights)
    shape = [-1 if place == axis else 1 for place in range(values.ndim)]
    product = (values * factors.reshape(shape)).astype(np.float32)
    weights.CopyFrom(numpy_helper.from_array(product, weights.name))
