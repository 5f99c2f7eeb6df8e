"""Turn a file saved by Keras into a network of ours, with its weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from autodenoise import nets
from autodenoise.errors import InputError
from autodenoise.keras_import.builder import NetworkBuilder, Value
from autodenoise.keras_import.files import read_file
from autodenoise.keras_import.graph import flatten
from autodenoise.keras_import.layers import ACTIVATION_FUNCTIONS, translate
from autodenoise.keras_import.shapes import FeatureMap, FixedSizeOnly, NeedsMultiple, Side, Vector

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from autodenoise.keras_import.graph import LayerGraph
    from autodenoise.keras_import.shapes import Shape
    from autodenoise.nets import Autoencoder

__all__ = ["ImportedNetwork", "ValueRange", "read_network"]

ValueRange = tuple[float, float]
"""The values of black and white."""

# Limits of a model card.
_MAX_CHANNELS, _MAX_SIDE = 64, 100_000

_MAX_MULTIPLE: Final = 32
"""Five halvings; the receptive field is computed for each position within a multiple."""

_TYPICAL_SIDE: Final = 64

_ACTIVATION_KINDS = {layer["kind"] for layer in ACTIVATION_FUNCTIONS.values() if layer}


@dataclass(frozen=True)
class ImportedNetwork:
    """A network read from a file.

    Attributes
    ----------
    network
        Our network with the weights; its output is the image.
    shape
        (channels, height, width) of an image that it takes: the only shape, or one of many.
    version
        Version of Keras; empty if unknown.
    """

    network: Autoencoder
    shape: tuple[int, int, int]
    version: str


def read_network(
    path: Path, input_range: ValueRange = (0, 1), output_range: ValueRange = (0, 1)
) -> ImportedNetwork:
    """Read a network from a ``.keras`` or whole-model ``.h5`` file.

    The ranges are the values of black and white that the network was trained with; ours has 0 and
    1. Raise InputError if the file is damaged, or contains something unsupported, which the message
    names; MissingExtra if h5py is not installed.
    """
    file = read_file(path)
    translation = _translate(flatten(file.model), (input_range, output_range))
    # By their names in our network.
    weights: dict[str, Tensor] = {}
    for number, source in translation.builder.weights.items():
        index, code = number - 1, translation.code
        prefix = f"encoder.layers.{index}" if index < code else f"decoder.layers.{index - code}"
        arrays = source.convert(file.weights(source.call.path, source.shapes))
        weights |= {f"{prefix}.{name}": torch.tensor(array) for name, array in arrays.items()}
    image, builder = translation.image, translation.builder
    arguments = {"channels": image.channels, "layers": tuple(builder.layers)}
    arguments |= {"code": translation.code, "multiple": translation.multiple}
    # The random weights are replaced.
    network = nets.build("layers", arguments, torch.Generator().manual_seed(0))
    network.load_state_dict(weights)
    # The network's own size if it has one, else a typical one.
    height, width = (side or image.height.at(builder.k) for side in translation.size)
    return ImportedNetwork(network.eval(), (image.channels, height, width), file.version)


class _Translation(NamedTuple):
    image: FeatureMap
    builder: NetworkBuilder
    multiple: int | None
    size: tuple[int | None, int | None]

    @property
    def code(self) -> int:
        """The number of layers up to the narrowest place before the last weights."""
        builder = self.builder
        counts = builder.value_counts[: max(builder.weights, default=1) - 1]
        if not counts:
            return 1
        code = counts.index(min(counts)) + 1
        # Activations belong to the layer before them.
        while code < len(counts) and builder.layers[code]["kind"] in _ACTIVATION_KINDS:
            code += 1
        return code


def _translate(graph: LayerGraph, ranges: tuple[ValueRange, ValueRange]) -> _Translation:
    """Translate for images of any size if possible, else for the network's own size."""
    translation = _translate_for_any_size(graph, ranges)
    if translation is not None:
        return translation
    image, keras_shape = _fixed_input(graph.shape)
    builder = NetworkBuilder(k=0)
    output = _add_layers(graph, image, keras_shape, builder, ranges)
    (height, width, _), (output_height, output_width, _) = image.fixed(), output.fixed()
    if (height, width) != (output_height, output_width):
        raise InputError(
            f"its output has {output_width}x{output_height} pixels and its input {width}x{height}; "
            "expected equal sizes"
        )
    return _Translation(image, builder, None, (height, width))


