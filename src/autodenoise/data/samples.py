"""Samples: the images in files, stacks, arrays and volumes, and windows of them."""

from __future__ import annotations

import functools
import itertools
import math
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from autodenoise.data.volumes import SUFFIXES, ImageInfo, open_volumes
from autodenoise.images import open_image

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from autodenoise.discovery import SkippedFile

__all__ = [
    *("THREADS", "Gathered", "Plane", "Reader", "Sample", "Window"),
    *("evenly_spaced", "list_planes"),
]

THREADS = min(4, os.cpu_count() or 1)
"""Number of threads that read files."""

_Item = TypeVar("_Item")


class Window(NamedTuple):
    """A rectangle in a plane, in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Plane:
    """One image in a file, as described by the file's header; its pixels are not read yet.

    `index` is the page of an image file, or the index along the leading axes of an array. `array`
    is the name of the array in a ``.zarr`` volume; else empty.
    """

    path: Path
    array: str
    index: tuple[int, ...]
    info: ImageInfo


def list_planes(path: Path) -> list[Plane]:
    """List the planes of an image file, an ``.npy`` array or a ``.zarr`` volume.

    Each page of an image file is a plane. In arrays, the last two axes are the rows and columns of
    a plane, or the last three where the last has 1, 3 or 4 entries: gray, or RGB with or without
    transparency. All other axes count planes.
    """
    if path.suffix.lower() in SUFFIXES:
        return [
            Plane(path, name, index, volume.info)
            for name, volume in open_volumes(path).items()
            for index in itertools.product(*(range(length) for length in volume.leading))
        ]
    image = open_image(path, upright=True)
    info = ImageInfo.of(image)
    return [Plane(path, "", (page,), info) for page in range(image.pages)]


@dataclass(frozen=True)
class Sample:
    """The same window of all versions of an image, which have one size: see `Supervision`."""

    name: str
    planes: tuple[Plane, ...]
    window: Window

    @classmethod
    def of(cls, name: str, planes: Iterable[Plane]) -> Sample:
        """Return a sample that covers its planes completely."""
        planes = tuple(planes)
        info = planes[0].info
        return cls(name, planes, Window(0, 0, info.height, info.width))

    @property
    def shots(self) -> int:
        """Number of versions."""
        return len(self.planes)

    @property
    def files(self) -> list[Path]:
        """The files of the versions, in order."""
        return list(dict.fromkeys(plane.path for plane in self.planes))

    @property
    def info(self) -> ImageInfo:
        """Size, channels and dtype of the first version's window."""
        return self.planes[0].info._replace(width=self.window.width, height=self.window.height)

    @property
    def has_known_range(self) -> bool:
        """Whether the intensity range of all versions is known."""
        return all(plane.info.intensity_range is not None for plane in self.planes)

    def rows(self) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Yield chunks of rows of one version after the other.

        Each comes with the index of its version and of its first row: (r, W, C) pixels as stored,
        upright, without transparency.
        """
        reader = Reader()
        for shot, plane in enumerate(self.planes):
            top = 0
            for chunk in reader.rows(plane, self.window):
                yield shot, top, chunk
                top += len(chunk)

    def squares(self, side: int, max_count: int) -> list[Sample]:
        """Cut adjoining squares from the center; evenly spaced ones if there are too many."""
        top, left, height, width = self.window
        down, across = height // side, width // side
        top += (height - down * side) // 2
        left += (width - across * side) // 2
        grid = list(itertools.product(range(down), range(across)))
        return [
            replace(self, window=Window(top + side * row, left + side * column, side, side))
            for row, column in evenly_spaced(grid, max_count)
        ]

    def patches(self, max_pixels: float) -> list[Sample]:
        """Cut into as few patches of about equal size as `max_pixels` of all versions allow."""
        top, left, height, width = self.window
        count = math.ceil(self.shots * height * width / max_pixels)
        down = min(height, max(1, round(math.sqrt(count * height / width))))
        across = math.ceil(count / down)
        rows, columns = (
            itertools.pairwise([length * n // parts for n in range(parts + 1)])
            for length, parts in ((height, down), (width, across))
        )
        return [
            replace(self, window=Window(top + up, left + start, low - up, end - start))
            for (up, low), (start, end) in itertools.product(rows, columns)
        ]


class Gathered(NamedTuple):
    """The samples of a source, the skipped files, and the number of other files by suffix."""

    samples: tuple[Sample, ...]
    skipped: tuple[SkippedFile, ...]
    other_suffixes: Counter[str]


class Reader:
    """Read planes in one thread, and adjoining ones in a single pass over their file."""

    def __init__(self) -> None:
        self._image = functools.lru_cache(32)(functools.partial(open_image, upright=True))
        self._volumes = functools.lru_cache(8)(open_volumes)
        self._next_page: tuple[Path, int] | None = None
        self._rows: Iterator[NDArray[Any]] = iter(())
        self._slab_key: tuple[object, ...] = ()
        self._slab: NDArray[Any] = np.empty(0)

    def read(self, plane: Plane, window: Window) -> NDArray[Any]:
        """Return the pixels of a window, (H, W, C), as stored but without transparency."""
        if plane.path.suffix.lower() in SUFFIXES:
            return self._read_volume(plane, window)
        image, (page,) = self._image(plane.path), plane.index
        if image.pages == 1:
            return image.read_region(page, *window)[..., : plane.info.channels]
        return np.concatenate(list(self.rows(plane, window)))

    def rows(self, plane: Plane, window: Window) -> Iterator[NDArray[Any]]:
        """Yield the pixels of a window in chunks of rows; see `read`."""
        if plane.path.suffix.lower() in SUFFIXES:
            yield self._read_volume(plane, window)
            return
        page, height, channels = plane.index[0], plane.info.height, plane.info.channels
        # Seeking a page means parsing all pages before it, so read consecutive pages in one pass.
        if window == (0, 0, height, plane.info.width):
            if page == 0:
                self._next_page = plane.path, 0
                # A separate image object, since this iterates over the file once.
                self._rows = open_image(plane.path, upright=True).rows()
            if self._next_page == (plane.path, page):
                self._next_page = None
                while height > 0:
                    chunk = next(self._rows)
                    height -= len(chunk)
                    yield chunk[..., :channels]
                self._next_page = plane.path, page + 1
                return
        yield self._image(plane.path).read_region(page, *window)[..., :channels]

    def _read_volume(self, plane: Plane, window: Window) -> NDArray[Any]:
        volume = self._volumes(plane.path)[plane.array]
        *before, last = plane.index or (0,)
        key = (plane.path, plane.array, *before, last // volume.depth, window)
        if self._slab_key != key:
            self._slab = volume.read(plane.index, *window)
            self._slab_key = key
        pixels: NDArray[Any] = self._slab[last % volume.depth]
        return pixels


def evenly_spaced(items: Sequence[_Item], count: int) -> list[_Item]:
    """Return `count` evenly spaced items, or all if there are fewer.

    Examples
    --------
    >>> evenly_spaced("abcdef", 3)
    ['b', 'd', 'f']
    """
    count = min(count, len(items))
    return [items[len(items) * (2 * n + 1) // (2 * count)] for n in range(count)]
