"""Compute a model file's inner convolutions in 8 bits: faster on CPUs with byte vector products.

ONNX Runtime computes a convolution in 8 bits if its input, weights and output are written as bytes
with a scale. Well-rounded weights lose little. Feature maps lose more, because 256 steps must cover
the range of any noise. So the layers closest to the image stay in float32, and so does everything
that is not a convolution: the image and the sums of skip connections are never rounded. ONNX
Runtime's own ``quantize_static`` rounds the sums too, and loses more than twice as many decibels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from autodenoise.errors import InputError
from autodenoise.export.int8.equalization import CONVOLUTIONS, ChannelRange, equalize
from autodenoise.export.int8.rounding import attributes, round_adaptively, second_moments
from autodenoise.export.session import session_returning
from autodenoise.export.to_onnx import write_model
from autodenoise.files import digest
from autodenoise.runtime import Model

__all__ = ["quantize_model"]

Floats = NDArray[np.float32]

# The share of a channel's values that may be clipped at each end of its range. The finer steps for
# all other values are worth more.
_CLIPPED_SHARE = 3e-4


def quantize_model(source: Path, target: Path, noisy: Floats, calibration: str) -> None:
    """Write the variant of a model file whose inner convolutions are computed in 8 bits.

    The ranges of feature maps are measured on typical images (N, H, W, C), nominally in [0, 1], of
    a size that the network accepts without padding; `calibration` describes them on the card. Raise
    InputError if the source cannot be used, is in 8 bits already, or has no suitable convolutions;
    OutputError if the target cannot be written.
    """
    card = Model(source).card
    if card.precision != "float32":
        raise InputError(f"{source} is in {card.precision} already; use the float32 file")
    model = onnx.load(source)
    convolutions = _inner_convolutions(model)
    if not convolutions:
        raise InputError(
            f"{source} has nothing to compute in 8 bits: the network {card.network} has no "
            "convolutions without biases between the first three and the last"
        )
    outputs = {_quantized_output(model, node) for node in convolutions}
    read = {node.input[0] for node in model.graph.node if node.op_type in CONVOLUTIONS}
    computed = {name for node in model.graph.node for name in node.output}
    ranges = _measure_ranges(model, sorted(computed & (read | outputs)), noisy)
    ranges = equalize(model.graph, ranges)
    _quantize(model, convolutions, ranges, _measure_moments(model, convolutions, noisy))
    card = dataclasses.replace(
        card,
        name=f"{card.name}-int8",
        precision="int8",
        parent=digest(source),
        calibration=calibration,
        # The scores are those of the source.
        scores={},
    )
    write_model(model, card, noisy.shape[1:3], target)


def _inner_convolutions(model: ModelProto) -> list[NodeProto]:
    # The first convolution, the residual block after it and the last one lose as much as all others
    # together.
    inner = [node for node in model.graph.node if node.op_type in CONVOLUTIONS][3:-1]
    # ONNX Runtime has no transposed convolution in 8 bits.
    return [
        node
        for node in inner
        if node.op_type == "Conv" and len(node.input) == 2 and attributes(node).get("group", 1) == 1
    ]


def _quantized_output(model: ModelProto, node: NodeProto) -> str:
    """Return the value to quantize after a convolution: behind its ReLU, which is free in bytes."""
    readers = [other for other in model.graph.node if node.output[0] in other.input]
    has_relu = len(readers) == 1 and readers[0].op_type == "Relu"
    name: str = readers[0].output[0] if has_relu else node.output[0]
    return name


def _measure_ranges(
    model: ModelProto, names: Sequence[str], noisy: Floats
) -> dict[str, ChannelRange]:
    """Return the ranges of some values' channels over images (N, H, W, C)."""
    tails: dict[str, ChannelRange] = {}
    for values in _activations(model, names, noisy):
        for name, value in values.items():
            samples = value.reshape(value.shape[1], -1)
            count = max(1, round(_CLIPPED_SHARE * len(noisy) * samples.shape[1]))
            tails[name] = _tails(tails.get(name), samples, count)
    return {name: ChannelRange(tail.low.max(1), tail.high.min(1)) for name, tail in tails.items()}


def _measure_moments(
    model: ModelProto, convolutions: Sequence[NodeProto], noisy: Floats
) -> dict[str, Floats]:
    """Return the second moments of the inputs of convolutions, by the name of their weights."""
    kernels = {tensor.name: tensor.dims[2:] for tensor in model.graph.initializer}
    sums: dict[str, Floats] = {}
    for values in _activations(model, sorted({node.input[0] for node in convolutions}), noisy):
        for node in convolutions:
            value, weights = node.input
            moments = second_moments(node, kernels[weights], values[value])
            sums[weights] = sums.get(weights, 0) + moments
    return sums


