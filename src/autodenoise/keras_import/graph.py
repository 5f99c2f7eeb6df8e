"""Flatten Keras's description of a network into its layers, in the order of computation.

A model is a ``Sequential`` or a functional one, and may contain others of either kind. The
description is untrusted JSON: nothing in it is run, and unknown content is rejected by name.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from autodenoise.errors import InputError
from autodenoise.files import printable
from autodenoise.keras_import.files import LayerLocation

__all__ = ["MAX_LAYERS", "LayerCall", "LayerGraph", "flatten"]

MAX_LAYERS: Final = 256

_MODELS = ("Functional", "Model", "Sequential")
_PACKAGES = ("keras", "tf_keras")
_USE_KERAS_LAYERS = (
    ". Save a model that consists of these only, such as "
    "keras.Sequential([keras.Input((28, 28, 1)), model.encoder, model.decoder])"
)
_MAX_DEPTH = 8
_MAX_NAME_CHARACTERS = 200
_MAX_SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class LayerCall:
    """A layer applied to its inputs.

    `kind` is its class. `path` has the models that contain it, outermost first, and the layer
    itself. `inputs` are the numbers of the calls whose outputs it takes, counted from 1; 0 is the
    image.
    """

    kind: str
    config: dict[str, Any]
    path: tuple[LayerLocation, ...]
    inputs: tuple[int, ...]

    @property
    def title(self) -> str:
        """Its name in error messages."""
        return f"its layer '{printable(self.path[-1].name)}' ({printable(self.kind)})"


@dataclass(frozen=True)
class LayerGraph:
    """A network without nested models.

    `shape` is that of its input without the batch; None for a variable side. `output` is the number
    of the call whose output is the network's.
    """

    shape: tuple[int | None, ...]
    calls: tuple[LayerCall, ...]
    output: int


def flatten(model: dict[str, Any]) -> LayerGraph:
    """Return the layers of a network and their inputs, given `files.KerasFile.model`.

    Custom classes, several inputs or outputs, and shared layers are errors.
    """
    kind = model.get("class_name")
    if kind not in _MODELS:
        raise InputError(
            f"its class is '{printable(str(kind))}', whose Python code is not in the file; "
            f"expected {' or '.join(_MODELS)}{_USE_KERAS_LAYERS}"
        )
    _check_class(model)
    collector = _Collector()
    output = collector.add_model(model, (), 0)
    if collector.shape is None:
        raise InputError(
            "the shape of its input is unknown; start it with keras.Input((height, width, "
            "channels)), or call it once before saving"
        )
    return LayerGraph(collector.shape, tuple(collector.calls), output)


class _Collector:
    """Collects the calls of a model and of nested models."""

    def __init__(self) -> None:
        self.calls: list[LayerCall] = []
        self.shape: tuple[int | None, ...] | None = None

    def add_model(self, entry: dict[str, Any], path: tuple[LayerLocation, ...], input_: int) -> int:
        """Add a model that takes the output of a call; return the number of its output."""
        if len(path) > _MAX_DEPTH:
            raise InputError(f"its models are nested more than {_MAX_DEPTH} deep")
        config = entry.get("config")
        # Before 2018 a Sequential was the list of its layers.
        config = {"layers": config} if isinstance(config, list) else config
        if not isinstance(config, dict):
            raise _damaged("a model has no config")
        layers = _located_layers(config.get("layers"), path)
        if entry["class_name"] != "Sequential":
            return self._add_functional(config, layers, input_)
        self._note_shape(config.get("build_input_shape"), (input_,))
        for layer, layer_path in layers:
            input_ = self._add_layer(layer, layer_path, (input_,))
        return input_

    def _add_functional(
        self, config: dict[str, Any], layers: list[_LocatedLayer], input_: int
    ) -> int:
        first, last = (_end_layer(config.get(f"{end}_layers"), end) for end in ("input", "output"))
        outputs: dict[str, int] = {}
        waiting = layers
        while waiting:
            # A layer may be listed before those whose outputs it takes.
            later = []
            for layer, path in waiting:
                name = path[-1].name
                if name in outputs:
                    raise _damaged(f"two layers are named '{printable(name)}'")
                sources = _source_layers(layer, name)
                if all(source in outputs for source in sources):
                    inputs = (input_,) if name == first else tuple(outputs[one] for one in sources)
                    outputs[name] = self._add_layer(layer, path, inputs)
                else:
                    later.append((layer, path))
            if len(later) == len(waiting):
                raise _damaged("layers take inputs that no layer computes")
            waiting = later
        if first not in outputs or last not in outputs:
            raise _damaged("its input or output is not one of its layers")
        return outputs[last]

    def _add_layer(
        self, entry: dict[str, Any], path: tuple[LayerLocation, ...], inputs: tuple[int, ...]
    ) -> int:
        kind, name, config = entry["class_name"], printable(path[-1].name), entry.get("config")
        if kind in _MODELS:
            if len(inputs) != 1:
                raise InputError(f"its model '{name}' has {len(inputs)} inputs; expected 1")
            return self.add_model(entry, path, *inputs)
        if not isinstance(config, dict):
            raise _damaged(f"the layer '{name}' has no config")
        self._note_shape(config.get("batch_shape") or config.get("batch_input_shape"), inputs)
        if not inputs:
            raise InputError(f"it has more than one input: '{name}'; expected only the image")
        if kind == "InputLayer":
            return inputs[0]
        if len(self.calls) == MAX_LAYERS:
            raise InputError(f"it has more than {MAX_LAYERS} layers")
        self.calls.append(LayerCall(kind, config, path, inputs))
        return len(self.calls)

    def _note_shape(self, shape: Any, inputs: tuple[int, ...]) -> None:
        """Note the shape of the image, where a layer that takes it states one."""
        if self.shape is not None or inputs != (0,) or not isinstance(shape, list):
            return
        sides = shape[1:]
        if not sides or not all(side is None or (type(side) is int and side > 0) for side in sides):
            raise _damaged("its input has no shape")
        self.shape = tuple(sides)


_LocatedLayer = tuple[dict[str, Any], tuple[LayerLocation, ...]]


def _located_layers(layers: Any, parents: tuple[LayerLocation, ...]) -> list[_LocatedLayer]:
    """Return each layer of a model with its path."""
    if not isinstance(layers, list) or not layers:
        raise _damaged("a model has no layers")
    if len(layers) > MAX_LAYERS + 1:  # and the input
        raise InputError(f"it has more than {MAX_LAYERS} layers")
    counts: Counter[str] = Counter()
    located = []
    for layer in layers:
        kind = _check_class(layer)
        config = layer.get("config")
        name = layer.get("name") or (config.get("name") if isinstance(config, dict) else None)
        # In snake case, exactly as Keras does it.
        key = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
        key = re.sub(r"([a-z])([A-Z])", r"\1_\2", key).lower()
        number = counts[key]
        counts[key] += 1
        if not isinstance(name, str) or len(name) > _MAX_NAME_CHARACTERS:
            # Layers in a Sequential that is a list have no names.
            name = key
        location = LayerLocation(name, f"{key}_{number}" if number else key)
        located.append((layer, (*parents, location)))
    return located


def _check_class(entry: Any) -> str:
    """Return the class of a layer or model, which has to be one of Keras."""
    kind = entry.get("class_name") if isinstance(entry, dict) else None
    if not isinstance(kind, str) or len(kind) > _MAX_NAME_CHARACTERS:
        raise _damaged("a layer has no class")
    module, registered = entry.get("module"), entry.get("registered_name")
    custom = module is not None and str(module).partition(".")[0] not in _PACKAGES
    if custom or (isinstance(registered, str) and ">" in registered):
        raise InputError(
            f"it has a layer of the custom class '{printable(kind)}', whose Python code is not in "
            f"the file; expected Keras's own layers{_USE_KERAS_LAYERS}"
        )
    return kind


# References between layers. Keras identifies a value by the layer that computes it, the number of
# the call of that layer, and the number of the output of that call. Layers that are called once
# and have one output only need the name.


def _end_layer(references: Any, end: str) -> str:
    """Return the name of the layer that is a model's input or output."""
    ends = references if isinstance(references, list) else []
    if ends and isinstance(ends[0], str):
        # A single reference may be without a list around it.
        ends = [ends]
    if len(ends) != 1:
        count = len(references) if isinstance(references, dict) else len(ends)
        raise InputError(f"it has {count} {end}s; expected 1")
    return _source_layer(ends[0], "")


