"""Build up our list of layers from Keras's: values, checked options, and the source of weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autodenoise.errors import InputError
from autodenoise.files import printable
from autodenoise.keras_import.shapes import FeatureMap, Shape, Vector, value_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autodenoise.keras_import.graph import LayerCall

__all__ = ["Arrays", "LayerTranslation", "NetworkBuilder", "Value", "WeightSource"]

Arrays = Mapping[str, NDArray[np.float32]]
"""Weights by name."""

_MAX_VALUES: Final = 2**27
"""Per layer and image: half a GiB of float32."""

_MAX_SHOWN_CHARACTERS = 80

_TRAINING_OPTIONS = frozenset(
    {
        *("activity_regularizer", "autocast", "batch_input_shape", "batch_shape", "input_shape"),
        *("l1", "l2", "momentum", "name", "noise_shape", "rate", "renorm_clipping"),
        *("renorm_momentum", "seed", "stddev", "synchronized", "trainable", "fused"),
    }
)
_TRAINING_SUFFIXES = ("_constraint", "_initializer", "_regularizer")
"""Options without effect at inference."""

_FLOAT32_POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")
"""Dtype policies with float32 weights."""


class WeightSource(NamedTuple):
    """Where the weights of one of our layers come from.

    `shapes` are those of the Keras layer's weights by Keras's names, in Keras's order. `convert`
    converts these weights to ours, by our names.
    """

    call: LayerCall
    shapes: dict[str, tuple[int, ...]]
    convert: Callable[[Arrays], Arrays]


class Value(NamedTuple):
    """The output of one of our layers: the layer's number (0 is the image) and the shape."""

    number: int
    shape: Shape


@dataclass
class NetworkBuilder:
    """A growing list of layers in the form of `nets.LayeredAutoencoder`.

    `value_counts` has the number of values that each layer computes for a typical image, with sides
    of `k` multiples (see `shapes.Side`), and `weights` the sources by layer number, counted from 1.
    """

    k: int
    layers: list[dict[str, Any]] = field(default_factory=list)
    value_counts: list[int] = field(default_factory=list)
    weights: dict[int, WeightSource] = field(default_factory=dict)

    def add(
        self,
        layer: dict[str, Any],
        shape: Shape,
        *inputs: Value,
        weights: WeightSource | None = None,
        title: str = "its input",
    ) -> Value:
        """Append a layer and return its output, which must be neither empty nor too large."""
        count = value_count(shape, self.k)
        if count < 1:
            raise InputError(f"{title} leaves nothing of the image")
        if count > _MAX_VALUES:
            raise InputError(
                f"{title} computes {count:,} values per image; at most {_MAX_VALUES:,} are "
                "supported"
            )
        sources = [value.number for value in inputs]
        if sources != [len(self.layers)]:
            layer = {**layer, "of": sources}
        self.layers.append(layer)
        self.value_counts.append(count)
        if weights is not None:
            self.weights[len(self.layers)] = weights
        return Value(len(self.layers), shape)

    def reshape(self, value: Value, shape: Shape, title: str) -> Value:
        """Reshape a value, in the order of pixels and then channels.

        Raises `FixedSizeOnly` if the number of values depends on the image size.
        """
        if value.shape == shape:
            return value
        before, after = (
            part.length if isinstance(part, Vector) else math.prod(part.fixed())
            for part in (value.shape, shape)
        )
        if before != after:
            raise InputError(f"{title} reshapes {before:,} values into {after:,}")
        if isinstance(value.shape, FeatureMap):
            if isinstance(shape, FeatureMap) and value.shape.fixed() == shape.fixed():
                return value._replace(shape=shape)
            value = self.add({"kind": "flatten"}, Vector(before), value, title=title)
        if isinstance(shape, Vector):
            return value
        sides = dict(zip(("height", "width", "channels"), shape.fixed(), strict=True))
        return self.add({"kind": "reshape", **sides}, shape, value, title=title)


