"""Read the tags of TIFF files, and add tags to files that libvips wrote.

libvips keeps a TIFF's pixels, profile, XMP and resolution and drops other tags: the camera's EXIF
and GPS directories, the author, GeoTIFF's map coordinates, ImageJ's and OME's descriptions of a
stack. They are copied here. Sizes and counts read from a file are untrusted: they are checked
against the file's size.

References
----------
TIFF revision 6.0, Adobe 1992; BigTIFF, https://www.awaresystems.be/imaging/tiff/bigtiff.html.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from autodenoise.errors import InputError

__all__ = [
    "ALPHA",
    "LAYOUT_TAGS",
    "RESOLUTION_TAGS",
    "ByteOrder",
    "Directory",
    "DirectoryWriter",
    "Tag",
    "TagValue",
    "add_tags",
    "first_value",
    "from_exif",
    "header_with_directory",
    "read_directories",
    "read_directory",
    "sample_tags",
    "to_exif",
]


ByteOrder = Literal["<", ">"]
"""Little-endian or big-endian."""

ALPHA = frozenset({1, 2})
"""Values of the tag ExtraSamples that stand for transparency: premultiplied or not."""


class Tag(IntEnum):
    """The TIFF tags that this package uses."""

    SUBFILE_TYPE = 254
    WIDTH = 256
    HEIGHT = 257
    BITS_PER_SAMPLE = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    DESCRIPTION = 270
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES_PER_PIXEL = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTE_COUNTS = 279
    X_RESOLUTION = 282
    Y_RESOLUTION = 283
    RESOLUTION_UNIT = 296
    PLANAR_CONFIGURATION = 284
    PREDICTOR = 317
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_OFFSETS = 324
    TILE_BYTE_COUNTS = 325
    SUBIFDS = 330
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    MIN_SAMPLE = 340
    MAX_SAMPLE = 341
    JPEG_TABLES = 347
    EXIF = 34665
    ICC_PROFILE = 34675
    GPS = 34853
    PHOTOSHOP_LAYERS = 37724
    INTEROPERABILITY = 40965
    DNG_VERSION = 50706


RESOLUTION_TAGS = frozenset({Tag.X_RESOLUTION, Tag.Y_RESOLUTION, Tag.RESOLUTION_UNIT})

LAYOUT_TAGS = frozenset(
    {
        # Size, type, layout and position of the samples.
        *(256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289),
        *(292, 293, 317, 320, 322, 323, 324, 325, 330, 332, 334, 336, 338, 339, 347),
        *(*range(512, 522), *range(529, 533)),
        # Photoshop shows these layers, which still hold the noise, instead of the samples.
        Tag.PHOTOSHOP_LAYERS,
    }
)
"""Tags that describe how a file stores its samples, and must not be copied to another file."""

_EXIF_MARK = b"Exif\0\0"
# Description, maker, model, resolution, software, date, artist, copyright.
_EXIF_TAGS = frozenset({270, 271, 272, 282, 283, 296, 305, 306, 315, 33432, Tag.EXIF, Tag.GPS})
_DIRECTORY_TAGS = frozenset({Tag.EXIF, Tag.GPS, Tag.INTEROPERABILITY})
# Only the first value of these is read, since they may be long.
_LONG_TABLES = frozenset({Tag.STRIP_OFFSETS, Tag.STRIP_BYTE_COUNTS, Tag.PHOTOSHOP_LAYERS})
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
_TYPE_BYTES |= {16: 8, 17: 8, 18: 8}
_RATIONALS = frozenset({5, 10})
_LONG8 = frozenset({16, 17, 18})
_SHORT, _LONG, _UNSIGNED_LONG8 = 3, 4, 16
# TIFF's sample format for each NumPy kind.
_SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}

_MAX_DEPTH = 2
_MAX_PAGES = 65_536
_MAX_ENTRIES = 1_000
_MAX_SHARED_BYTES = 64 << 20


@dataclass(frozen=True)
class TagValue:
    """The value of a tag: type code, number of values, and the values in little-endian order.

    `data` is empty for an EXIF or GPS tag, which points to a `directory`.
    """

    kind: int
    count: int
    data: bytes
    directory: Directory | None = None

    def numbers(self) -> tuple[float, ...]:
        """Return the values as integers or floats; empty for other types."""
        code = _INTEGERS.get(self.kind) or {11: "f", 12: "d"}.get(self.kind)
        return struct.unpack(f"<{self.count}{code}", self.data) if code else ()


Directory = dict[int, TagValue]
"""The tags of a page, by number."""


def first_value(page: Directory, tag: Tag, default: int) -> int:
    """Return the first value of a numeric tag, or `default` if the tag is missing."""
    values = page[tag].numbers() if tag in page else ()
    return int(values[0]) if values else default


def sample_tags(
    shape: tuple[int, int, int], dtype: np.dtype[Any], start: int, rows_per_strip: int, *, big: bool
) -> Directory:
    """Return the tags that describe uncompressed samples (H, W, bands), in strips from `start` on.

    One or two bands are gray, others RGB; further bands are declared as straight alpha. `big`
    stands for a BigTIFF, with 64-bit offsets.
    """
    height, width, bands = shape
    row_bytes = width * bands * dtype.itemsize
    tops = range(0, height, rows_per_strip)
    offsets = [start + top * row_bytes for top in tops]
    byte_counts = [min(rows_per_strip, height - top) * row_bytes for top in tops]

    def integers(kind: int, *values: int) -> TagValue:
        return TagValue(kind, len(values), struct.pack(f"<{len(values)}{_INTEGERS[kind]}", *values))

    colors = 1 if bands < 3 else 3
    offset_kind = _UNSIGNED_LONG8 if big else _LONG
    tags: Directory = {
        Tag.WIDTH: integers(_LONG, width),
        Tag.HEIGHT: integers(_LONG, height),
        Tag.BITS_PER_SAMPLE: integers(_SHORT, *[8 * dtype.itemsize] * bands),
        Tag.COMPRESSION: integers(_SHORT, 1),
        Tag.PHOTOMETRIC: integers(_SHORT, 1 if colors == 1 else 2),
        Tag.STRIP_OFFSETS: integers(offset_kind, *offsets),
        Tag.SAMPLES_PER_PIXEL: integers(_SHORT, bands),
        Tag.ROWS_PER_STRIP: integers(_LONG, rows_per_strip),
        Tag.STRIP_BYTE_COUNTS: integers(offset_kind, *byte_counts),
        Tag.SAMPLE_FORMAT: integers(_SHORT, *[_SAMPLE_FORMATS[dtype.kind]] * bands),
    }
    if bands > colors:
        tags[Tag.EXTRA_SAMPLES] = integers(_SHORT, *[2] * (bands - colors))
    return tags


class _Layout:
    """Field formats of a variant of TIFF: classic or BigTIFF, little- or big-endian."""

    def __init__(self, order: ByteOrder, *, big: bool) -> None:
        self.order, self.big = order, big
        self.counts, self.offsets = order + ("Q" if big else "H"), order + ("Q" if big else "I")
        self.entries = order + ("HHQ8s" if big else "HHI4s")
        # Size of an offset, and of the largest value that is stored inside an entry.
        self.offset_bytes = 8 if big else 4
        # Where the offset of the first directory is.
        self.first_pointer = self.offset_bytes


class _Reader:
    """Reads the directories of an untrusted TIFF file."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        head = file.read(16)
        self.layout = _Layout("<" if head[:2] == b"II" else ">", big=head[2:4] in (b"+\0", b"\0+"))
        self._size = file.seek(0, 2)
        # Values may overlap, which a malicious file would use to fill memory.
        self._left = self._size + _MAX_SHARED_BYTES

    def unpack(self, form: str, offset: int) -> tuple[int, ...]:
        return struct.unpack(form, self._bytes(offset, struct.calcsize(form)))

    def _bytes(self, offset: int, count: int) -> bytes:
        if count > self._left or offset + count > self._size:
            raise EOFError
        self.file.seek(offset)
        return self.file.read(count)

    def _entries(self, offset: int) -> range:
        """Return the offsets of a directory's entries."""
        (count,) = self.unpack(self.layout.counts, offset)
        start = offset + struct.calcsize(self.layout.counts)
        size = struct.calcsize(self.layout.entries)
        return range(start, start + count * size, size)

    def encoded(self, offset: int, removed: frozenset[int]) -> dict[int, bytes]:
        """Return the undecoded entries of a directory, by tag, except for removed tags."""
        entries = self._entries(offset)
        raw = (self._bytes(entry, entries.step) for entry in entries[:_MAX_ENTRIES])
        tags = ((struct.unpack_from(self.layout.order + "H", entry)[0], entry) for entry in raw)
        return {tag: entry for tag, entry in tags if tag not in removed}

    def next_pointer(self, offset: int) -> int:
        """Return the offset of the field that points to the directory after the one at `offset`."""
        return self._entries(offset).stop

    def pages(self) -> Iterator[Directory]:
        """Read the tags of each page; EOFError if the list of directories is cut off or a loop."""
        seen: set[int] = set()
        (offset,) = self.unpack(self.layout.offsets, self.layout.first_pointer)
        while offset:
            if offset in seen or len(seen) == _MAX_PAGES:
                raise EOFError
            seen.add(offset)
            yield self.directory(offset)
            (offset,) = self.unpack(self.layout.offsets, self.next_pointer(offset))

    def directory(self, offset: int, depth: int = 0) -> Directory:
        """Read the tags of the directory at an offset."""
        layout = self.layout
        tags: Directory = {}
        for entry in self._entries(offset)[:_MAX_ENTRIES]:
            tag, kind, count = self.unpack(layout.order + ("HHQ" if layout.big else "HHI"), entry)
            value = entry + struct.calcsize(layout.entries) - layout.offset_bytes
            # The first of duplicate tags is used, as in libtiff.
            if kind not in _TYPE_BYTES or tag in tags:
                continue
            with contextlib.suppress(EOFError):
                tags[tag] = self._value(tag, kind, count, value, depth)
        return tags

    def _value(self, tag: int, kind: int, count: int, value: int, depth: int) -> TagValue:
        """Read the value that is stored at the offset `value`, or where that points to."""
        layout = self.layout
        if tag in _DIRECTORY_TAGS:
            if depth == _MAX_DEPTH:
                raise EOFError
            (offset,) = self.unpack(layout.offsets, value)
            return TagValue(4, 1, b"", self.directory(offset, depth + 1))
        value_bytes = _TYPE_BYTES[kind] * (2 if kind in _RATIONALS else 1)
        if value_bytes * count > layout.offset_bytes:
            (value,) = self.unpack(layout.offsets, value)
        if tag in _LONG_TABLES:
            count = min(count, 1)
        data = self._bytes(value, value_bytes * count)
        self._left -= len(data)
        return TagValue(kind, count, _convert_order(data, kind, layout.order))


