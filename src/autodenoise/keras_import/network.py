"""A file of Keras becomes a network of ours with its weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from autodenoise import nets
from autodenoise.errors import InputError
from autodenoise.keras_import import files
from autodenoise.keras_import.activations import FUNCTIONS
from autodenoise.keras_import.graph import unfold
from autodenoise.keras_import.layers import apply, reshaped
from autodenoise.keras_import.parts import Layers, Value
from autodenoise.keras_import.sizes import FixedOnly, Map, Row, Shape, Side, Uneven

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from autodenoise.keras_import.files import KerasFile
    from autodenoise.keras_import.graph import Graph
    from autodenoise.nets import Autoencoder

__all__ = ["Found", "Range", "read"]

Range = tuple[float, float]
"""The values of black and of white."""

# What a card may tell of.
_MOST_CHANNELS, _LONGEST_SIDE = 64, 100_000

_LARGEST_MULTIPLE: Final = 32
"""Five halvings; what a pixel sees is found out for each place in it."""

_USUAL_SIDE: Final = 64

_VALUE_BY_VALUE = {layer["kind"] for layer in FUNCTIONS.values() if layer}


@dataclass(frozen=True)
class Found:
    """A network that was in a file.

    Attributes
    ----------
    network
        Ours, with the weights; it answers with the image.
    shape
        (channels, height, width) of an image that it takes: the only one, or one of many.
    version
        Of Keras; empty if the file does not tell.
    """

    network: Autoencoder
    shape: tuple[int, int, int]
    version: str


def read(path: Path, takes: Range = (0, 1), gives: Range = (0, 1)) -> Found:
    """Read a network from a file that Keras has saved.

    Parameters
    ----------
    path
        A ``.keras`` or a whole-model ``.h5`` file.
    takes, gives
        The values of black and white that the network was trained with; ours has 0 and 1.

    Raises
    ------
    InputError
        The file is damaged, or holds what we do not know, which is named.
    """
    file = files.read(path)
    translation = _translate(unfold(file.model), takes, gives)
    weights = _weights(file, translation)
    image, layers = translation.image, translation.layers
    arguments = {
        "channels": image.channels,
        "layers": tuple(layers.listed),
        "code": translation.code,
        "multiple": translation.multiple,
    }
    # The weights that it draws are replaced.
    network = nets.build("layers", arguments, torch.Generator().manual_seed(0))
    network.load_state_dict(weights)
    # Its own size where it has one; one of those that it takes where it does not.
    height, width = (own or image.height.at(layers.k) for own in translation.size)
    return Found(network.eval(), (image.channels, height, width), file.version)


class _Translation(NamedTuple):
    image: Map
    layers: Layers
    multiple: int | None
    size: tuple[int | None, int | None]

    @property
    def code(self) -> int:
        """How many layers there are up to the narrowest place before the last weights."""
        layers = self.layers
        inner = layers.numbers[: max(layers.weights, default=1) - 1]
        if not inner:
            return 1
        code = inner.index(min(inner)) + 1
        # An activation belongs to what it is of.
        while code < len(inner) and layers.listed[code]["kind"] in _VALUE_BY_VALUE:
            code += 1
        return code


def _translate(graph: Graph, takes: Range, gives: Range) -> _Translation:
    """Translate for images of any size if that can be, or else for those of the network's."""
    found = _for_any(graph, takes, gives)
    if found is not None:
        return found
    image, taken = _fixed(graph.shape)
    layers = Layers(k=0)
    answer = _add_all(graph, image, taken, layers, takes, gives)
    (height, width, _), (tall, wide, _) = image.fixed(), answer.fixed()
    if (height, width) != (tall, wide):
        raise InputError(f"it makes images of {wide}x{tall} pixels from such of {width}x{height}")
    return _Translation(image, layers, None, (height, width))


