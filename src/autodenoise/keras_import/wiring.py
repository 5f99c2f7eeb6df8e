"""Which layers take the values of which, as Keras 3 and Keras 2 write it.

A value is told by the layer that gives it, the number of that layer's call, and the number of the
value among those of the call. Layers that are called once, and give one value, need the name alone.
"""

from __future__ import annotations

from typing import Any

from autodenoise.errors import InputError
from autodenoise.files import printable

__all__ = ["damaged", "end_of", "sources"]


def end_of(told: Any, end: str) -> str:
    """Give the name of the layer that is a model's input or output.

    Raises
    ------
    InputError
        There are several, or none.
    """
    ends = told if isinstance(told, list) else []
    if ends and isinstance(ends[0], str):
        # One alone may be in no list.
        ends = [ends]
    if len(ends) != 1:
        count = len(told) if isinstance(told, dict) else len(ends)
        raise InputError(f"it has {count} {end}s; expected 1")
    return _source(ends[0], "")


def sources(layer: dict[str, Any], name: str) -> list[str]:
    """Give the names of the layers whose values a layer takes; none for an input.

    Raises
    ------
    InputError
        It is called more than once, or with something else.
    """
    calls = layer.get("inbound_nodes", [])
    if not isinstance(calls, list):
        raise damaged(f"what the layer '{printable(name)}' takes is not told")
    if len(calls) > 1:
        raise InputError(
            f"its layer '{printable(name)}' is used {len(calls)} times; layers that share weights "
            "are not supported"
        )
    return _taken(calls[0], name) if calls else []


def _taken(call: Any, name: str) -> list[str]:
    values = call.get("args") if isinstance(call, dict) else call
    match values:
        case [list(several)] if isinstance(call, dict):
            # What joins values takes them as a list.
            values = several
        case [str(), *_]:
            # One alone may be in no list.
            values = [values]
    if not isinstance(values, list) or not values:
        raise damaged(f"what the layer '{printable(name)}' takes is not told")
    for options in _options(call, values):
        for key, value in options.items():
            if value is not None and value is not False:
                raise InputError(
                    f"its layer '{printable(name)}' is called with {printable(str(key)[:80])}; "
                    "expected values of other layers alone"
                )
    return [_source(value, name) for value in values]


def _options(call: Any, values: list[Any]) -> list[dict[Any, Any]]:
    """Give what else a call was made with, which Keras 2 writes behind each value."""
    if isinstance(call, dict):
        told = [call.get("kwargs")]
    else:
        told = [value[3] for value in values if isinstance(value, list) and len(value) > 3]
    return [options for options in told if isinstance(options, dict)]


def _source(value: Any, name: str) -> str:
    """Give the name of the layer that a value is of."""
    if isinstance(value, dict):  # Keras 3
        config = value.get("config")
        value = config.get("keras_history") if isinstance(config, dict) else None
    match value:
        case [str(source), int(), 0, *_]:
            return source
        case [str(source), int(), int(), *_]:
            raise InputError(f"its layer '{printable(source)}' gives several values; expected one")
        case _:
            raise InputError(
                f"its layer '{printable(name)}' takes what is no value of another layer, such as a "
                "number; keras.layers.Rescaling can stand there"
            )


def damaged(what: str) -> InputError:
    """Make the error for a description that makes no sense."""
    return InputError(f"its description of the network is damaged: {what}")
