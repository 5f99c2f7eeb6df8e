"""A model file is read with suspicion, before ONNX Runtime sees any of it.

An ONNX file is one protobuf message, ``ModelProto`` of `onnx.proto`_. It can say far more than a
denoiser needs: loops, code of other libraries, weights that lie in any other file of the machine.
And ONNX Runtime trusts what it is given: a ``ConvTranspose`` in 0 groups ends the whole process. So
everything here is a list of what our own networks need, and a file with anything else is refused.

.. _onnx.proto: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from autodenoise.errors import InputError
from autodenoise.runtime.card import CARD_KEY, Card

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LARGEST", "OPERATORS", "Contents", "inspect", "read"]

LARGEST: Final = 512 * 1024**2
"""The most bytes that a model file may have: 134 million weights."""

OPERATORS: Final = frozenset(
    {
        "Add",
        "Clip",
        "Concat",
        "Conv",
        "ConvTranspose",
        "DepthToSpace",
        "Div",
        "Gemm",
        "MaxPool",
        "Mul",
        "Pad",
        "Relu",
        "Reshape",
        "Resize",
        "Shape",
        "Sigmoid",
        "Slice",
        "Transpose",
    }
)
"""What networks are made of, all from ONNX's own set."""

_MOST_FIELDS = 200_000
"""The most parts of a message, all together; our largest network has a few thousand."""

_LONGEST_TEXT = 1000
_MOST_AXES = 8
_LARGEST_SETTING = 4096
_NEVER_ZERO = frozenset({"blocksize", "dilations", "group", "kernel_shape", "strides"})
"""Settings of operators that ONNX Runtime divides by, or walks along."""

_FLOAT = 1
_ITEM_SIZES = {_FLOAT: 4, 7: 8}
"""Bytes a number, by ``TensorProto.DataType``: float32, and int64 for shapes."""

_VARINT, _BYTES, _FIXED32 = 0, 2, 5
"""How protobuf writes a field."""

_LONGEST_VARINT = 10


class _Field(NamedTuple):
    """A field of a message that may be there.

    `wire` is how it is written; `text` says that it has to be UTF-8 that a terminal can show, and
    `many` that it may come more than once, numbers then also packed into one.
    """

    name: str
    wire: int = _BYTES
    text: bool = False
    many: bool = False


# Messages of onnx.proto by the numbers of their fields: what our exporter writes, and remarks.
_MODEL = {
    1: _Field("ir_version", _VARINT),
    2: _Field("producer_name"),
    3: _Field("producer_version"),
    4: _Field("domain"),
    5: _Field("model_version", _VARINT),
    6: _Field("doc_string"),
    7: _Field("graph"),
    8: _Field("opset_import", many=True),
    14: _Field("metadata_props", many=True),
}
_OPERATOR_SET = {1: _Field("domain", text=True), 2: _Field("version", _VARINT)}
_METADATA = {1: _Field("key"), 2: _Field("value")}
_GRAPH = {
    1: _Field("node", many=True),
    2: _Field("name", text=True),
    5: _Field("initializer", many=True),
    10: _Field("doc_string"),
    11: _Field("input", many=True),
    12: _Field("output", many=True),
    13: _Field("value_info", many=True),
    16: _Field("metadata_props", many=True),
}
_NODE = {
    1: _Field("input", text=True, many=True),
    2: _Field("output", text=True, many=True),
    3: _Field("name", text=True),
    4: _Field("op_type", text=True),
    5: _Field("attribute", many=True),
    6: _Field("doc_string"),
    7: _Field("domain", text=True),
    9: _Field("metadata_props", many=True),
}
_ATTRIBUTE = {
    1: _Field("name", text=True),
    2: _Field("f", _FIXED32),
    3: _Field("i", _VARINT),
    4: _Field("s", text=True),
    8: _Field("ints", _VARINT, many=True),
    13: _Field("doc_string"),
    20: _Field("type", _VARINT),
}
_TENSOR = {
    1: _Field("dims", _VARINT, many=True),
    2: _Field("data_type", _VARINT),
    8: _Field("name", text=True),
    9: _Field("raw_data"),
    12: _Field("doc_string"),
    16: _Field("metadata_props", many=True),
}
_VALUE = {
    1: _Field("name", text=True),
    2: _Field("type"),
    3: _Field("doc_string"),
    4: _Field("metadata_props", many=True),
}
_TYPE = {1: _Field("tensor_type"), 6: _Field("denotation", text=True)}
_TENSOR_TYPE = {1: _Field("elem_type", _VARINT), 2: _Field("shape")}
_SHAPE = {1: _Field("dim", many=True)}
_SIDE = {
    1: _Field("dim_value", _VARINT),
    2: _Field("dim_param", text=True),
    3: _Field("denotation", text=True),
}

