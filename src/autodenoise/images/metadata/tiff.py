"""The tags of a TIFF file: read from a stranger's, added to one of ours.

libvips keeps a TIFF's pixels, profile, XMP and resolution and leaves out the rest: the camera's
EXIF and GPS directories, who made the picture, the map that a GeoTIFF lies on, what ImageJ and OME
say of a stack. They are carried over here. Sizes and counts of a file that is read are believed
only as far as the file reaches.

References
----------
TIFF revision 6.0, Adobe 1992; BigTIFF, https://www.awaresystems.be/imaging/tiff/bigtiff.html.
"""

from __future__ import annotations

import contextlib
import io
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import IO, TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from autodenoise.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "RESOLUTION",
    "SAMPLE_FORMATS",
    "STRUCTURE",
    "TRANSPARENT",
    "Appender",
    "ByteOrder",
    "Directory",
    "Entry",
    "Tag",
    "add_tags",
    "byte_order",
    "from_exif",
    "number",
    "read_directories",
    "read_directory",
    "to_exif",
]


ByteOrder = Literal["<", ">"]
"""Of the bytes of a number: little-endian, big-endian."""


TRANSPARENT = frozenset({1, 2})
"""The meanings of an extra sample that tells how much a pixel covers."""


class Tag(IntEnum):
    """The tags that something here depends on."""

    SUBFILE_TYPE = 254
    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    DESCRIPTION = 270
    STRIP_PLACES = 273
    ORIENTATION = 274
    BANDS = 277
    ROWS_PER_STRIP = 278
    STRIP_SIZES = 279
    X_RESOLUTION = 282
    Y_RESOLUTION = 283
    RESOLUTION_UNIT = 296
    PLANES = 284
    PREDICTOR = 317
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_PLACES = 324
    TILE_SIZES = 325
    SUBIFDS = 330
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    MIN_SAMPLE = 340
    MAX_SAMPLE = 341
    JPEG_TABLES = 347
    EXIF = 34665
    PROFILE = 34675
    GPS = 34853
    PHOTOSHOP_LAYERS = 37724
    INTEROPERABILITY = 40965
    DNG_VERSION = 50706


SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}
"""TIFF's number for each of NumPy's kinds of samples."""

RESOLUTION = frozenset({Tag.X_RESOLUTION, Tag.Y_RESOLUTION, Tag.RESOLUTION_UNIT})

STRUCTURE = frozenset(
    {
        # Size, type and layout of the samples, and where they lie.
        *(256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289),
        *(292, 293, 317, 320, 322, 323, 324, 325, 330, 332, 334, 336, 338, 339, 347),
        *(*range(512, 522), *range(529, 533)),
        # Photoshop's layers: they would still hold the noise, and be shown in place of the picture.
        Tag.PHOTOSHOP_LAYERS,
    }
)
"""Tags that describe how one file stores its samples, and mean nothing in another."""

_EXIF_MARK = b"Exif\0\0"
# Description, maker, model, resolution, software, date, artist, copyright.
_OF_EXIF = frozenset({270, 271, 272, 282, 283, 296, 305, 306, 315, 33432, Tag.EXIF, Tag.GPS})
_DIRECTORIES = frozenset({Tag.EXIF, Tag.GPS, Tag.INTEROPERABILITY})
# Of these, which may be long, the first value is read alone.
_LONG_TABLES = frozenset({Tag.STRIP_PLACES, Tag.STRIP_SIZES, Tag.PHOTOSHOP_LAYERS})
_UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
_UNITS |= {16: 8, 17: 8, 18: 8}
_RATIONALS = frozenset({5, 10})
_LONG8 = frozenset({16, 17, 18})
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}

_DEPTH = 2
_MOST_PAGES = 65_536
_MOST_ENTRIES = 1_000
_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Entry:
    """A tag's value.

    Attributes
    ----------
    kind
        TIFF's number of the type.
    count
        How many values of it.
    data
        The values, little-endian; empty for a directory.
    directory
        What an EXIF or GPS tag points to.
    """

    kind: int
    count: int
    data: bytes
    directory: Directory | None = None

    def numbers(self) -> tuple[float, ...]:
        """Give the values of a tag of integers or floats; nothing for another type."""
        code = _INTEGERS.get(self.kind) or {11: "f", 12: "d"}.get(self.kind)
        return struct.unpack(f"<{self.count}{code}", self.data) if code else ()


Directory = dict[int, Entry]
"""The tags of a page, by their number."""


def number(page: Directory, tag: Tag, default: int) -> int:
    """Give the first value of a tag of numbers, or `default` where there is none."""
    values = page[tag].numbers() if tag in page else ()
    return int(values[0]) if values else default