def _for_any(graph: Graph, takes: Range, gives: Range) -> _Translation | None:
    """Translate for all images whose sides some number divides; None if they do not come back."""
    if len(graph.shape) != 3:
        return None
    height, width, channels = graph.shape
    usual = max(_USUAL_SIDE, height or 0, width or 0)
    multiple = 1
    while multiple <= _LARGEST_MULTIPLE:
        image = Map(Side(multiple, 0), Side(multiple, 0), _channels(channels))
        layers = Layers(k=-(-usual // multiple))
        try:
            answer = _add_all(graph, image, image, layers, takes, gives)
        except Uneven as uneven:
            multiple *= uneven.factor
        except FixedOnly:
            return None
        else:
            # Its own size has to be one of them.
            own = all(side is None or side % multiple == 0 for side in (height, width))
            comes_back = own and answer == image
            return _Translation(image, layers, multiple, (height, width)) if comes_back else None
    return None


def _fixed(shape: tuple[int | None, ...]) -> tuple[Map, Shape]:
    """Give an image as the network's size has it, and the shape in which Keras takes it."""
    sides = [side for side in shape if side is not None]
    if len(sides) < len(shape):
        raise InputError(
            "it takes images of any size and does not give them back at their own; save it with "
            "the size that it was made for: keras.Input((height, width, channels))"
        )
    if max(sides) > _LONGEST_SIDE:
        raise InputError(f"its input has {max(sides):,} values; {_LONGEST_SIDE:,} are the most")
    match sides:
        case [height, width, channels]:
            image = Map(Side(0, height), Side(0, width), _channels(channels))
            return image, image
        case [height, width]:
            image = Map(Side(0, height), Side(0, width), 1)
            return image, image._replace(bare=True)
        case [length]:
            for channels in (1, 3):
                side = math.isqrt(length // channels)
                if channels * side**2 == length:
                    return Map(Side(0, side), Side(0, side), channels), Row(length)
    raise InputError(
        f"it takes values of shape {'x'.join(map(str, sides))}; expected height, width and "
        "channels, or as many values as a square image has, grey or in colour"
    )


def _channels(count: int | None) -> int:
    if count is None or count > _MOST_CHANNELS:
        raise InputError(f"its images have {count or 'any number of'} channels; expected 1 or 3")
    return count


def _add_all(
    graph: Graph, image: Map, taken: Shape, layers: Layers, takes: Range, gives: Range
) -> Map:
    """Add all layers; give the shape of the answer."""
    value = Value(0, image)
    if takes != (0, 1):
        black, white = takes
        value = layers.put(_rescale(white - black, black), image, value)
    if isinstance(taken, Row):
        value = reshaped(value, taken, layers, "its input")
    values = [value._replace(shape=taken)]
    for call in graph.calls:
        values.append(apply(call, [values[number] for number in call.of], layers))
    value = values[graph.answer]
    if isinstance(value.shape, Row) and value.shape.length == math.prod(image.fixed()):
        value = reshaped(value, image, layers, "its answer")
    if isinstance(value.shape, Row) or value.shape.channels != image.channels:
        raise InputError(
            f"it takes images of {image.channels} channel(s), and what it gives are none of these"
        )
    answer = value.shape._replace(bare=False)
    if gives != (0, 1):
        black, white = gives
        value = layers.put(_rescale(1 / (white - black), -black / (white - black)), answer, value)
    if value.number < len(layers.listed) or not layers.weights:
        raise InputError("it has layers that its answer does not depend on, or none with weights")
    return answer


def _rescale(factor: float, offset: float) -> dict[str, str | float]:
    return {"kind": "rescale", "factor": factor, "offset": offset}


def _weights(file: KerasFile, translation: _Translation) -> dict[str, Tensor]:
    """Read the weights of all layers, by the names that the network has for them."""
    weights = {}
    for number, made in translation.layers.weights.items():
        index = number - 1
        part = "encoder" if index < translation.code else "decoder"
        if part == "decoder":
            index -= translation.code
        arrays = made.turn(file.weights(made.call.places, made.shapes))
        for name, array in arrays.items():
            weights[f"{part}.layers.{index}.{name}"] = torch.tensor(array)
    return weights
