"""Protobuf messages taken apart field by field, of whatever bytes, in bounded time and depth.

The `encoding`_ alone, without the package: a message is a row of fields, each a key, which holds
the field's number and how it is written, and a value. Here a layout says which fields there may be,
and anything else is refused, so that nobody after us can see in a file what we did not.

.. _encoding: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from autodenoise.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BYTES", "FIXED32", "VARINT", "Field", "Layout", "Message", "Reader"]

VARINT: Final = 0
BYTES: Final = 2
FIXED32: Final = 5

_MOST_FIELDS = 200_000
"""In one file, all together; our largest network has a few thousand."""

_LONGEST_TEXT = 1000
_LONGEST_VARINT = 10


class Field(NamedTuple):
    """A field that a message may have.

    Attributes
    ----------
    name
        As the ``.proto`` file has it.
    wire
        How it is written: `VARINT`, `BYTES` (texts and messages too) or `FIXED32`.
    text
        It is UTF-8 that can be printed in a line.
    many
        It may come more than once; numbers also packed into one.
    """

    name: str
    wire: int = BYTES
    text: bool = False
    many: bool = False


class Layout(NamedTuple):
    """A kind of message.

    Attributes
    ----------
    name
        What errors call it.
    fields
        Those it may have, by their number.
    refused
        What some of the others are, in words.
    """

    name: str
    fields: Mapping[int, Field]
    refused: Mapping[int, str] = MappingProxyType({})


class Message:
    """What the fields of one message hold: numbers, texts, or the bytes of messages inside."""

    def __init__(self, layout: Layout) -> None:
        self._name = layout.name
        self._found: dict[str, list[Any]] = {field.name: [] for field in layout.fields.values()}

    def __getitem__(self, name: str) -> list[Any]:
        return self._found[name]

    def first(self, name: str, default: Any) -> Any:
        """Give a field that may be left out."""
        return self._found[name][0] if self._found[name] else default

    def only(self, name: str) -> memoryview:
        """Give a message inside that there must be once.

        Raises
        ------
        InputError
            There is none, or more than one.
        """
        found: list[memoryview] = self._found[name]
        if len(found) != 1:
            raise InputError(f"its {self._name} has {len(found)} of {name}; expected 1")
        return found[0]


class Reader:
    """Takes the messages of one file apart, and keeps count of their fields."""

    def __init__(self) -> None:
        self._left = _MOST_FIELDS

    def read(self, content: memoryview, layout: Layout) -> Message:
        """Take one message apart; nothing is copied but texts.

        Raises
        ------
        InputError
            It is damaged, or has a field that is not in its layout.
        """
        message = Message(layout)
        place = 0
        while place < len(content):
            self.count(1)
            key, place = _varint(content, place)
            number, wire = key >> 3, key & 7
            field = layout.fields.get(number)
            if field is None:
                found = layout.refused.get(number, f"a field {number}")
                raise InputError(
                    f"its {layout.name} has {found}, which no network of autodenoise needs"
                )
            values = message[field.name]
            # A reader that takes the last of two, or joins them, would see what we do not.
            if values and not field.many:
                raise InputError(f"it is damaged: {field.name} comes twice")
            if wire == field.wire == VARINT:
                value, place = _varint(content, place)
                values.append(_signed(value))
                continue
            packed = field.many and field.wire == VARINT and wire == BYTES
            if wire != field.wire and not packed:
                raise InputError(f"it is damaged: {field.name} is written in the wrong way")
            length, place = (4, place) if wire == FIXED32 else _varint(content, place)
            part = content[place : place + length]
            place += length
            if place > len(content):
                raise InputError(f"it is damaged: it ends in the middle of {field.name}")
            if packed:
                values += self._unpack(part)
            else:
                values.append(_text(part, field) if field.text else part)
        return message

    def _unpack(self, part: memoryview) -> list[int]:
        self.count(len(part))
        numbers, place = [], 0
        while place < len(part):
            value, place = _varint(part, place)
            numbers.append(_signed(value))
        return numbers

    def count(self, fields: int) -> None:
        """Count what will be looked at one by one.

        Raises
        ------
        InputError
            That is too much for one file.
        """
        self._left -= fields
        if self._left < 0:
            raise InputError(f"it has more than {_MOST_FIELDS:,} parts")


def _varint(content: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(content[place : place + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, place + index + 1
    raise InputError("it is damaged: a number has no end")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _text(part: memoryview, field: Field) -> str:
    if len(part) > _LONGEST_TEXT:
        raise InputError(f"its {field.name} is longer than {_LONGEST_TEXT:,} bytes")
    try:
        text = bytes(part).decode()
    except UnicodeDecodeError:
        raise InputError(f"it is damaged: {field.name} is not UTF-8") from None
    if not text.isprintable():
        raise InputError(f"its {field.name} cannot be printed: {text!a}")
    return text