def _convert_order(data: bytes, kind: int, order: ByteOrder) -> bytes:
    """Convert values from little-endian to another byte order, or back."""
    if order == "<" or _TYPE_BYTES[kind] == 1:
        return data
    return np.frombuffer(data, f"u{_TYPE_BYTES[kind]}").byteswap().tobytes()


def read_directories(path: Path) -> tuple[ByteOrder, tuple[Directory, ...]]:
    """Read the byte order of a TIFF file, and the tags of each page.

    Tags with invalid offsets are skipped. Raise InputError if the list of directories is cut off or
    a loop, so pages would be missing; or if a tile lies beyond the end of the file, which libvips
    would read as black.
    """
    with path.open("rb") as file:
        try:
            reader = _Reader(file)
            pages = tuple(reader.pages())
        except EOFError:
            problem = "the list of the TIFF's pages is damaged or cut off"
            raise InputError(f"cannot read {path}: {problem}") from None
    if not pages:
        raise InputError(f"cannot read {path}: the TIFF has no pages")
    size = path.stat().st_size
    for page in pages:
        tables = (
            page[tag].numbers() for tag in (Tag.TILE_OFFSETS, Tag.TILE_BYTE_COUNTS) if tag in page
        )
        if any(sum(offset_and_count) > size for offset_and_count in zip(*tables, strict=False)):
            raise InputError(f"{path} is damaged or cut off: tiles are missing")
    return reader.layout.order, pages


