"""Arrays of images on disk, ``.npy`` and ``.zarr``, that are read a part at a time."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from autodenoise.data.repeats import Form
from autodenoise.errors import InputError, MissingExtra, extra_of
from autodenoise.images import IntensityRange

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["ENDINGS", "Volume", "open_volumes"]

ENDINGS = frozenset({".npy", ".zarr"})
"""What their names end in; a ``.zarr`` is a folder."""

_MARKS = ("zarr.json", ".zarray")
_COLOURS = (1, 3, 4)
_LARGEST_SLAB = 256 * 2**20
_LARGEST_CHUNK = 2**30

# A damaged file makes zarr stumble in many places.
_UNREADABLE = (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError)


class _Array(Protocol):
    """What NumPy's and zarr's arrays have in common."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, place: Any, /) -> Any: ...


@dataclass(frozen=True)
class Volume:
    """An array whose last two axes are rows and columns, or last three with the colours.

    Attributes
    ----------
    path
        Where it is.
    array
        The whole.
    leading
        How many planes there are along each of the axes before.
    samples
        Stored for each pixel, transparency included.
    depth
        How many planes, along the last leading axis, are stored together.
    form
        Of a plane.
    """

    path: Path
    array: _Array
    leading: tuple[int, ...]
    samples: int
    depth: int
    form: Form

    @classmethod
    def of(cls, path: Path, array: _Array, chunk: tuple[int, ...] = ()) -> Volume:
        """Look at an array; `chunk` is the shape of what is stored together.

        Raises
        ------
        InputError
            It holds no images.
        """
        shape, dtype = tuple(array.shape), array.dtype
        if len(shape) < 2 or 0 in shape or dtype.kind not in "uif":
            raise InputError(
                f"{path} holds {dtype} of shape {shape}; expected numbers, with rows and columns "
                "as the last axes, or RGB after them"
            )
        coloured = len(shape) > 2 and shape[-1] in _COLOURS
        height, width, samples = shape[-3:] if coloured else (*shape[-2:], 1)
        leading = shape[: -3 if coloured else -2]
        native = dtype.newbyteorder("=")
        depth = chunk[len(leading) - 1] if chunk and leading else 1
        if depth * height * width * samples * native.itemsize > _LARGEST_SLAB:
            depth = 1
        form = Form(width, height, min(samples, 3), native, IntensityRange.for_dtype(native))
        return cls(path, array, leading, samples, depth, form)

    def read(
        self, place: tuple[int, ...], top: int, left: int, height: int, width: int
    ) -> NDArray[Any]:
        """Read a part of the planes that are stored together with one of them.

        Parameters
        ----------
        place
            Of the plane, along the leading axes.
        top, left, height, width
            The part, in pixels.

        Returns
        -------
        ndarray
            (n, height, width, C) without transparency. That of the plane is number
            ``place[-1] % depth``.

        Raises
        ------
        InputError
            The file is damaged.
        """
        where: list[int | slice] = list(place)
        if place:
            first = place[-1] - place[-1] % self.depth
            where[-1] = slice(first, first + self.depth)
        where += [slice(top, top + height), slice(left, left + width)]
        with _reading(self.path):
            part = np.asarray(self.array[tuple(where)])
        part = part.reshape(-1, height, width, self.samples)[..., : self.form.colours]
        return part.astype(self.form.dtype, copy=False)


def open_volumes(path: Path) -> dict[str, Volume]:
    """Open what a ``.npy`` file or a ``.zarr`` folder holds, by name.

    Of an OME-Zarr image that is its largest version, of another group each of its arrays.

    Raises
    ------
    InputError
        It is missing, damaged, or holds no images.
    MissingExtra
        It needs zarr, which is not installed.
    """
    if path.suffix.lower() == ".npy":
        with _reading(path):
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise InputError(f"{path} is an .npz archive by another name")
        return {"": Volume.of(path, array)}
    try:
        import zarr
    except ModuleNotFoundError as error:
        missing = error.name or "zarr"
        raise MissingExtra(missing, extra_of(missing)) from None
    with _reading(path):
        found = zarr.open(path, mode="r")
        if isinstance(found, zarr.Array):
            arrays = {"": found}
        else:
            told: Any = found.attrs.asdict()
            images = told.get("ome", told).get("multiscales")
            # Not zarr's own list, which warns of whatever else there is.
            names = [image["datasets"][0]["path"] for image in images or ()] or [
                mark.parent.name for name in _MARKS for mark in path.glob(f"*/{name}")
            ]
            inside = {name: found[name] for name in names}
            arrays = {name: one for name, one in inside.items() if isinstance(one, zarr.Array)}
    if not arrays:
        raise InputError(f"{path} holds no array")
    for array in arrays.values():
        stored = array.shards or array.chunks
        if math.prod(stored) * array.dtype.itemsize > _LARGEST_CHUNK:
            raise InputError(f"{path} is stored in chunks of {stored}, which are too large to read")
    return {
        name: Volume.of(path, array, array.shards or array.chunks)
        for name, array in sorted(arrays.items())
    }


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        raise InputError(f"cannot read {path}: {error}") from None
