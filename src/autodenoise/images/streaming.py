"""Rows of samples as a libvips image, while they are still being computed.

libvips encodes images larger than memory as it gets their pixels, but can be handed pixels only
whole, or by a decoder. So the rows are given to its TIFF decoder, as an uncompressed TIFF that
nobody has written: its header is made up front, and each read of its one run of samples waits for
the rows to come.
"""

from __future__ import annotations

import queue
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from autodenoise.images.libvips import pyvips
from autodenoise.images.metadata.tiff import SAMPLE_FORMATS, Tag

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from numpy.typing import NDArray

__all__ = ["RowStream", "prefetch"]

_Item = TypeVar("_Item")

_ROWS_PER_STRIP = 16
_POLL_SECONDS = 0.05


class RowStream:
    """The reading end of rows that another thread puts in.

    Parameters
    ----------
    width, height, bands
        Of the whole image.
    dtype
        Of its samples.
    """

    def __init__(self, width: int, height: int, bands: int, dtype: np.dtype[Any]) -> None:
        self._head = _header(width, height, bands, dtype)
        self._size = len(self._head) + width * height * bands * dtype.itemsize
        self._position = 0
        self._chunk = memoryview(self._head)
        self._chunk_start = 0
        self._waiting: queue.Queue[memoryview] = queue.Queue(maxsize=1)
        self._ended, self._closed = threading.Event(), threading.Event()
        self._source = pyvips.SourceCustom()
        self._source.on_read(self._read)
        self._source.on_seek(self._seek)

    def image(self) -> pyvips.Image:
        """Give the image; its header is known at once, its pixels come as they are put."""
        # Rows that end early are an error, and no black rows at the bottom.
        return pyvips.Image.tiffload_source(self._source, access="sequential", fail_on="error")

    def put(self, rows: NDArray[Any]) -> bool:
        """Hand over the next rows, (r, W, B); waits while those before are still unread.

        Returns
        -------
        bool
            False once nobody reads any more.
        """
        chunk = np.ascontiguousarray(rows).data.cast("B")
        while not self._closed.is_set():
            try:
                self._waiting.put(chunk, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def end(self) -> None:
        """Say that no more rows come; too few make the reader fail."""
        self._ended.set()

    def close(self) -> None:
        """Say that nobody reads any more."""
        self._closed.set()

    def _next(self) -> memoryview | None:
        while True:
            # Looked at first: what was put before the end is still there.
            ended = self._ended.is_set()
            try:
                return self._waiting.get(not ended, _POLL_SECONDS)
            except queue.Empty:
                if ended:
                    return None

    def _read(self, count: int) -> bytes:
        # libtiff comes back to the header while it opens the file, then reads straight on.
        if self._position < len(self._head):
            part = self._head[self._position : self._position + count]
            self._position += len(part)
            return part
        while self._position >= self._chunk_start + len(self._chunk):
            if self._position >= self._size:
                return b""
            chunk = self._next()
            if chunk is None:
                return b""
            self._chunk_start += len(self._chunk)
            self._chunk = chunk
        begin = self._position - self._chunk_start
        part = bytes(self._chunk[begin : begin + count])
        self._position += len(part)
        return part

    def _seek(self, offset: int, whence: int) -> int:
        self._position = (0, self._position, self._size)[whence] + offset
        return self._position


def _header(width: int, height: int, bands: int, dtype: np.dtype[Any]) -> bytes:
    """Make a BigTIFF's header and directory, for strips that follow without a gap.

    The layout is that of https://www.awaresystems.be/imaging/tiff/bigtiff.html.
    """
    strips = -(-height // _ROWS_PER_STRIP)
    row = width * bands * dtype.itemsize
    rows = [min(_ROWS_PER_STRIP, height - index * _ROWS_PER_STRIP) for index in range(strips)]
    # Grey below three bands. What comes after the colours is called alpha; nobody acts on it here.
    colours = 1 if bands < 3 else 3
    tags: list[tuple[int, str, list[int]]] = [
        (Tag.WIDTH, "I", [width]),
        (Tag.HEIGHT, "I", [height]),
        (Tag.BITS, "H", [8 * dtype.itemsize] * bands),
        (Tag.COMPRESSION, "H", [1]),
        (Tag.PHOTOMETRIC, "H", [1 if colours == 1 else 2]),
        (Tag.STRIP_PLACES, "Q", [0] * strips),
        (Tag.BANDS, "H", [bands]),
        (Tag.ROWS_PER_STRIP, "I", [_ROWS_PER_STRIP]),
        (Tag.STRIP_SIZES, "Q", [count * row for count in rows]),
        (Tag.PLANES, "H", [1]),
        *([(Tag.EXTRA_SAMPLES, "H", [2] * (bands - colours))] if bands > colours else []),
        (Tag.SAMPLE_FORMAT, "H", [SAMPLE_FORMATS[dtype.kind]] * bands),
    ]
    code = {"H": 3, "I": 4, "Q": 16}
    after = 16 + 8 + 20 * len(tags) + 8
    long_values = sum(
        size for _, kind, values in tags if (size := struct.calcsize(kind) * len(values)) > 8
    )
    first = after + long_values
    entries, blob = b"", b""
    for tag, kind, values in tags:
        if tag == Tag.STRIP_PLACES:
            values = [first + index * _ROWS_PER_STRIP * row for index in range(strips)]
        raw = struct.pack(f"<{len(values)}{kind}", *values)
        if len(raw) > 8:
            place, blob = struct.pack("<Q", after + len(blob)), blob + raw
        else:
            place = raw.ljust(8, b"\0")
        entries += struct.pack("<HHQ", tag, code[kind], len(values)) + place
    count = struct.pack("<Q", len(tags))
    return struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16) + count + entries + bytes(8) + blob


def prefetch(items: Iterable[_Item]) -> Generator[_Item]:
    """Give the items of an iterable, none of them None; a thread makes the next one meanwhile."""
    iterator = iter(items)
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, iterator, None)
        while (item := coming.result()) is not None:
            coming = maker.submit(next, iterator, None)
            yield item
