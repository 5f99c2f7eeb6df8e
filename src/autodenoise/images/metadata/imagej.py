"""ImageJ's stacks: TIFF files whose planes lie one after another without a gap.

ImageJ reads the first page's directory alone and takes the other planes from behind its samples, as
many as its description counts; beyond 4 GiB it writes no other directories. Other programs go from
directory to directory. A stack that both read alike needs the planes in one run, which libvips's
encoder does not give.

References
----------
ImageJ's ``TiffDecoder.java`` and ``TiffEncoder.java``, in the public domain.
"""

from __future__ import annotations

import contextlib
import re
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from autodenoise.images.metadata.tiff import (
    SAMPLE_FORMATS,
    Appender,
    ByteOrder,
    Directory,
    Entry,
    Tag,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["fits", "planes", "writing"]

_MOST_PLANES = 1_000_000
_CLASSIC_END = 1 << 32
_ROOM = 1 << 26


def planes(page: Directory) -> int:
    """Count the planes that ImageJ's description speaks of; 0 if the file is not ImageJ's."""
    text = page[Tag.DESCRIPTION].data if Tag.DESCRIPTION in page else b""
    counted = re.search(rb"^images=(\d{1,9})\s*$", text, re.MULTILINE)
    if not text.startswith(b"ImageJ="):
        return 0
    return min(int(counted[1]), _MOST_PLANES) if counted else 1


def fits(shape: tuple[int, int, int], dtype: np.dtype[Any]) -> bool:
    """Tell whether ImageJ can have such a plane: grey or RGB, and of less than 4 GiB."""
    height, width, bands = shape
    return bands in (1, 3) and height * width * bands * dtype.itemsize < _CLASSIC_END - _ROOM


@contextlib.contextmanager
def writing(
    path: Path,
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    order: ByteOrder,
    pages: Sequence[Directory],
    count: int,
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Write a stack while its rows come.

    Parameters
    ----------
    path
        Replaced if it exists.
    shape
        (H, W, bands) of a plane; bands are 1, or 3 for RGB.
    dtype
        Of the samples.
    order
        Of the bytes in the file: ImageJ's own tags are in the order of their file,
        and nobody else knows which of their bytes belong together.
    pages
        The tags beside those of the samples, for as many pages as have some.
    count
        Of planes.

    Yields
    ------
    Callable
        Takes consecutive rows, (r, W, bands), of all planes one after another.
    """
    height, width, bands = shape
    size = height * width * bands * dtype.itemsize
    first, *others = list(pages) + [Directory() for _ in range(count - len(pages))]
    with path.open("w+b") as file:

        def directory(page: Directory, samples: int, pointer: int) -> int:
            """Append a page's directory, let the one before point to it, and give its end."""
            fields = page | _structure(shape, dtype, samples, size)
            place, end = Appender(file, order, big=False).directory(fields)
            file.seek(pointer)
            file.write(struct.pack(f"{order}I", place))
            return end

        # The first directory lies before the samples, where 32 bits reach it in any stack. It is
        # written twice, since it gives the place behind itself.
        samples = 0
        for _ in range(2):
            file.seek(0)
            file.write(struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 0))
            file.truncate()
            samples = directory(first, samples, 4)
        pointer = samples - 4
        file.seek(samples)
        stored = dtype.newbyteorder(order)
        yield lambda rows: _write(file, rows.astype(stored, copy=False))
        if samples + count * size < _CLASSIC_END - _ROOM:
            for index, page in enumerate(others, 1):
                pointer = directory(page, samples + index * size, pointer) - 4


def _write(file: Any, rows: NDArray[Any]) -> None:
    file.write(np.ascontiguousarray(rows).data)


def _structure(
    shape: tuple[int, int, int], dtype: np.dtype[Any], start: int, size: int
) -> Directory:
    height, width, bands = shape

    def short(*values: int) -> Entry:
        return Entry(3, len(values), struct.pack(f"<{len(values)}H", *values))

    def long(value: int) -> Entry:
        return Entry(4, 1, struct.pack("<I", value))

    return {
        Tag.WIDTH: long(width),
        Tag.HEIGHT: long(height),
        Tag.BITS: short(*[8 * dtype.itemsize] * bands),
        Tag.COMPRESSION: short(1),
        Tag.PHOTOMETRIC: short(2 if bands == 3 else 1),
        Tag.STRIP_PLACES: long(start),
        Tag.BANDS: short(bands),
        Tag.ROWS_PER_STRIP: long(height),
        Tag.STRIP_SIZES: long(size),
        Tag.SAMPLE_FORMAT: short(*[SAMPLE_FORMATS[dtype.kind]] * bands),
    }