def read_directory(path: Path, offset: int) -> Directory:
    """Read the tags of the directory at an offset of a TIFF file; empty if it is damaged."""
    with path.open("rb") as file, contextlib.suppress(EOFError):
        return _Reader(file).directory(offset)
    return {}


def from_exif(block: bytes) -> Directory:
    """Read the tags of an EXIF block, a TIFF file without samples; empty if it is damaged."""
    with contextlib.suppress(EOFError):
        return next(_Reader(io.BytesIO(block.removeprefix(_EXIF_MARK))).pages(), {})
    return {}


def to_exif(page: Directory) -> bytes:
    """Return an EXIF block with those tags of a page that belong in one."""
    tags = {tag: value for tag, value in page.items() if tag in _EXIF_TAGS}
    return _EXIF_MARK + header_with_directory(tags, big=False)


def header_with_directory(page: Directory, *, big: bool) -> bytes:
    """Return the start of a little-endian TIFF file: its header and its only directory."""
    header = ("<2sHHHQ", b"II", 43, 8, 0, 0) if big else ("<2sHI", b"II", 42, 0)
    block = io.BytesIO(struct.pack(*header))
    writer = DirectoryWriter(block, big=big)
    offset, _ = writer.append(page)
    writer.set_pointer(writer.layout.first_pointer, offset)
    return block.getvalue()


