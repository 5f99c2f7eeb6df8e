"""The card of a model file: its network, the images it takes, and its training."""

from __future__ import annotations

import dataclasses
import json
import math
import reprlib
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from autodenoise.errors import InputError
from autodenoise.metrics import loss_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    _Rule = tuple[str, Callable[[Any], bool]]

__all__ = ["CARD_KEY", "Card", "as_name", "expected"]

CARD_KEY = "autodenoise.card"
"""The key of the card's JSON text in the metadata of the ONNX file."""

_MAX_CHARACTERS = 64 * 1024
_MAX_SIDE = 100_000
_MAX_DEPTH = 16  # three nested noise mixtures are 14 deep

_RENAMED = {"licence": "license"}
"""Old to new keys; cards with the old ones can be read."""


@dataclass(frozen=True)
class Card:
    """The description of a model, which its file contains as JSON.

    Attributes
    ----------
    name
        Name of the recipe.
    network, arguments
        Name of the architecture, and its keyword arguments.
    channels
        Number of channels of the input and the output.
    size
        The only (height, width) that the network takes; None if it takes all multiples of
        `size_multiple`.
    size_multiple
        Height and width must be multiples of this number.
    halo
        Distance in pixels from which an input pixel can still change an output pixel; None if
        every pixel can.
    range
        Sample values of black and white in the training images, if their files did not define
        them; otherwise None.
    bytes_per_pixel
        Peak memory of inference in bytes per input pixel; None if unknown.
    parameters
        Number of trained parameters.
    noise
        The noise of the training images, as in the recipe.
    data
        Name of the training dataset.
    precision
        ``float32``, or ``int8`` if the inner convolutions are computed in 8 bits.
    parent, calibration
        For ``int8``: the SHA-256 of the float32 file, and the images used for calibration.
    scores
        Losses and PSNR at the end of training, by name.
    compute
        Time, machine and number of pixels of the training.
    limits
        What the model is not suitable for.
    source, license, version
        Where the method comes from, the license of the weights if there is one, and the version
        of autodenoise that wrote the file.
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
    license: str = ""
    version: str = ""

    @property
    def licence(self) -> str:
        """Return `license`; the old name is deprecated."""
        warnings.warn("Card.licence is now Card.license", DeprecationWarning, stacklevel=2)
        return self.license

    def to_json(self) -> str:
        """Return the card as JSON text."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Read a card from an untrusted file; keys of newer versions are ignored.

        All texts of the card are safe to print in a terminal.

        Raises
        ------
        InputError
            The text is not a card, a required key is missing, or a value has the wrong type or is
            out of range.
        """
        if len(text) > _MAX_CHARACTERS:
            raise InputError(
                f"the card has {len(text):,} characters; expected at most {_MAX_CHARACTERS:,}"
            )
        try:
            table = json.loads(text)
        except (ValueError, RecursionError):
            raise InputError("the card is damaged: it is not JSON") from None
        if not isinstance(table, dict):
            raise InputError(f"the card is {reprlib.repr(table)}; expected an object")
        table = {_RENAMED.get(key, key): value for key, value in table.items()}
        values: dict[str, Any] = {}
        for entry in dataclasses.fields(cls):
            if entry.name in table:
                value = table[entry.name]
                if rule := expected(entry.name, value):
                    found = reprlib.repr(value)
                    raise InputError(f"the card's {entry.name} is {found}; expected {rule}")
                pair = entry.name in ("size", "range") and value is not None
                values[entry.name] = tuple(value) if pair else value
            elif entry.default is entry.default_factory is dataclasses.MISSING:
                raise InputError(f"the card has no {entry.name}")
        return cls(**values)

    def describe(self) -> dict[str, list[str]]:
        """Return the card as lines of text for people, by label.

        Examples
        --------
        >>> Card("digits", "conv", channels=1, parameters=28_353, halo=10).describe()["images"]
        ['gray', 'any size', 'halo 10']
        """
        images = [{1: "gray", 3: "RGB"}.get(self.channels, f"{self.channels} channels")]
        if self.size is not None:
            images.append(f"{self.size[1]}x{self.size[0]} only")
        else:
            # The runtime pads sides that are not a multiple of `size_multiple`.
            images += ["any size", *([] if self.halo is None else [f"halo {self.halo}"])]
        precision = "" if self.precision == "float32" else self.precision
        lines = {
            "network": [self.network, f"{self.parameters:,} parameters", precision],
            "images": images,
            "trained on": [self.data, *map(_noise_text, self.noise)],
            "scores": [_score_text(name, score) for name, score in self.scores.items()],
            "not for": [self.limits],
            "source": [self.source],
            "license": [self.license],
        }
        return {label: [line for line in found if line] for label, found in lines.items()}


def _score_text(name: str, score: float) -> str:
    metric, _, noise = name.partition("_")
    if metric != "psnr":
        return f"{name} {loss_text(score)}"
    return f"PSNR {score:.2f} dB {'on clean images' if noise == 'clean' else f'at sigma {noise}'}"


def _noise_text(noise: dict[str, Any]) -> str:
    texts = [str(noise.get("kind", "noise"))]
    for key, value in noise.items():
        if key == "parts":
            texts.append(" / ".join(dict.fromkeys(_noise_kinds(value))))
        elif value is True:
            texts.append(key)
        elif key != "kind" and value is not False:
            values = value if isinstance(value, list) else [value]
            # Measured noise has tables that are too long for one line.
            if len(values) <= 2 and not any(isinstance(number, list) for number in values):
                texts.append(f"{key} {' to '.join(str(number) for number in values)}")
    return ", ".join(texts)


def _noise_kinds(parts: Any) -> Iterator[str]:
    """Yield the kinds of noise in nested mixtures."""
    if isinstance(parts, list):
        for part in parts:
            yield from _noise_kinds(part)
    elif isinstance(parts, dict):
        if "kind" in parts and "parts" not in parts:
            yield str(parts["kind"])
        for value in parts.values():
            yield from _noise_kinds(value)


def _integer(low: int, high: int, *, or_null: bool = False) -> _Rule:
    return (
        f"an integer from {low:,} to {high:,}" + (" or null" if or_null else ""),
        lambda value: (or_null and value is None) or _is_integer(value, low, high),
    )


def _is_integer(value: Any, low: int, high: int) -> bool:
    # In Python, JSON's true and false would be integers too.
    return type(value) is int and low <= value <= high


def _is_line(value: Any, max_length: int) -> bool:
    return isinstance(value, str) and len(value) <= max_length and value.isprintable()


def expected(field: str, value: Any) -> str:
    """Return what a field of a card must be; an empty text if the value is valid."""
    wanted, accepts = _RULES[field]
    return "" if accepts(value) else wanted


def as_name(text: str) -> str:
    """Return a file name with invalid characters for the name in a card replaced by ``_``."""
    return "".join(c if c.isprintable() and c not in "/\\" else "_" for c in text) or "_"


def _is_name(value: Any) -> bool:
    return _is_line(value, 255) and value != "" and not {"/", "\\"} & set(value)


def _is_size(value: Any) -> bool:
    sides = isinstance(value, list) and all(_is_integer(side, 1, _MAX_SIDE) for side in value)
    return value is None or (sides and len(value) == 2)


def _is_range(value: Any) -> bool:
    ends = isinstance(value, list) and all(type(end) in (int, float) for end in value)
    return value is None or (
        ends and len(value) == 2 and -math.inf < value[0] < value[1] < math.inf
    )


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and _is_plain(value, depth=_MAX_DEPTH)


def _is_plain(value: Any, depth: int) -> bool:
    """Return whether all texts are printable, all numbers finite, and the nesting not too deep."""
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


def _are_scores(value: Any) -> bool:
    return _is_table(value) and all(type(score) in (int, float) for score in value.values())


_LINE: _Rule = ("a line of at most 1,000 characters", lambda value: _is_line(value, 1000))

_RULES: dict[str, _Rule] = {
    "name": ("a name of 1 to 255 printable characters without / and \\", _is_name),
    "channels": _integer(1, 64),
    "parameters": _integer(0, 10**12),
    "arguments": ("an object of plain values", _is_table),
    "size": (f"null, or height and width, each from 1 to {_MAX_SIDE:,}", _is_size),
    "size_multiple": _integer(1, 1024),
    "halo": _integer(0, 10_000, or_null=True),
    "range": ("null, or two finite numbers, the lower one first", _is_range),
    "bytes_per_pixel": _integer(1, 10**9, or_null=True),
    "noise": (
        "a list of objects of plain values",
        lambda value: isinstance(value, list) and all(map(_is_table, value)),
    ),
    "precision": ("float32 or int8", lambda value: value in ("float32", "int8")),
    "scores": ("an object of finite numbers", _are_scores),
    **dict.fromkeys(("network", "data", "parent", "calibration", "compute"), _LINE),
    **dict.fromkeys(("limits", "source", "license", "version"), _LINE),
}
"""What each field must be, and a function that checks it."""