def _source_layers(layer: dict[str, Any], name: str) -> list[str]:
    """Return the names of the layers whose outputs a layer takes; none for an input."""
    calls = layer.get("inbound_nodes", [])
    if not isinstance(calls, list):
        raise _damaged(f"the inputs of the layer '{printable(name)}' are missing")
    if len(calls) > 1:
        raise InputError(
            f"its layer '{printable(name)}' is used {len(calls)} times; layers that share weights "
            "are not supported"
        )
    if not calls:
        return []
    (call,) = calls
    values = call.get("args") if isinstance(call, dict) else call
    match values:
        case [list(several)] if isinstance(call, dict):
            # Layers that merge values take them as a list.
            values = several
        case [str(), *_]:
            # A single reference may be without a list around it.
            values = [values]
    if not isinstance(values, list) or not values:
        raise _damaged(f"the inputs of the layer '{printable(name)}' are missing")
    # Keras 2 writes keyword arguments after each value.
    after = [value[3] for value in values if isinstance(value, list) and len(value) > 3]
    for arguments in [call.get("kwargs")] if isinstance(call, dict) else after:
        for key, value in arguments.items() if isinstance(arguments, dict) else ():
            if value is not None and value is not False:
                raise InputError(
                    f"its layer '{printable(name)}' is called with "
                    f"{printable(str(key)[:_MAX_SHOWN_CHARACTERS])}; expected only outputs of "
                    "other layers"
                )
    return [_source_layer(value, name) for value in values]


def _source_layer(value: Any, name: str) -> str:
    """Return the name of the layer that computes a value."""
    if isinstance(value, dict):  # Keras 3
        config = value.get("config")
        value = config.get("keras_history") if isinstance(config, dict) else None
    match value:
        case [str(source), int(), 0, *_]:
            return source
        case [str(source), int(), int(), *_]:
            raise InputError(f"its layer '{printable(source)}' has several outputs; expected one")
        case _:
            raise InputError(
                f"its layer '{printable(name)}' takes an input that is not the output of another "
                "layer, such as a number; use keras.layers.Rescaling instead"
            )


def _damaged(reason: str) -> InputError:
    return InputError(f"its description of the network is damaged: {reason}")
