"""The card of a model file: what the network is, what it may be fed, and what it was taught."""

from __future__ import annotations

import dataclasses
import json
import math
import reprlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from autodenoise.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CARD_KEY", "Card", "as_name", "expected"]

CARD_KEY = "autodenoise.card"
"""The metadata key of the ONNX file under which the card lies, as JSON."""

_LONGEST = 64 * 1024
_LARGEST_SIDE = 100_000
_DEEPEST = 16  # a mixture of noise in a mixture in a mixture is 14 deep


@dataclass(frozen=True)
class Card:
    """Everything there is to know about a model file but its weights.

    Attributes
    ----------
    name
        The recipe's name.
    network, arguments
        Architecture and the keywords it was made with.
    channels
        Of the image, in and out.
    size
        The only (height, width) that fits; None where any multiple of `size_multiple` does.
    size_multiple
        Sides must be multiples of this.
    halo
        How many pixels away an input can still change an output; None where all may.
    range
        What is black and what is white in the samples that it was trained on, where their files did
        not say so; None where they did.
    bytes_per_pixel
        Most memory that running it holds at once, for each pixel of its input; None if not known.
    parameters
        Count of trained numbers.
    noise
        What it was trained on, as the recipe says it.
    data
        The data set trained on.
    precision
        ``float32``; or ``int8`` where the inner convolutions are computed in 8 bits.
    parent, calibration
        Of an ``int8`` file: the SHA-256 of the file in float32 that it was made of, and the images
        that its ranges were found on.
    scores
        Losses at the end of training, by name.
    compute
        What training took: time, machine, pixels.
    limits
        What it is not for.
    source, licence, version
        Where the method is from, the weights' licence if their owner gave one, and the autodenoise
        that wrote the file.
    """

    name: str
    network: str
    channels: int
    parameters: int
    arguments: dict[str, Any] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    size_multiple: int = 1
    halo: int | None = None
    range: tuple[float, float] | None = None
    bytes_per_pixel: int | None = None
    noise: list[dict[str, Any]] = field(default_factory=list)
    data: str = ""
    precision: str = "float32"
    parent: str = ""
    calibration: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    compute: str = ""
    limits: str = ""
    source: str = ""
    licence: str = ""
    version: str = ""

    def to_json(self) -> str:
        """Write the card as JSON text."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Read a card of whatever origin; keys of a newer version are passed over.

        What it holds is safe to print in a terminal.

        Raises
        ------
        InputError
            It is no card, lacks what running the model needs, or a value is of the wrong type or
            out of range.
        """
        if len(text) > _LONGEST:
            raise InputError(f"the card has {len(text):,} characters; {_LONGEST:,} are the most")
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            raise InputError("the card is damaged: it is not JSON") from None
        if not isinstance(told, dict):
            raise InputError(f"the card is {reprlib.repr(told)}; expected an object")
        values = {}
        for entry in dataclasses.fields(cls):
            if entry.name in told:
                value = told[entry.name]
                if wanted := expected(entry.name, value):
                    shown = reprlib.repr(value)
                    raise InputError(f"the card's {entry.name} is {shown}; expected {wanted}")
                values[entry.name] = value
            elif entry.default is entry.default_factory is dataclasses.MISSING:
                raise InputError(f"the card has no {entry.name}")
        for name in ("size", "range"):
            if values.get(name) is not None:
                values[name] = tuple(values[name])
        return cls(**values)


class _Rule(NamedTuple):
    expected: str
    holds: Callable[[Any], bool]


def _whole(low: int, high: int, *, or_null: bool = False) -> _Rule:
    return _Rule(
        f"a whole number from {low:,} to {high:,}" + (" or null" if or_null else ""),
        lambda value: (or_null and value is None) or _is_whole(value, low, high),
    )


def _is_whole(value: Any, low: int, high: int) -> bool:
    # JSON's true and false are whole numbers to Python.
    return type(value) is int and low <= value <= high


def _is_line(value: Any, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest and value.isprintable()


def expected(field: str, value: Any) -> str:
    """Say what a field of a card has to be; nothing if it may have this value."""
    rule = _RULES[field]
    return "" if rule.holds(value) else rule.expected


def as_name(text: str) -> str:
    """Turn a file's name into one that a card may have: what it may not hold becomes ``_``."""
    return "".join(c if c.isprintable() and c not in "/\\" else "_" for c in text) or "_"


def _is_name(value: Any) -> bool:
    return _is_line(value, 255) and value != "" and not {"/", "\\"} & set(value)


def _is_size(value: Any) -> bool:
    if value is None:
        return True
    whole = isinstance(value, list) and all(_is_whole(side, 1, _LARGEST_SIDE) for side in value)
    return whole and len(value) == 2


def _is_range(value: Any) -> bool:
    if value is None:
        return True
    numbers = isinstance(value, list) and all(type(end) in (int, float) for end in value)
    return numbers and len(value) == 2 and -math.inf < value[0] < value[1] < math.inf


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and _is_plain(value, depth=_DEEPEST)


def _is_plain(value: Any, depth: int) -> bool:
    """Tell whether all texts can be printed, all numbers are finite, and nothing lies too deep."""
    match value:
        case str():
            return value.isprintable()
        case float():
            return math.isfinite(value)
        case list():
            return depth > 0 and all(_is_plain(item, depth - 1) for item in value)
        case dict():
            return depth > 0 and all(
                key.isprintable() and _is_plain(item, depth - 1) for key, item in value.items()
            )
        case _:
            return True


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and all(_is_table(item) for item in value)


def _are_scores(value: Any) -> bool:
    return _is_table(value) and all(type(score) in (int, float) for score in value.values())


_LINE = _Rule("a line of at most 1,000 characters", lambda value: _is_line(value, 1000))

_RULES = {
    "name": _Rule("a name of 1 to 255 characters that can be printed, without / and \\", _is_name),
    "network": _LINE,
    "channels": _whole(1, 64),
    "parameters": _whole(0, 10**12),
    "arguments": _Rule("an object of plain values", _is_table),
    "size": _Rule(f"null, or height and width, each from 1 to {_LARGEST_SIDE:,}", _is_size),
    "size_multiple": _whole(1, 1024),
    "halo": _whole(0, 10_000, or_null=True),
    "range": _Rule("null, or two finite numbers, the lower one first", _is_range),
    "bytes_per_pixel": _whole(1, 10**9, or_null=True),
    "noise": _Rule("a list of objects of plain values", _are_tables),
    "data": _LINE,
    "precision": _Rule("float32 or int8", lambda value: value in ("float32", "int8")),
    "parent": _LINE,
    "calibration": _LINE,
    "scores": _Rule("an object of finite numbers", _are_scores),
    "compute": _LINE,
    "limits": _LINE,
    "source": _LINE,
    "licence": _LINE,
    "version": _LINE,
}
"""What each field of a card from a file has to be."""
