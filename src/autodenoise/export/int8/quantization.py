"""A model file's inner convolutions in 8 bits: faster where a CPU multiplies bytes in vectors.

ONNX Runtime computes a convolution in 8 bits where its input, weights and output are written
as bytes with their scale. Weights that are rounded well take little harm from that; feature maps
do, for which 256 steps have to reach as far as any noise. So what is nearest to the image stays in
float32, and so does all that is no convolution: the image and the sums that lead past convolutions
are never rounded. ONNX Runtime's own ``quantize_static`` rounds the sums too, and loses more than
twice as many decibels.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper

from autodenoise.errors import InputError
from autodenoise.export.int8.equalization import CONVOLUTIONS, Range, equalise
from autodenoise.export.int8.rounding import attributes, moments, up_or_down
from autodenoise.export.to_onnx import write
from autodenoise.files import digest
from autodenoise.runtime import Model
from autodenoise.runtime.engine import onnxruntime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

    Floats = NDArray[np.float32]

__all__ = ["quantise"]

_BEYOND = 3e-4
"""The share of a channel's values that may lie beyond each end of its range: finer steps for the
others more than make good for them."""


def quantise(source: Path, target: Path, noisy: Floats, calibration: str) -> None:
    """Write the variant of a model file whose inner convolutions are computed in 8 bits.

    Parameters
    ----------
    source
        A model file in float32, whose network has convolutions without biases.
    target
        The ``.onnx`` file; written whole or not at all.
    noisy
        (N, H, W, C) in [0, 1] nominally, of a size that the network takes without padding: images
        such as will come. They decide how far the 256 steps of each feature map reach.
    calibration
        What they are, for the card.

    Raises
    ------
    InputError
        The source cannot be used, is in 8 bits already, or has nothing that could be.
    OutputError
        The target cannot be written.
    """
    card = Model(source).card
    if card.precision != "float32":
        raise InputError(f"{source} is in {card.precision} already; give the file in float32")
    model = onnx.load(source)
    chosen = _inner_convolutions(model)
    if not chosen:
        raise InputError(
            f"{source} has nothing to compute in 8 bits: that are convolutions without biases "
            f"between the first three and the last, and the network {card.network} has none"
        )
    ends = {_end(model, node) for node in chosen}
    read = {node.input[0] for node in model.graph.node if node.op_type in CONVOLUTIONS}
    made = {name for node in model.graph.node for name in node.output}
    ranges = _observe(model, sorted(made & (read | ends)), noisy)
    ranges = equalise(model.graph, ranges)
    _round(model, chosen, ranges, _moments(model, chosen, noisy))
    card = dataclasses.replace(
        card,
        name=f"{card.name}-int8",
        precision="int8",
        parent=digest(source),
        calibration=calibration,
        # They were measured with the other file.
        scores={},
    )
    write(model, card, noisy.shape[1:3], target)


def _inner_convolutions(model: ModelProto) -> list[NodeProto]:
    # The first, the residual block behind it and the last lose as much as all others together.
    inner = [node for node in model.graph.node if node.op_type in CONVOLUTIONS][3:-1]
    # ONNX Runtime has no transposed convolution in 8 bits.
    return [
        node
        for node in inner
        if node.op_type == "Conv" and len(node.input) == 2 and attributes(node).get("group", 1) == 1
    ]


def _readers(model: ModelProto, value: str) -> list[NodeProto]:
    return [node for node in model.graph.node if value in node.input]


def _end(model: ModelProto, node: NodeProto) -> str:
    """Give the name of what a convolution makes: behind its ReLU, which costs nothing in bytes."""
    readers = _readers(model, node.output[0])
    alone = len(readers) == 1 and readers[0].op_type == "Relu"
    name: str = readers[0].output[0] if alone else node.output[0]
    return name


def _observe(model: ModelProto, names: Sequence[str], noisy: Floats) -> dict[str, Range]:
    """Find how far each channel of some values reaches, over images (N, H, W, C)."""
    tails: dict[str, Range] = {}
    for values in _flowing(model, names, noisy):
        for name, value in values.items():
            samples = value.reshape(value.shape[1], -1)
            count = max(1, round(_BEYOND * len(noisy) * samples.shape[1]))
            tails[name] = _tails(tails.get(name), samples, count)
    return {name: Range(tail.low.max(1), tail.high.min(1)) for name, tail in tails.items()}


def _moments(model: ModelProto, chosen: Sequence[NodeProto], noisy: Floats) -> dict[str, Floats]:
    """Find the second moments of what some weights are multiplied with, over images."""
    kernels = {tensor.name: tensor.dims[2:] for tensor in model.graph.initializer}
    sums: dict[str, Floats] = {}
    for values in _flowing(model, sorted({node.input[0] for node in chosen}), noisy):
        for node in chosen:
            value, weights = node.input
            sums[weights] = sums.get(weights, 0) + moments(node, kernels[weights], values[value])
    return sums


def _flowing(model: ModelProto, names: Sequence[str], noisy: Floats) -> Iterator[dict[str, Floats]]:
    """Run a model on one image (N, H, W, C) after the other, and give values by their name."""
    telling = onnx.ModelProto()
    telling.CopyFrom(model)
    telling.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        telling.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    for image in noisy:
        tensor = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
        values = session.run(names, {model.graph.input[0].name: tensor})
        yield dict(zip(names, values, strict=True))


def _tails(before: Range | None, samples: Floats, count: int) -> Range:
    """Keep the `count` least and largest samples of each channel, (C, count)."""
    low, high = (
        (samples, samples)
        if before is None
        else (np.concatenate([end, samples], axis=1) for end in before)
    )
    return Range(
        np.partition(low, count - 1, axis=1)[:, :count],
        np.partition(high, -count, axis=1)[:, -count:],
    )


def _round(
    model: ModelProto,
    chosen: list[NodeProto],
    ranges: Mapping[str, Range],
    products: Mapping[str, Floats],
) -> None:
    """Write the inputs, weights and outputs of some convolutions as bytes, in place."""
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    ends = {node.output[0]: _end(model, node) for node in chosen}
    # What is made in bytes is read so too; of all else there is a second version, for these alone.
    in_bytes = {end: end for end in ends.values()}
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.output[0] in ends:
            (value, kernel), end = node.input, ends[node.output[0]]
            if value not in in_bytes:
                in_bytes[value] = f"{value}.rounded"
                nodes += _steps(graph, value, in_bytes[value], ranges[value])
            nodes.append(_kernel(graph, weights[kernel], products[kernel]))
            node.input[:] = [in_bytes[value], nodes[-1].output[0]]
            node.output[:] = [f"{end}.exact"]
            nodes += [node, *_steps(graph, node.output[0], end, ranges[end])]
        elif node.output[0] not in in_bytes:  # else a ReLU: no step is below 0
            nodes.append(node)
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(kept)


def _steps(graph: GraphProto, value: str, rounded: str, reach: Range) -> list[NodeProto]:
    """Round a value to 256 steps, of which 0 is one: it lies around the image."""
    low, high = min(0.0, float(reach.low.min())), max(0.0, float(reach.high.max()))
    scale = np.float32((high - low) / 255 or 1)
    settings = _parameters(graph, rounded, scale, np.uint8(round(-low / scale)))
    return [
        helper.make_node("QuantizeLinear", [value, *settings], [f"{rounded}.bytes"]),
        helper.make_node("DequantizeLinear", [f"{rounded}.bytes", *settings], [rounded]),
    ]


def _kernel(graph: GraphProto, weights: TensorProto, products: Floats) -> NodeProto:
    """Write a convolution's weights as bytes, with a scale for each channel that it makes.

    CPUs without VNNI add two neighbouring products of a step and a weight in 16 bits, which hold
    255 * 128: neighbours have to be no more than that together, or the answer would be another one
    there. Which are neighbours depends on the layout that ONNX Runtime chooses.
    """
    values = numpy_helper.to_array(weights)
    layouts = [layout.reshape(len(values), -1) for layout in (values, np.moveaxis(values, 1, 3))]
    pairs = [layout[:, 1:] + layout[:, :-1] for layout in layouts]
    scales = np.abs(np.concatenate([values.reshape(len(values), -1), *pairs], axis=1)).max(1)
    # One less than there is: a weight may be rounded up, and so may its neighbour.
    scales = np.where(scales == 0, 1, scales / 126).astype(np.float32)
    steps = values.reshape(len(values), -1) / scales[:, None]
    whole = up_or_down(steps, products).reshape(values.shape).astype(np.int8)
    name = weights.name
    weights.CopyFrom(numpy_helper.from_array(whole, name))
    settings = _parameters(graph, name, scales, np.zeros(len(scales), np.int8))
    return helper.make_node("DequantizeLinear", [name, *settings], [f"{name}.rounded"], axis=0)


def _parameters(graph: GraphProto, name: str, *values: NDArray[Any] | np.generic) -> list[str]:
    names = [f"{name}.{part}" for part in ("scale", "zero")]
    graph.initializer.extend(map(numpy_helper.from_array, map(np.asarray, values), names))
    return names
