"""Read protobuf messages from untrusted files, with bounded time, depth and memory.

A `Schema` declares the fields of a message; all other fields are errors, so other readers of the
same bytes cannot see more than was checked here. See the specification of the `encoding`_.

The ``protobuf`` package is not used, because it builds all messages before any of them can be
checked. A file of empty messages then takes about 60 times its size in memory: 30 GB for the
largest model file. This reader counts fields while it reads, and does not copy bytes.

.. _encoding: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from autodenoise.errors import InputError

__all__ = ["Message", "MessageReader", "Schema"]

_VARINT, _BYTES, _FIXED32 = 0, 2, 5
_WIRE_TYPES = {"int": _VARINT, "float": _FIXED32}
"""How scalars are encoded; texts, bytes and messages are bytes."""

_MAX_FIELDS = 200_000
"""The number of fields in one file; our largest network has a few thousand."""

_MAX_TEXT = 1000
_MAX_VARINT = 10
"""Both in bytes."""


class _Field(NamedTuple):
    name: str
    type: str
    repeated: bool

    @property
    def wire_type(self) -> int:
        return _WIRE_TYPES.get(self.type, _BYTES)


class Schema:
    """The fields that a message may have, declared as in a ``.proto`` file.

    The types are ``int``, ``float``, ``string`` (printable UTF-8), ``bytes``, and ``message``,
    which is read as bytes. Errors describe other fields by their number in `unsupported`.
    """

    def __init__(self, name: str, fields: str, unsupported: dict[int, str] | None = None) -> None:
        self.name, self.unsupported = name, unsupported or {}
        self.fields = {
            int(number): _Field(field, kind, repeated != "")
            for repeated, kind, field, number in re.findall(
                r"(repeated )?(int|float|string|bytes|message) (\w+) = (\d+);", fields
            )
        }


class Message(dict[str, list[Any]]):
    """The values of each field of a message: numbers, texts, or the bytes of nested messages."""

    def __init__(self, schema: Schema) -> None:
        super().__init__({field.name: [] for field in schema.fields.values()})
        self._name = schema.name

    def first(self, name: str, default: Any) -> Any:
        """Return the value of an optional field."""
        return self[name][0] if self[name] else default

    def only(self, name: str) -> memoryview:
        """Return the bytes of a nested message, or raise `InputError` unless it occurs once."""
        values: list[memoryview] = self[name]
        if len(values) != 1:
            raise InputError(f"its {self._name} has {len(values)} of {name}; expected 1")
        return values[0]


class MessageReader:
    """A reader of the messages of one file, which limits their total number of fields."""

    def __init__(self) -> None:
        self._fields_left = _MAX_FIELDS

    def read(self, content: memoryview, schema: Schema) -> Message:
        """Read one message, without its nested messages; only texts are copied.

        Raises `InputError` if it is damaged, or has a field that is not in its schema.
        """
        message = Message(schema)
        position = 0
        while position < len(content):
            self.count(1)
            key, position = _varint(content, position)
            number, wire_type = key >> 3, key & 7
            field = schema.fields.get(number)
            if field is None:
                found = schema.unsupported.get(number, f"field {number}")
                raise InputError(f"its {schema.name} has {found}, which is not supported")
            values = message[field.name]
            # Other readers would take the last value, or merge both.
            if values and not field.repeated:
                raise InputError(f"it is damaged: {field.name} occurs twice")
            if wire_type == field.wire_type == _VARINT:
                value, position = _varint(content, position)
                values.append(_signed(value))
                continue
            packed = field.repeated and field.type == "int" and wire_type == _BYTES
            if wire_type != field.wire_type and not packed:
                raise InputError(f"it is damaged: {field.name} has the wrong type")
            length, position = (
                (4, position) if wire_type == _FIXED32 else _varint(content, position)
            )
            part = content[position : position + length]
            position += length
            if position > len(content):
                raise InputError(f"it is damaged: it ends within {field.name}")
            if packed:
                self.count(len(part))
                end = 0
                while end < len(part):
                    value, end = _varint(part, end)
                    values.append(_signed(value))
            else:
                values.append(_text(part, field) if field.type == "string" else part)
        return message

    def count(self, fields: int) -> None:
        """Count values that are examined one by one; raise `InputError` if they are too many."""
        self._fields_left -= fields
        if self._fields_left < 0:
            raise InputError(f"it has more than {_MAX_FIELDS:,} fields")


def _varint(content: memoryview, position: int) -> tuple[int, int]:
    """Return the number that begins at a position, and the position after it."""
    value = 0
    for index, byte in enumerate(content[position : position + _MAX_VARINT]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position + index + 1
    raise InputError("it is damaged: a number has no end")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _text(part: memoryview, field: _Field) -> str:
    if len(part) > _MAX_TEXT:
        raise InputError(f"its {field.name} is longer than {_MAX_TEXT:,} bytes")
    try:
        text = bytes(part).decode()
    except UnicodeDecodeError:
        raise InputError(f"it is damaged: {field.name} is not UTF-8") from None
    if not text.isprintable():
        raise InputError(f"its {field.name} is not printable: {text!a}")
    return text