class DirectoryWriter:
    """Appends directories to a TIFF file that is open for reading and writing."""

    def __init__(self, file: IO[bytes], order: ByteOrder = "<", *, big: bool) -> None:
        self._file, self.layout = file, _Layout(order, big=big)

    def set_pointer(self, position: int, offset: int) -> None:
        """Write the offset of a directory at a position."""
        self._file.seek(position)
        self._file.write(struct.pack(self.layout.offsets, offset))

    def append(
        self, page: Directory, encoded: Mapping[int, bytes] | None = None
    ) -> tuple[int, int]:
        """Append a directory that no other follows, of tags and of already encoded entries.

        Return the offsets of its start and its end. Its last field is the pointer to the next one.
        """
        layout = self.layout
        entries = dict(encoded or {})
        for tag, value in page.items():
            # Classic TIFF has no 8-byte integers.
            if layout.big or value.kind not in _LONG8:
                entries[tag] = self._entry(tag, value)
        body = b"".join(entries[tag] for tag in sorted(entries))
        count = struct.pack(layout.counts, len(entries))
        offset = self._write(count + body + bytes(layout.offset_bytes))
        return offset, self._file.tell()

    def _entry(self, tag: int, value: TagValue) -> bytes:
        layout = self.layout
        kind, data = value.kind, _convert_order(value.data, value.kind, layout.order)
        if value.directory is not None:
            offset, _ = self.append(value.directory)
            kind, data = 18 if layout.big else 4, struct.pack(layout.offsets, offset)
        elif len(data) > layout.offset_bytes:
            data = struct.pack(layout.offsets, self._write(data))
        return struct.pack(layout.entries, tag, kind, value.count, data)

    def _write(self, data: bytes) -> int:
        # Values start at even offsets.
        offset = self._file.seek(0, 2)
        offset += self._file.write(bytes(offset % 2))
        self._file.write(data)
        return offset


def add_tags(path: Path, pages: Sequence[Directory], removed: frozenset[int]) -> None:
    """Add tags to the pages of a little-endian TIFF file that libvips wrote, in place.

    The samples are not moved; each page gets a new directory at the end of the file. A classic TIFF
    must stay below 4 GiB. The tags of `pages` replace existing ones; those in `removed` are removed
    otherwise.
    """
    with path.open("r+b") as file:
        reader = _Reader(file)
        layout = reader.layout
        writer = DirectoryWriter(file, big=layout.big)
        pointer = reader.layout.first_pointer
        (offset,) = reader.unpack(layout.offsets, pointer)
        for page in pages:
            if not offset:
                return
            (following,) = reader.unpack(layout.offsets, reader.next_pointer(offset))
            new, end = writer.append(page, reader.encoded(offset, removed))
            writer.set_pointer(pointer, new)
            pointer, offset = end - layout.offset_bytes, following
            writer.set_pointer(pointer, following)
