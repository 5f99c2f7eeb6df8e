"""Arrays of images on disk, ``.npy`` and ``.zarr``, read in parts."""

from __future__ import annotations

import contextlib
import math
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np

from autodenoise.errors import InputError, MissingExtra, extra_of
from autodenoise.images import IntensityRange

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from autodenoise.images import ImageFile

__all__ = ["SUFFIXES", "ImageInfo", "Volume", "load_array", "open_volumes", "reading"]

SUFFIXES = frozenset({".npy", ".zarr"})
"""Their suffixes; a ``.zarr`` is a folder."""

_ZARR_METADATA = ("zarr.json", ".zarray")
_CHANNEL_COUNTS = (1, 3, 4)
_MAX_SLAB_BYTES = 256 * 2**20
_MAX_CHUNK_BYTES = 2**30

# A damaged file makes NumPy or zarr raise any of these.
_READ_ERRORS = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError),
    *(zlib.error, zipfile.BadZipFile),
)


class ImageInfo(NamedTuple):
    """Size, channels, dtype and intensity range of an image."""

    width: int
    height: int
    channels: int
    dtype: np.dtype[Any]
    intensity_range: IntensityRange | None

    @classmethod
    def of(cls, image: ImageFile) -> ImageInfo:
        """Return the info of an image file that was opened upright."""
        return cls(image.width, image.height, image.colors, image.dtype, image.intensity_range)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}, {self.channels} channel(s), {self.dtype}"


class _Array(Protocol):
    """The interface that NumPy and zarr arrays share."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, key: Any, /) -> Any: ...


@dataclass(frozen=True)
class Volume:
    """An array of planes: its last two axes are rows and columns, or its last three with channels.

    Attributes
    ----------
    leading
        Lengths of the axes before, which count planes.
    samples
        Number of values stored per pixel, including transparency.
    depth
        Number of planes along the last leading axis that are stored in one chunk.
    """

    path: Path
    array: _Array
    leading: tuple[int, ...]
    samples: int
    depth: int
    info: ImageInfo

    @classmethod
    def of(cls, path: Path, array: _Array, chunk: tuple[int, ...] = ()) -> Volume:
        """Describe an array of images; `chunk` is the shape of its chunks."""
        shape, dtype = tuple(array.shape), array.dtype
        if len(shape) < 2 or 0 in shape or dtype.kind not in "uif":
            raise InputError(
                f"{path} contains {dtype} of shape {shape}; expected numbers with rows and columns "
                "as the last axes, or rows, columns and RGB channels"
            )
        has_channels = len(shape) > 2 and shape[-1] in _CHANNEL_COUNTS
        height, width, samples = shape[-3:] if has_channels else (*shape[-2:], 1)
        leading = shape[: -3 if has_channels else -2]
        native = dtype.newbyteorder("=")
        depth = chunk[len(leading) - 1] if chunk and leading else 1
        if depth * height * width * samples * native.itemsize > _MAX_SLAB_BYTES:
            depth = 1
        info = ImageInfo(width, height, min(samples, 3), native, IntensityRange.for_dtype(native))
        return cls(path, array, leading, samples, depth, info)

    def read(
        self, index: tuple[int, ...], top: int, left: int, height: int, width: int
    ) -> NDArray[Any]:
        """Read a window of a plane and of all planes stored in the same chunk.

        Return (n, height, width, C) without transparency. The plane is at ``index[-1] % depth``.
        """
        key: list[int | slice] = list(index)
        if index:
            first = index[-1] - index[-1] % self.depth
            key[-1] = slice(first, first + self.depth)
        key += [slice(top, top + height), slice(left, left + width)]
        with reading(self.path):
            part = np.asarray(self.array[tuple(key)])
        part = part.reshape(-1, height, width, self.samples)[..., : self.info.channels]
        return part.astype(self.info.dtype, copy=False)


def open_volumes(path: Path) -> dict[str, Volume]:
    """Open the arrays in an ``.npy`` file or a ``.zarr`` folder, by name.

    For an OME-Zarr image this is its full resolution, for other groups each of their arrays.
    """
    if path.suffix.lower() == ".npy":
        return {"": Volume.of(path, load_array(path, mmap_mode="r"))}
    try:
        import zarr
    except ModuleNotFoundError as error:
        missing = error.name or "zarr"
        raise MissingExtra(missing, extra_of(missing)) from None
    with reading(path):
        root = zarr.open(path, mode="r")
        if isinstance(root, zarr.Array):
            arrays = {"": root}
        else:
            attributes: Any = root.attrs.asdict()
            images = attributes.get("ome", attributes).get("multiscales")
            # zarr's own listing warns about unrelated files.
            names = [image["datasets"][0]["path"] for image in images or ()] or [
                file.parent.name for name in _ZARR_METADATA for file in path.glob(f"*/{name}")
            ]
            members = {name: root[name] for name in names}
            arrays = {name: a for name, a in members.items() if isinstance(a, zarr.Array)}
    if not arrays:
        raise InputError(f"{path} contains no arrays")
    for array in arrays.values():
        stored = array.shards or array.chunks
        if math.prod(stored) * array.dtype.itemsize > _MAX_CHUNK_BYTES:
            raise InputError(f"{path} has chunks of {stored}, which are too large to read")
    return {
        name: Volume.of(path, array, array.shards or array.chunks)
        for name, array in sorted(arrays.items())
    }


def load_array(path: Path, mmap_mode: Literal["r"] | None = None) -> NDArray[Any]:
    """Load the array in an ``.npy`` file."""
    with reading(path):
        array = np.load(path, mmap_mode, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path} is an .npz archive; rename it to end in .npz")
    return array


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Report errors while reading a file as `InputError`."""
    try:
        yield
    except _READ_ERRORS as error:
        raise InputError(f"cannot read {path}: {error}") from None
