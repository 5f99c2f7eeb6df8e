"""ImageJ stacks: TIFF files whose planes follow one another without gaps.

ImageJ reads the directory of the first page only, and finds the other planes behind its samples,
as many as its description declares; beyond 4 GiB it writes no other directories. Other programs go
from directory to directory. For both to read a stack alike, the planes must be contiguous, which
libvips's encoder does not do.

References
----------
ImageJ's ``TiffDecoder.java`` and ``TiffEncoder.java``, in the public domain.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autodenoise.images.metadata.tiff import (
    ByteOrder,
    Directory,
    DirectoryWriter,
    Tag,
    sample_tags,
)

__all__ = ["plane_count", "stack_writer", "supports"]

_MAX_PLANES = 1_000_000
_MAX_OFFSET = 1 << 32
# Left free for tags in files of 32-bit offsets.
_TAG_BYTES = 1 << 26


def plane_count(page: Directory) -> int:
    """Return the number of planes that ImageJ's description declares; 0 for other files."""
    text = page[Tag.DESCRIPTION].data if Tag.DESCRIPTION in page else b""
    count = re.search(rb"^images=(\d{1,9})\s*$", text, re.MULTILINE)
    if not text.startswith(b"ImageJ="):
        return 0
    return min(int(count[1]), _MAX_PLANES) if count else 1


def supports(shape: tuple[int, int, int], dtype: np.dtype[Any]) -> bool:
    """Return whether ImageJ can open a plane (H, W, bands): gray or RGB, below 4 GiB."""
    height, width, bands = shape
    return bands in (1, 3) and height * width * bands * dtype.itemsize < _MAX_OFFSET - _TAG_BYTES


@contextlib.contextmanager
def stack_writer(
    path: Path,
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    order: ByteOrder,
    pages: Sequence[Directory],
    count: int,
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Write a stack of `count` planes (H, W, bands), gray or RGB, as its rows arrive.

    Yield a function that takes consecutive rows, (r, W, bands), of all planes one after another.
    `pages` has the tags of the first pages, without those of the samples. The byte order must be
    that of the source, because ImageJ's private tags are in that order and their layout is not
    documented.
    """
    height, width, bands = shape
    size = height * width * bands * dtype.itemsize
    first, *others = list(pages) + [Directory() for _ in range(count - len(pages))]
    with path.open("w+b") as file:
        writer = DirectoryWriter(file, order, big=False)

        def append(page: Directory, samples: int, pointer: int) -> int:
            """Append a page's directory, set the pointer to it, and return where it ends."""
            tags = page | sample_tags(shape, dtype, samples, height, big=False)
            offset, end = writer.append(tags)
            writer.set_pointer(pointer, offset)
            return end

        # The first directory comes before the samples, so that 32-bit offsets reach it in any
        # stack. It is written twice, because it contains the offset of its own end.
        samples = 0
        for _ in range(2):
            file.seek(0)
            file.write(struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 0))
            file.truncate()
            samples = append(first, samples, 4)
        pointer = samples - 4
        file.seek(samples)
        stored = dtype.newbyteorder(order)

        def write_rows(rows: NDArray[Any]) -> None:
            file.write(np.ascontiguousarray(rows.astype(stored, copy=False)).data)

        yield write_rows
        if samples + count * size < _MAX_OFFSET - _TAG_BYTES:
            for index, page in enumerate(others, 1):
                pointer = append(page, samples + index * size, pointer) - 4
