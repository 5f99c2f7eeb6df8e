"""Keras's activations, which are options of layers and layers themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autodenoise.keras_import.graph import Call
from autodenoise.keras_import.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from autodenoise.keras_import.parts import Value, Work

__all__ = ["ACTIVATIONS", "FUNCTIONS", "activated", "activation"]

_Layer = dict[str, Any]

FUNCTIONS: dict[str, _Layer] = {
    "linear": {},
    "relu": {"kind": "relu"},
    "relu6": {"kind": "relu", "most": 6.0},
    "leaky_relu": {"kind": "leaky-relu", "negative_slope": 0.2},
    "elu": {"kind": "elu"},
    "selu": {"kind": "selu"},
    "silu": {"kind": "silu"},
    "swish": {"kind": "silu"},
    "sigmoid": {"kind": "sigmoid"},
    "tanh": {"kind": "tanh"},
}
"""Our layer for each of Keras's functions; an empty one does nothing."""


def _relu(told: Options) -> _Layer:
    for key in ("negative_slope", "threshold"):
        if told.number(key, 0.0):
            raise told.refused(key, told.call.config[key], "0")
    most = told.number("max_value", 0.0)
    return {"kind": "relu", "most": most} if most else {"kind": "relu"}


def _leaky_relu(told: Options) -> _Layer:
    # Keras 2 calls it alpha.
    slope = told.number("negative_slope", told.number("alpha", 0.3))
    return {"kind": "leaky-relu", "negative_slope": slope}


def _elu(told: Options) -> _Layer:
    return {"kind": "elu", "alpha": told.number("alpha", 1.0)}


ACTIVATIONS: dict[str, Callable[[Options], _Layer]] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    # keras.ops on what a layer gives.
    "Relu": lambda _: FUNCTIONS["relu"],
    "Sigmoid": lambda _: FUNCTIONS["sigmoid"],
    "Tanh": lambda _: FUNCTIONS["tanh"],
}
"""Our layer for each of Keras's that is an activation."""


def activation(work: Work) -> Value:
    """Translate a layer that is an activation."""
    return _put(work, ACTIVATIONS[work.told.call.kind](work.told), work.one)


def activated(work: Work, value: Value) -> Value:
    """Add what a layer's option ``activation`` says."""
    told = work.told.take("activation", "linear")
    if isinstance(told, dict):
        # A layer in the place of a function, or a function of the user's.
        kind, config = told.get("class_name"), told.get("config")
        if kind in ACTIVATIONS and isinstance(config, dict):
            inside = Options(Call(kind, config, work.told.call.places, ()))
            layer = ACTIVATIONS[kind](inside)
            inside.finish()
            return _put(work, layer, value)
        told = config if isinstance(config, str) else kind
    if not isinstance(told, str) or told not in FUNCTIONS:
        raise work.told.refused("activation", told, f"one of {', '.join(FUNCTIONS)}")
    return _put(work, FUNCTIONS[told], value)


def _put(work: Work, layer: _Layer, value: Value) -> Value:
    return work.put(layer, value.shape, value) if layer else value