class LayerTranslation:
    """A Keras layer while it is translated: its inputs, and its options, each checked when read."""

    def __init__(self, call: LayerCall, inputs: Sequence[Value], builder: NetworkBuilder) -> None:
        self.call, self.inputs, self.builder = call, tuple(inputs), builder
        self._unused = {
            key: value
            for key, value in call.config.items()
            if key not in _TRAINING_OPTIONS and not key.endswith(_TRAINING_SUFFIXES)
        }
        dtype = self._unused.pop("dtype", None)
        if isinstance(dtype, dict):
            policy = dtype.get("config")
            dtype = policy.get("name") if isinstance(policy, dict) else dtype
        if dtype is not None and dtype not in _FLOAT32_POLICIES:
            raise self.invalid("dtype", dtype, " or ".join(_FLOAT32_POLICIES))

    @property
    def input(self) -> Value:
        """The only input."""
        if len(self.inputs) != 1:
            raise InputError(f"{self.call.title} has {len(self.inputs)} inputs; expected 1")
        return self.inputs[0]

    @property
    def feature_map(self) -> FeatureMap:
        """The shape of the only input, which has to be a feature map."""
        shape = self.input.shape
        if isinstance(shape, Vector) or shape.no_channel_axis:
            kind = "a vector" if isinstance(shape, Vector) else "an image without a channel axis"
            raise InputError(
                f"the input of {self.call.title} is {kind}; expected height, width, channels"
            )
        return shape

    def add(
        self,
        layer: dict[str, Any],
        shape: Shape,
        *inputs: Value,
        weights: WeightSource | None = None,
    ) -> Value:
        """Append a layer, by default after the only input."""
        return self.builder.add(
            layer, shape, *(inputs or (self.input,)), weights=weights, title=self.call.title
        )

    def option(self, key: str, default: Any = None) -> Any:
        """Return an option without a check."""
        value = self._unused.pop(key, None)
        if isinstance(value, dict) and value.get("class_name") == "__numpy__":
            # Keras's notation for an array.
            config = value.get("config")
            value = config.get("value") if isinstance(config, dict) else value
        return default if value is None else value

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """Return an integer in a range."""
        value = self.option(key, default)
        if type(value) is not int or not low <= value <= high:
            raise self.invalid(key, value, f"an integer from {low:,} to {high:,}")
        return value

    def pair(self, key: str, high: int, default: Sequence[int] | None = None) -> tuple[int, int]:
        """Return two integers from 1, for rows and columns; one integer counts for both."""
        value = self.option(key, default)
        match [value, value] if type(value) is int else value:
            case [int(rows), int(columns)] | (int(rows), int(columns)):
                if 1 <= rows <= high and 1 <= columns <= high:
                    return rows, columns
        raise self.invalid(key, value, f"two integers from 1 to {high:,}")

    def borders(self, key: str, high: int) -> tuple[int, int, int, int]:
        """Return numbers of rows and columns at the borders: top, bottom, left, right."""
        value = self.option(key)
        match value:
            case [[int(top), int(bottom)], [int(left), int(right)]]:
                if all(0 <= side <= high for side in (top, bottom, left, right)):
                    return top, bottom, left, right
        raise self.invalid(key, value, f"two pairs of integers from 0 to {high:,}")

    def number(self, key: str, default: float) -> float:
        """Return a finite number."""
        return self.check_number(key, self.option(key, default))

    def check_number(self, key: str, value: Any) -> float:
        """Return a value if it is a finite number."""
        if type(value) not in (int, float) or not math.isfinite(value):
            raise self.invalid(key, value, "a number")
        return float(value)

    def boolean(self, key: str, *, default: bool) -> bool:
        """Return True or False."""
        value = self.option(key, default)
        if not isinstance(value, bool):
            raise self.invalid(key, value, "true or false")
        return value

    def choice(self, key: str, known: Sequence[str], default: str) -> str:
        """Return one of some strings."""
        value = self.option(key, default)
        if value not in known:
            raise self.invalid(key, value, " or ".join(known))
        return str(value)

    def require_channels_last(self) -> None:
        """Check the option ``data_format``."""
        self.choice("data_format", ["channels_last"], "channels_last")

    def same_padding(self) -> bool:
        """Return whether the padding is ``same``; otherwise it is ``valid``."""
        return self.choice("padding", ["same", "valid"], "valid") == "same"

    def check_all_used(self) -> None:
        """Check that no unsupported option is set."""
        for key, value in self._unused.items():
            if value not in (None, False):
                raise self.invalid(key, value, "nothing, as this option is not supported")

    def invalid(self, key: str, value: Any, expected: str) -> InputError:
        """Return the error for an option."""
        shown = printable(str(value))
        if len(shown) > _MAX_SHOWN_CHARACTERS:
            shown = f"{shown[:_MAX_SHOWN_CHARACTERS]}..."
        return InputError(f"{self.call.title} has {printable(key)} = {shown}; expected {expected}")
