"""Planes: the single images that lie in picture files, stacks, arrays and volumes."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autodenoise.data.repeats import Form
from autodenoise.data.volumes import ENDINGS, open_volumes
from autodenoise.images import open_image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Plane", "Reader", "Window", "planes_of"]


class Window(NamedTuple):
    """A part of a plane, in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Plane:
    """One image, by what its file says of itself; its samples are not read yet.

    Attributes
    ----------
    path
        The file, or the folder of a ``.zarr`` volume.
    array
        The name of an array in the volume; else empty.
    place
        The page of a picture file; where the plane lies along the leading axes of an array.
    form
        Its size, channels and samples.
    """

    path: Path
    array: str
    place: tuple[int, ...]
    form: Form


def planes_of(path: Path) -> list[Plane]:
    """List the planes of a picture file, a ``.npy`` array or a ``.zarr`` volume.

    Each page of a file is one. The last two axes of an array are the rows and columns of an image,
    or the last three where the last is of 1, 3 or 4 samples: grey, or RGB with or without
    transparency. Along all other axes lie planes.

    Raises
    ------
    InputError
        It is missing, damaged, or of a kind that does not fit.
    MissingExtra
        It needs zarr, which is not installed.
    """
    if path.suffix.lower() in ENDINGS:
        return [
            Plane(path, name, place, volume.form)
            for name, volume in open_volumes(path).items()
            for place in product(*(range(length) for length in volume.leading))
        ]
    picture = open_image(path, upright=True)
    form = Form.of(picture)
    return [Plane(path, "", (page,), form) for page in range(picture.pages)]


class Reader:
    """Reads planes, for one thread: those that lie one behind the other in one go."""

    def __init__(self) -> None:
        self._picture = functools.lru_cache(32)(functools.partial(open_image, upright=True))
        self._volumes = functools.lru_cache(8)(open_volumes)
        self._next: tuple[Path, int] | None = None
        self._rows: Iterator[NDArray[Any]] = iter(())
        self._read: tuple[object, ...] = ()
        self._slab: NDArray[Any] = np.empty(0)

    def read(self, plane: Plane, window: Window) -> NDArray[Any]:
        """Give the samples (H, W, C) of a window, as they are stored, without transparency.

        Raises
        ------
        InputError
            The file is missing or damaged.
        """
        if plane.path.suffix.lower() in ENDINGS:
            return self._of_volume(plane, window)
        return self._of_page(plane, window)[..., : plane.form.colours]

    def _of_page(self, plane: Plane, window: Window) -> NDArray[Any]:
        picture, (page,) = self._picture(plane.path), plane.place
        if picture.pages == 1 or window != (0, 0, picture.height, picture.width):
            return picture.read_region(page, *window)
        # To find a page in a file takes a look at all before it, so they are read in a row.
        if page == 0:
            self._next = plane.path, 0
            # Of an image of its own, since that goes through the file once.
            self._rows = open_image(plane.path, upright=True).rows()
        if self._next != (plane.path, page):
            return picture.read_region(page, *window)
        chunks: list[NDArray[Any]] = []
        while sum(map(len, chunks)) < picture.height:
            chunks.append(next(self._rows))
        self._next = plane.path, page + 1
        return np.concatenate(chunks)

    def _of_volume(self, plane: Plane, window: Window) -> NDArray[Any]:
        volume = self._volumes(plane.path)[plane.array]
        *before, last = plane.place or (0,)
        wanted = (plane.path, plane.array, *before, last // volume.depth, window)
        if self._read != wanted:
            self._slab = volume.read(plane.place, *window)
            self._read = wanted
        plane_alone: NDArray[Any] = self._slab[last % volume.depth]
        return plane_alone