_REFUSED = {
    ("graph", 15): "sparse weights",
    ("attribute", 5): "a tensor",
    ("attribute", 6): "a graph of its own",
    ("attribute", 10): "tensors",
    ("attribute", 11): "graphs of its own",
    ("attribute", 22): "a sparse tensor",
    ("attribute", 23): "sparse tensors",
    ("initializer", 13): "a place outside the file",
    ("initializer", 14): "a place outside the file",
    ("model", 20): "training steps",
    ("model", 25): "functions of its own",
}
"""What the fields are that a file is refused for, where there is a word for it."""

_Fields = dict[str, list[Any]]
_Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Contents:
    """What a model file holds beside its weights.

    Attributes
    ----------
    operators
        Of the network's nodes, in their order.
    metadata
        Texts by their key; the card is one.
    shapes
        Of the noisy and of the clean image as the file declares them, (N, C, H, W): None for a side
        that is free.
    """

    operators: tuple[str, ...]
    metadata: dict[str, str]
    shapes: tuple[_Shape, _Shape]


def read(path: Path) -> tuple[bytes, Card]:
    """Read a model file from anybody, and check that it can do no harm.

    Returns
    -------
    bytes
        The file. Run these and not the path, where something else may lie by now.
    Card
        What it says of itself, and is true of its network as far as its shapes tell.

    Raises
    ------
    InputError
        The file is missing, damaged, has no card, or holds more than a denoiser needs.
    """
    if not path.is_file():
        raise InputError(f"no such model file: {path}")
    try:
        with path.open("rb") as file:
            # One byte too many is enough to tell.
            content = file.read(min(path.stat().st_size, LARGEST + 1))
        contents = inspect(content)
        card = Card.from_json(contents.metadata[CARD_KEY])
        _compare(card, contents)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except InputError as error:
        raise InputError(f"{path} is no model file to be used: {error}") from None
    return content, card


def _compare(card: Card, contents: Contents) -> None:
    sides = card.size or (None, None)
    for shape in contents.shapes:
        if shape[1:] != (card.channels, *sides):
            told, found = (_in_words(s) for s in ((card.channels, *sides), shape[1:]))
            raise InputError(f"its card tells of images of {told}, its network is for {found}")


def _in_words(shape: _Shape) -> str:
    channels, height, width = ("any" if side is None else side for side in shape)
    return f"{channels} channel(s) and {width}x{height} pixels"


def inspect(content: bytes) -> Contents:
    """Check the bytes of a model file, and tell what they hold.

    Its time grows with the number of parts, which is limited, and the weights are not copied.

    Raises
    ------
    InputError
        They are damaged, have no card, or hold anything that our own networks have no need of.
    """
    if len(content) > LARGEST:
        raise InputError(f"it has more than {LARGEST:,} bytes")
    # ONNX Runtime takes bytes that are marked so for a format of its own, whatever else they are.
    if content[4:8] == b"ORTM":
        raise InputError("it is in ONNX Runtime's own format; expected ONNX")
    reader = _Reader()
    model = reader.fields(memoryview(content), "model", _MODEL)
    metadata = dict(_metadata(reader, part) for part in model["metadata_props"])
    if CARD_KEY not in metadata:
        raise InputError("it has no autodenoise card; train writes files that have one")
    for part in model["opset_import"]:
        _check_domain(reader.fields(part, "opset_import", _OPERATOR_SET))
    graph = reader.fields(_only(model, "graph", "model"), "graph", _GRAPH)
    for part in graph["initializer"]:
        _check_weights(reader, part)
    for part in graph["value_info"]:
        _tensor_type(reader, part)
    noisy, clean = (_only(graph, name, "network") for name in ("input", "output"))
    return Contents(
        operators=tuple(_operator(reader, part) for part in graph["node"]),
        metadata=metadata,
        shapes=(_image_shape(reader, noisy), _image_shape(reader, clean)),
    )


def _metadata(reader: _Reader, part: memoryview) -> tuple[str, str]:
    entry = reader.fields(part, "metadata_props", _METADATA)
    key, value = (bytes(_first(entry, name, b"")) for name in ("key", "value"))
    try:
        return key.decode(), value.decode()
    except UnicodeDecodeError:
        raise InputError("it is damaged: its metadata is not UTF-8") from None


def _operator(reader: _Reader, part: memoryview) -> str:
    node = reader.fields(part, "node", _NODE)
    _check_domain(node)
    name: str = _first(node, "op_type", "")
    if name not in OPERATORS:
        raise InputError(f"it has the operator '{name}', which no network of autodenoise needs")
    for setting in node["attribute"]:
        _check_setting(name, reader.fields(setting, "attribute", _ATTRIBUTE))
    return name


def _check_domain(fields: _Fields) -> None:
    if (domain := _first(fields, "domain", "")) != "":
        raise InputError(f"it wants operators of '{domain}'; expected ONNX's own alone")


