"""Encode rows of samples with libvips while they are still being computed.

libvips encodes images larger than memory as their pixels arrive, but accepts pixels only as a whole
array or from a decoder. So the rows are passed to its TIFF decoder as an uncompressed TIFF that
exists only as a stream: the header is made first, and each read of samples waits for more rows.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from autodenoise.images.libvips import pyvips
from autodenoise.images.metadata.tiff import header_with_directory, sample_tags

__all__ = ["RowStream", "prefetch"]

_Item = TypeVar("_Item")

_ROWS_PER_STRIP = 16
_POLL_SECONDS = 0.05


class RowStream:
    """A libvips image of known shape whose rows another thread supplies."""

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
        """Return the image: its header is available at once, its pixels as they are put."""
        # With fail_on, missing rows are an error instead of black.
        return pyvips.Image.tiffload_source(self._source, access="sequential", fail_on="error")

    def put(self, rows: NDArray[Any]) -> bool:
        """Supply the next rows, (r, W, B); return False if the reader has closed the stream."""
        chunk = np.ascontiguousarray(rows).data.cast("B")
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._waiting.put(chunk, timeout=_POLL_SECONDS)
                return True
        return False

    def end(self) -> None:
        """Signal that no more rows will come; the reader fails if any are missing."""
        self._ended.set()

    def close(self) -> None:
        """Signal that no more rows will be read."""
        self._closed.set()

    def _next(self) -> memoryview | None:
        while True:
            # Read the flag before the queue: rows put before `end` are still in it.
            ended = self._ended.is_set()
            try:
                return self._waiting.get(not ended, _POLL_SECONDS)
            except queue.Empty:
                if ended:
                    return None

    def _read(self, count: int) -> bytes:
        # libtiff rereads the header while it opens the file, then reads straight on.
        if self._position < len(self._head):
            data = self._head[self._position : self._position + count]
            self._position += len(data)
            return data
        while self._position >= self._chunk_start + len(self._chunk):
            chunk = None if self._position >= self._size else self._next()
            if chunk is None:
                return b""
            self._chunk_start += len(self._chunk)
            self._chunk = chunk
        begin = self._position - self._chunk_start
        data = bytes(self._chunk[begin : begin + count])
        self._position += len(data)
        return data

    def _seek(self, offset: int, whence: int) -> int:
        self._position = (0, self._position, self._size)[whence] + offset
        return self._position


def _header(width: int, height: int, bands: int, dtype: np.dtype[Any]) -> bytes:
    """Return the header and directory of a BigTIFF whose strips follow without gaps."""

    def build(start: int) -> bytes:
        shape = (height, width, bands)
        tags = sample_tags(shape, dtype, start, _ROWS_PER_STRIP, big=True)
        return header_with_directory(tags, big=True)

    # The header is built twice, because it contains the offset of its own end.
    return build(len(build(0)))


def prefetch(items: Iterable[_Item]) -> Generator[_Item]:
    """Yield the items of an iterable, none of them None; a thread prepares the next one."""
    iterator = iter(items)
    with ThreadPoolExecutor(1) as executor:
        upcoming = executor.submit(next, iterator, None)
        while (item := upcoming.result()) is not None:
            upcoming = executor.submit(next, iterator, None)
            yield item