def _activations(
    model: ModelProto, names: Sequence[str], noisy: Floats
) -> Iterator[dict[str, Floats]]:
    """Yield some values by name, for one image (N, H, W, C) after the other."""
    session = session_returning(model, names)
    for image in noisy:
        tensor = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
        values = session.run(names, {model.graph.input[0].name: tensor})
        yield dict(zip(names, values, strict=True))


def _tails(before: ChannelRange | None, samples: Floats, count: int) -> ChannelRange:
    """Return the `count` least and largest samples of each channel so far, (C, count)."""
    low, high = (
        (samples, samples)
        if before is None
        else (np.concatenate([end, samples], axis=1) for end in before)
    )
    return ChannelRange(
        np.partition(low, count - 1, axis=1)[:, :count],
        np.partition(high, -count, axis=1)[:, -count:],
    )


def _quantize(
    model: ModelProto,
    convolutions: list[NodeProto],
    ranges: Mapping[str, ChannelRange],
    moments: Mapping[str, Floats],
) -> None:
    """Write the inputs, weights and outputs of convolutions as bytes, in place."""
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    outputs = {node.output[0]: _quantized_output(model, node) for node in convolutions}
    # Outputs in bytes are read as such. Other inputs get a rounded copy, only for convolutions.
    in_bytes = {output: output for output in outputs.values()}
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.output[0] in outputs:
            (value, kernel), output = node.input, outputs[node.output[0]]
            if value not in in_bytes:
                in_bytes[value] = f"{value}.rounded"
                nodes += _round_value(graph, value, in_bytes[value], ranges[value])
            nodes.append(_round_weights(graph, weights[kernel], moments[kernel]))
            node.input[:] = [in_bytes[value], nodes[-1].output[0]]
            node.output[:] = [f"{output}.exact"]
            nodes += [node, *_round_value(graph, node.output[0], output, ranges[output])]
        elif node.output[0] not in in_bytes:  # else a ReLU: no step is below 0
            nodes.append(node)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(copies)


def _round_value(
    graph: GraphProto, value: str, rounded: str, channels: ChannelRange
) -> list[NodeProto]:
    """Return nodes that round a value to 256 steps. One of them is 0, as in zero padding."""
    low, high = min(0.0, float(channels.low.min())), max(0.0, float(channels.high.max()))
    scale = np.float32((high - low) / 255 or 1)
    parameters = _add_parameters(graph, rounded, scale, np.uint8(round(-low / scale)))
    return [
        helper.make_node("QuantizeLinear", [value, *parameters], [f"{rounded}.bytes"]),
        helper.make_node("DequantizeLinear", [f"{rounded}.bytes", *parameters], [rounded]),
    ]


def _round_weights(graph: GraphProto, weights: TensorProto, moments: Floats) -> NodeProto:
    """Write a convolution's weights as bytes with a scale per output channel; return their node.

    CPUs without VNNI add two neighboring products of a step and a weight in 16 bits, which hold
    255 * 128. So the sum of neighbors must not exceed 128, or the output would differ between CPUs.
    Which weights are neighbors depends on the layout that ONNX Runtime chooses.
    """
    values = numpy_helper.to_array(weights)
    layouts = [layout.reshape(len(values), -1) for layout in (values, np.moveaxis(values, 1, 3))]
    pairs = [layout[:, 1:] + layout[:, :-1] for layout in layouts]
    scales = np.abs(np.concatenate([values.reshape(len(values), -1), *pairs], axis=1)).max(1)
    # Not 128: a weight may be rounded up, and so may its neighbor.
    scales = np.where(scales == 0, 1, scales / 126).astype(np.float32)
    steps = values.reshape(len(values), -1) / scales[:, None]
    integers = round_adaptively(steps, moments).reshape(values.shape).astype(np.int8)
    name = weights.name
    weights.CopyFrom(numpy_helper.from_array(integers, name))
    parameters = _add_parameters(graph, name, scales, np.zeros(len(scales), np.int8))
    return helper.make_node("DequantizeLinear", [name, *parameters], [f"{name}.rounded"], axis=0)


def _add_parameters(graph: GraphProto, name: str, *values: NDArray[Any] | np.generic) -> list[str]:
    """Add a scale and a zero point to the graph; return their names."""
    names = [f"{name}.{part}" for part in ("scale", "zero")]
    graph.initializer.extend(map(numpy_helper.from_array, map(np.asarray, values), names))
    return names
