"""What a translation is put together from: values, layers of ours, and where weights come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autodenoise.errors import InputError
from autodenoise.keras_import.options import Options
from autodenoise.keras_import.sizes import Map, Row, Shape, numbers

if TYPE_CHECKING:
    from autodenoise.keras_import.graph import Call

__all__ = ["Layers", "Value", "Weights", "Work"]

Arrays = Mapping[str, NDArray[np.float32]]
"""Weights by their names."""

_MOST_NUMBERS: Final = 2**27
"""That a layer may make of an image: half a GiB."""


class Weights(NamedTuple):
    """What a layer of ours has of one of Keras's.

    Attributes
    ----------
    call
        Keras's layer.
    shapes
        Of its weights, by Keras's names and in Keras's order.
    turn
        From these to ours, by our names.
    """

    call: Call
    shapes: dict[str, tuple[int, ...]]
    turn: Callable[[Arrays], Arrays]


class Value(NamedTuple):
    """What a layer of ours gives: the layer's number, 0 for the image, and the shape."""

    number: int
    shape: Shape


@dataclass
class Layers:
    """A list of layers as `nets.LayeredAutoencoder` takes it, while it grows.

    Attributes
    ----------
    k
        Multiples that an image has which is neither large nor small.
    listed
        The layers so far.
    numbers
        How many numbers each makes of such an image.
    weights
        Of the layers by their number, counted from 1.
    """

    k: int
    listed: list[dict[str, Any]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    weights: dict[int, Weights] = field(default_factory=dict)

    def put(
        self,
        layer: dict[str, Any],
        shape: Shape,
        *of: Value,
        weights: Weights | None = None,
        title: str = "its input",
    ) -> Value:
        """Add a layer that takes some values; give the one that it makes."""
        made = numbers(shape, self.k)
        if made < 1:
            raise InputError(f"{title} leaves nothing of the image")
        if made > _MOST_NUMBERS:
            raise InputError(
                f"{title} makes {made:,} numbers of an image; {_MOST_NUMBERS:,} are the most"
            )
        sources = [value.number for value in of]
        if sources != [len(self.listed)]:
            layer = {**layer, "of": sources}
        self.listed.append(layer)
        self.numbers.append(made)
        if weights is not None:
            self.weights[len(self.listed)] = weights
        return Value(len(self.listed), shape)


class Work(NamedTuple):
    """A layer of Keras that is to be translated.

    Attributes
    ----------
    told
        Its options.
    values
        What it takes.
    layers
        Where ours are added.
    """

    told: Options
    values: tuple[Value, ...]
    layers: Layers

    @property
    def one(self) -> Value:
        """The value that it takes."""
        if len(self.values) != 1:
            raise InputError(f"{self.told.call.title} takes {len(self.values)} values; expected 1")
        return self.values[0]

    @property
    def map(self) -> Map:
        """The shape of the map that it takes."""
        shape = self.one.shape
        if isinstance(shape, Row) or shape.bare:
            told = "a row of values" if isinstance(shape, Row) else "an image without channels"
            raise InputError(
                f"{self.told.call.title} takes {told}; expected height, width, channels"
            )
        return shape

    def put(
        self, layer: dict[str, Any], shape: Shape, *of: Value, weights: Weights | None = None
    ) -> Value:
        """Add a layer that takes some values: by default the one."""
        taken = of or (self.one,)
        return self.layers.put(layer, shape, *taken, weights=weights, title=self.told.call.title)

    def same(self) -> bool:
        """Whether its padding is ``same``."""
        return self.told.word("padding", ["same", "valid"], "valid") == "same"