def _translate_for_any_size(
    graph: LayerGraph, ranges: tuple[ValueRange, ValueRange]
) -> _Translation | None:
    """Translate for all images whose sides are multiples of some number; None if impossible."""
    if len(graph.shape) != 3:
        return None
    height, width, channels = graph.shape
    typical = max(_TYPICAL_SIDE, height or 0, width or 0)
    multiple = 1
    while multiple <= _MAX_MULTIPLE:
        image = FeatureMap(Side(multiple, 0), Side(multiple, 0), _check_channels(channels))
        builder = NetworkBuilder(k=-(-typical // multiple))
        try:
            output = _add_layers(graph, image, image, builder, ranges)
        except NeedsMultiple as needed:
            multiple *= needed.factor
        except FixedSizeOnly:
            return None
        else:
            # The network's own size has to be possible, and outputs as large as inputs.
            fits = all(side is None or side % multiple == 0 for side in (height, width))
            if not fits or output != image:
                return None
            return _Translation(image, builder, multiple, (height, width))
    return None


def _fixed_input(shape: tuple[int | None, ...]) -> tuple[FeatureMap, Shape]:
    """Return the shape of an image of the network's own size, and that of Keras's input."""
    sides = [side for side in shape if side is not None]
    if len(sides) < len(shape):
        raise InputError(
            "it takes images of any size, but its outputs differ in size from its inputs; save it "
            "with a fixed size: keras.Input((height, width, channels))"
        )
    if max(sides) > _MAX_SIDE:
        raise InputError(f"its input has a dimension of {max(sides):,}; the limit is {_MAX_SIDE:,}")
    match sides:
        case [height, width, channels]:
            image = FeatureMap(Side(0, height), Side(0, width), _check_channels(channels))
            return image, image
        case [height, width]:
            image = FeatureMap(Side(0, height), Side(0, width), 1)
            return image, image._replace(no_channel_axis=True)
        case [length]:
            for channels in (1, 3):
                side = math.isqrt(length // channels)
                if channels * side**2 == length:
                    return FeatureMap(Side(0, side), Side(0, side), channels), Vector(length)
    raise InputError(
        f"its input has shape {'x'.join(map(str, sides))}; expected height, width and channels, or "
        "the values of a square gray or color image"
    )


def _check_channels(count: int | None) -> int:
    if count is None or count > _MAX_CHANNELS:
        raise InputError(f"its images have {count or 'any number of'} channels; expected 1 or 3")
    return count


def _add_layers(
    graph: LayerGraph,
    image: FeatureMap,
    keras_shape: Shape,
    builder: NetworkBuilder,
    ranges: tuple[ValueRange, ValueRange],
) -> FeatureMap:
    """Add all layers, for a range of the input and one of the output; return its shape."""
    value = Value(0, image)
    if ranges[0] != (0, 1):
        black, white = ranges[0]
        layer = {"kind": "rescale", "factor": white - black, "offset": black}
        value = builder.add(layer, image, value)
    if isinstance(keras_shape, Vector):
        value = builder.reshape(value, keras_shape, "its input")
    values = [value._replace(shape=keras_shape)]
    for call in graph.calls:
        values.append(translate(call, [values[number] for number in call.inputs], builder))
    value = values[graph.output]
    if isinstance(value.shape, Vector) and value.shape.length == math.prod(image.fixed()):
        value = builder.reshape(value, image, "its output")
    if isinstance(value.shape, Vector) or value.shape.channels != image.channels:
        raise InputError(
            f"its input is an image of {image.channels} channel(s), but its output is not"
        )
    output = value.shape._replace(no_channel_axis=False)
    if ranges[1] != (0, 1):
        black, white = ranges[1]
        factor = 1 / (white - black)
        layer = {"kind": "rescale", "factor": factor, "offset": -black / (white - black)}
        value = builder.add(layer, output, value)
    if value.number < len(builder.layers) or not builder.weights:
        raise InputError("its output does not depend on all layers, or no layer has weights")
    return output