class _Layout(NamedTuple):
    """How one flavour of TIFF writes numbers: classic or Big, little- or big-endian."""

    order: ByteOrder
    big: bool

    @property
    def counts(self) -> str:
        return self.order + ("Q" if self.big else "H")

    @property
    def offsets(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def entries(self) -> str:
        return self.order + ("HHQ8s" if self.big else "HHI4s")

    @property
    def room(self) -> int:
        """Bytes that a value may have to lie in its entry; also those of an offset."""
        return 8 if self.big else 4


class _Reader:
    """A TIFF file open for reading, whose every number may be a lie."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        head = file.read(16)
        self.layout = _Layout("<" if head[:2] == b"II" else ">", head[2:4] in (b"+\0", b"\0+"))
        self.first_place = 8 if self.layout.big else 4
        self._size = file.seek(0, 2)
        # Values may lie on top of each other; no honest ones do for long.
        self._left = self._size + _MOST_BYTES

    def unpack(self, form: str, place: int) -> tuple[int, ...]:
        values: tuple[int, ...] = struct.unpack(form, self._bytes(place, struct.calcsize(form)))
        return values

    def _bytes(self, place: int, count: int) -> bytes:
        if count > self._left or place + count > self._size:
            raise EOFError
        self.file.seek(place)
        return self.file.read(count)

    def _entries(self, place: int) -> Iterator[int]:
        """Give the places of a directory's entries."""
        (count,) = self.unpack(self.layout.counts, place)
        place += struct.calcsize(self.layout.counts)
        size = struct.calcsize(self.layout.entries)
        return (place + index * size for index in range(min(count, _MOST_ENTRIES)))

    def encoded(self, place: int) -> dict[int, bytes]:
        """Give a directory's entries as they are, by their tag."""
        size = struct.calcsize(self.layout.entries)
        raw = (self._bytes(entry, size) for entry in self._entries(place))
        return {struct.unpack_from(self.layout.order + "H", entry)[0]: entry for entry in raw}

    def next_place(self, place: int) -> int:
        """Give where the field lies that points to the directory after the one at `place`."""
        (count,) = self.unpack(self.layout.counts, place)
        size = struct.calcsize(self.layout.entries)
        return place + struct.calcsize(self.layout.counts) + count * size

    def pages(self) -> Iterator[Directory]:
        """Read the tags of each page.

        Raises
        ------
        EOFError
            A directory lies nowhere, or has been read before.
        """
        seen: set[int] = set()
        (place,) = self.unpack(self.layout.offsets, self.first_place)
        while place:
            if place in seen or len(seen) == _MOST_PAGES:
                raise EOFError
            seen.add(place)
            yield self.directory(place)
            (place,) = self.unpack(self.layout.offsets, self.next_place(place))

    def directory(self, place: int, depth: int = 0) -> Directory:
        """Read the tags of the directory at a place."""
        layout = self.layout
        found: Directory = {}
        for entry in self._entries(place):
            tag, kind, count = self.unpack(layout.order + ("HHQ" if layout.big else "HHI"), entry)
            value = entry + struct.calcsize(layout.entries) - layout.room
            # Of a tag that comes twice the first counts, as in libtiff.
            if kind not in _UNITS or tag in found:
                continue
            with contextlib.suppress(EOFError):
                found[tag] = self._entry(tag, kind, count, value, depth)
        return found

    def _entry(self, tag: int, kind: int, count: int, value: int, depth: int) -> Entry:
        """Read a value that lies in the field at `value`, or where that points to."""
        layout = self.layout
        if tag in _DIRECTORIES:
            if depth == _DEPTH:
                raise EOFError
            (there,) = self.unpack(layout.offsets, value)
            return Entry(4, 1, b"", self.directory(there, depth + 1))
        unit = _UNITS[kind] * (2 if kind in _RATIONALS else 1)
        if unit * count > layout.room:
            (value,) = self.unpack(layout.offsets, value)
        if tag in _LONG_TABLES:
            count = min(count, 1)
        data = self._bytes(value, unit * count)
        self._left -= len(data)
        return Entry(kind, count, _in_order(data, kind, layout.order))


def _in_order(data: bytes, kind: int, order: ByteOrder) -> bytes:
    """Bring values from little-endian to another order, or back."""
    if order == "<" or _UNITS[kind] == 1:
        return data
    return np.frombuffer(data, f"u{_UNITS[kind]}").byteswap().tobytes()


def byte_order(path: Path) -> ByteOrder:
    """Give the order of the bytes of a TIFF's numbers."""
    with path.open("rb") as file:
        return _Reader(file).layout.order


def read_directories(path: Path) -> list[Directory]:
    """Read the tags of each page of a TIFF file; those whose value lies nowhere are left out.

    Raises
    ------
    InputError
        A directory is cut off, or comes back to one before it: pages would be missing. Or a tile
        lies beyond the end of the file, which libvips takes for black.
    """
    pages: list[Directory] = []
    with path.open("rb") as file:
        try:
            pages.extend(_Reader(file).pages())
        except EOFError:
            raise InputError(
                f"cannot read {path}: the list of the TIFF's pages is damaged or cut off"
            ) from None
    if not pages:
        raise InputError(f"cannot read {path}: the TIFF has no pages")
    size = path.stat().st_size
    for page in pages:
        tables = (page[tag].numbers() for tag in (Tag.TILE_PLACES, Tag.TILE_SIZES) if tag in page)
        if any(sum(place_and_size) > size for place_and_size in zip(*tables, strict=False)):
            raise InputError(f"{path} is damaged or cut off: tiles of it are missing")
    return pages


def read_directory(path: Path, place: int) -> Directory:
    """Read the tags of the directory at a place of a TIFF file; none if it is damaged."""
    with path.open("rb") as file, contextlib.suppress(EOFError):
        return _Reader(file).directory(place)
    return {}


def from_exif(block: bytes) -> Directory:
    """Read the tags of an EXIF block, which is a TIFF without a picture; none if it is damaged."""
    with contextlib.suppress(EOFError):
        return next(_Reader(io.BytesIO(block.removeprefix(_EXIF_MARK))).pages(), {})
    return {}


def to_exif(page: Directory) -> bytes:
    """Make an EXIF block of those of a page's tags that belong into one."""
    block = io.BytesIO(struct.pack("<2sHI", b"II", 42, 0))
    place, _ = Appender(block, big=False).directory(
        {tag: entry for tag, entry in page.items() if tag in _OF_EXIF}
    )
    block.seek(4)
    block.write(struct.pack("<I", place))
    return _EXIF_MARK + block.getvalue()


class Appender:
    """A TIFF file of ours that gets directories at its end.

    Parameters
    ----------
    file
        Open for reading and writing.
    order
        Of the bytes of its numbers, ``<`` or ``>``.
    big
        Whether it is a BigTIFF.
    """

    def __init__(self, file: IO[bytes], order: ByteOrder = "<", *, big: bool) -> None:
        self._file, self._layout = file, _Layout(order, big)

    def directory(
        self, page: Directory, ready: Mapping[int, bytes] | None = None
    ) -> tuple[int, int]:
        """Append a directory that no other follows.

        Parameters
        ----------
        page
            Its tags.
        ready
            More of them, as entries that are encoded already.

        Returns
        -------
        tuple
            Where it begins and where it ends; it ends with the place of the following one.
        """
        layout = self._layout
        entries = dict(ready or {})
        for tag, entry in page.items():
            # A classic TIFF has no numbers of eight bytes.
            if layout.big or entry.kind not in _LONG8:
                entries[tag] = self._entry(tag, entry)
        body = b"".join(entries[tag] for tag in sorted(entries))
        place = self._append(struct.pack(layout.counts, len(entries)) + body + bytes(layout.room))
        return place, self._file.tell()

    def _entry(self, tag: int, entry: Entry) -> bytes:
        layout = self._layout
        kind, value = entry.kind, _in_order(entry.data, entry.kind, layout.order)
        if entry.directory is not None:
            place, _ = self.directory(entry.directory)
            kind, value = 18 if layout.big else 4, struct.pack(layout.offsets, place)
        elif len(value) > layout.room:
            value = struct.pack(layout.offsets, self._append(value))
        return struct.pack(layout.entries, tag, kind, entry.count, value)

    def _append(self, data: bytes) -> int:
        # Values begin on even places.
        place = self._file.seek(0, 2)
        place += self._file.write(bytes(place % 2))
        self._file.write(data)
        return place


def add_tags(path: Path, pages: Sequence[Directory], replacing: frozenset[int]) -> None:
    """Give the pages of a little-endian TIFF file more tags, in place.

    The samples stay where they are; each page gets a new directory at the file's end.

    Parameters
    ----------
    path
        A file that libvips wrote. A classic TIFF must stay below 4 GiB.
    pages
        The tags to add, page by page; where a page has one already, it is replaced.
    replacing
        Tags that go, if `pages` does not bring them.
    """
    with path.open("r+b") as file:
        reader = _Reader(file)
        layout = reader.layout
        appender = Appender(file, big=layout.big)
        pointer = reader.first_place
        (place,) = reader.unpack(layout.offsets, pointer)
        for page in pages:
            if not place:
                return
            (following,) = reader.unpack(layout.offsets, reader.next_place(place))
            entries = {
                tag: raw for tag, raw in reader.encoded(place).items() if tag not in replacing
            }
            new, end = appender.directory(page, entries)
            for there, value in ((pointer, new), (end - layout.room, following)):
                file.seek(there)
                file.write(struct.pack(layout.offsets, value))
            pointer, place = end - layout.room, following