def _check_setting(operator: str, setting: _Fields) -> None:
    name = _first(setting, "name", "")
    numbers = [*setting["i"], *setting["ints"]]
    low = 0
    if name in _NEVER_ZERO:
        low = 1
        # What is not there is 0 to ONNX Runtime.
        numbers = numbers or [0]
    for number in numbers:
        if not low <= number <= _LARGEST_SETTING:
            raise InputError(
                f"its {operator} has {name} = {number}; expected {low} to {_LARGEST_SETTING}"
            )


def _check_weights(reader: _Reader, part: memoryview) -> None:
    tensor = reader.fields(part, "initializer", _TENSOR)
    name, kind, axes = _first(tensor, "name", ""), _first(tensor, "data_type", 0), tensor["dims"]
    if kind not in _ITEM_SIZES:
        raise InputError(f"its weights '{name}' are of type {kind}; expected float32 or int64")
    if len(axes) > _MOST_AXES or any(not 1 <= axis <= LARGEST for axis in axes):
        raise InputError(f"its weights '{name}' have an impossible shape")
    expected, found = math.prod(axes) * _ITEM_SIZES[kind], len(_first(tensor, "raw_data", b""))
    if expected != found:
        raise InputError(
            f"its weights '{name}' need {expected:,} bytes by their shape and have {found:,}"
        )


def _tensor_type(reader: _Reader, part: memoryview) -> tuple[int, _Shape]:
    value = reader.fields(part, "value", _VALUE)
    kind = reader.fields(_only(value, "type", "value"), "type", _TYPE)
    tensor = reader.fields(_only(kind, "tensor_type", "type"), "tensor type", _TENSOR_TYPE)
    shape = reader.fields(_first(tensor, "shape", memoryview(b"")), "shape", _SHAPE)
    sides = [reader.fields(side, "side", _SIDE) for side in shape["dim"]]
    return _first(tensor, "elem_type", 0), tuple(_first(side, "dim_value", None) for side in sides)


def _image_shape(reader: _Reader, part: memoryview) -> _Shape:
    kind, shape = _tensor_type(reader, part)
    if kind != _FLOAT or len(shape) != 4:
        raise InputError("its network does not take and give float32 images (N, C, H, W)")
    return shape


def _first(fields: _Fields, name: str, default: Any) -> Any:
    return fields[name][0] if fields[name] else default


def _only(fields: _Fields, name: str, where: str) -> memoryview:
    found = fields[name]
    if len(found) != 1:
        raise InputError(f"its {where} has {len(found)} of {name}; expected 1")
    part: memoryview = found[0]
    return part


class _Reader:
    """Takes messages apart, each by a table of its fields, and keeps count of them."""

    def __init__(self) -> None:
        self._left = _MOST_FIELDS

    def fields(self, message: memoryview, what: str, table: dict[int, _Field]) -> _Fields:
        """Give the fields of one message by name: numbers, texts, or the bytes of what is inside.

        Raises
        ------
        InputError
            It is damaged, or there is a field that is not in the table.
        """
        found: _Fields = {field.name: [] for field in table.values()}
        place = 0
        while place < len(message):
            self._count(1)
            key, place = _varint(message, place)
            number, wire = key >> 3, key & 7
            if number not in table:
                named = _REFUSED.get((what, number), f"the field {number}")
                raise InputError(f"its {what} has {named}, which no network of autodenoise needs")
            field = table[number]
            packed = field.many and field.wire == _VARINT and wire == _BYTES
            if wire != field.wire and not packed:
                raise InputError(f"it is damaged: {field.name} is written in the wrong way")
            if found[field.name] and not field.many:
                raise InputError(f"it is damaged: {field.name} comes twice")
            if wire == _VARINT:
                value, place = _varint(message, place)
                found[field.name].append(_signed(value))
                continue
            length = 4
            if wire == _BYTES:
                length, place = _varint(message, place)
            part = message[place : place + length]
            place += length
            if place > len(message):
                raise InputError(f"it is damaged: it ends in the middle of {field.name}")
            if packed:
                found[field.name] += self._unpack(part)
            else:
                found[field.name].append(_text(part, field) if field.text else part)
        return found

    def _unpack(self, part: memoryview) -> list[int]:
        self._count(len(part))
        numbers, place = [], 0
        while place < len(part):
            value, place = _varint(part, place)
            numbers.append(_signed(value))
        return numbers

    def _count(self, parts: int) -> None:
        self._left -= parts
        if self._left < 0:
            raise InputError(f"it has more than {_MOST_FIELDS:,} parts")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift, byte in enumerate(message[place : place + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, place + shift + 1
    raise InputError("it is damaged: a number has no end")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _text(part: memoryview, field: _Field) -> str:
    try:
        text = bytes(part).decode()
    except UnicodeDecodeError:
        raise InputError(f"it is damaged: {field.name} is not UTF-8") from None
    if not text.isprintable() or len(text) > _LONGEST_TEXT:
        raise InputError(f"its {field.name} is no name that can be printed in a line")
    return text
