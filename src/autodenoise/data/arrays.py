"""Reading images to learn from: named sets, arrays, tables, and folders of pictures."""

from __future__ import annotations

import contextlib
import os
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from autodenoise import images
from autodenoise.data import csv as kaggle
from autodenoise.data.idx import IDX_SETS, read_part
from autodenoise.data.places import DATA_VARIABLE, find_set
from autodenoise.data.splits import rows_held_back
from autodenoise.errors import InputError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from autodenoise.data.download import OnBytes
    from autodenoise.data.pieces import Pieces
    from autodenoise.data.splits import Way

__all__ = [
    "PARTS",
    "PICTURE_SETS",
    "SOURCES",
    "VIEW",
    "Part",
    "check_path",
    "find_parts",
    "read",
    "read_pictures",
    "resized",
]


VIEW = 256
"""The longest side of the middles that pictures of any size are validated on."""


class Part(NamedTuple):
    """Some images of a data set.

    Attributes
    ----------
    images
        (N, C, H, W) on the CPU: uint8, uint16, or float32 in [0, 1]. Clean, where there is a clean
        version; of repeats the mean of all shots but the first, of noisy pictures these themselves.
    labels
        (N,), int64; None where the data set has none.
    pictures
        Where crops are learnt from: each (V, C, H, W) whole, V versions of a scene (see
        `autodenoise.data.crops.Pictures`), or on disk where memory is too small. `images`
        are squares of some of them.
    noisy
        Noisy versions of `images`, where the source holds them: of repeats the first shot.
    again
        Of repeats, the second shot.
    """

    images: torch.Tensor
    labels: torch.Tensor | None = None
    pictures: tuple[torch.Tensor, ...] | Pieces = ()
    noisy: torch.Tensor | None = None
    again: torch.Tensor | None = None

    @property
    def size(self) -> int:
        """How many pictures it has, or images where those are all there is."""
        return len(self.pictures) or len(self.images)

    def take(self, rows: slice | NDArray[np.int64]) -> Part:
        """Give the images and labels of these rows alone."""
        chosen = np.arange(len(self.images))[rows]
        pictures = tuple(self.pictures[row] for row in chosen if self.pictures)
        labels, noisy, again = (
            None if values is None else values[rows]
            for values in (self.labels, self.noisy, self.again)
        )
        return Part(self.images[rows], labels, pictures, noisy, again)

    def hold_back(self, way: Way, share: float, seed: int) -> tuple[Part, Part]:
        """See `autodenoise.data.splits.Divisible`."""
        kept, held = rows_held_back(len(self.images), way, share, seed)
        return self.take(kept), self.take(held)


PARTS = ("train", "validation", "test")
"""What parts a source may hold."""

PICTURE_SETS = {"bsds400": {"train": "bsds400", "validation": "bsds-val32"}}
"""Data sets of photos, each a folder of the data folder by part."""

SOURCES = (*IDX_SETS, *PICTURE_SETS, "digits")
"""The data sets that have a name."""


def read(source: str, on_bytes: OnBytes | None) -> dict[str, Part]:
    """Read the parts of a source whose images are all of one size.

    Parameters
    ----------
    source
        A name of `SOURCES`, or a path.
    on_bytes
        Hears of a download's progress.

    Raises
    ------
    InputError
        A file is missing, damaged or of a kind that does not fit.
    UsageError
        No data set has this name.
    """
    if source in PICTURE_SETS:
        return {name: read_pictures(folder)[1] for name, folder in find_parts(source).items()}
    if source == "digits":
        return {"train": _digits()}
    if source in IDX_SETS:
        return {
            name: Part(torch.from_numpy(pixels)[:, None], torch.from_numpy(labels).long())
            for name in ("train", "test")
            for pixels, labels in [read_part(source, name, on_bytes)]
        }
    path = check_path(source)
    if path.is_dir():
        return _folder(path)
    if path.suffix == ".npz":
        return _npz(path)
    if path.suffix == ".npy":
        with _reading(path):
            array = np.load(path, allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise InputError(f"{path} is an .npz archive by another name")
        return {"train": Part(_to_tensor(path, array))}
    if path.name.endswith(kaggle.SUFFIXES):
        labels, pixels = kaggle.read_table(path)
        return {"train": Part(_to_tensor(path, pixels), torch.from_numpy(labels).long())}
    raise InputError(
        f"{path} is neither .npz, .npy nor .csv, nor a folder of pictures. With crop = 96 in the "
        "recipe's [data], files of pictures and volumes are learnt from"
    )


def check_path(source: str) -> Path:
    """Give the path that a source is, having no name of `SOURCES`.

    Raises
    ------
    InputError
        There is no such file or folder.
    UsageError
        It looks like a name.
    """
    path = Path(source)
    if path.exists():
        return path
    if os.sep in source or path.suffix:
        raise InputError(f"no such file or folder: {path}")
    raise unknown_name("data set", source, [*SOURCES, "a path"])


def find_parts(name: str) -> dict[str, Path]:
    """Find the folders of a set of photos, which has to be put there by hand.

    Raises
    ------
    InputError
        One is not there.
    """
    places = {}
    for part, folder in PICTURE_SETS[name].items():
        place = find_set(folder)
        if place is None:
            raise InputError(
                f"the data set {folder} is not here: set {DATA_VARIABLE} to the folder that holds "
                f"{folder}/"
            )
        places[part] = place
    return places


def _digits() -> Part:
    """scikit-learn's 1,797 scanned digits, 8x8 pixels of 17 greys."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    return Part(torch.from_numpy(pixels)[:, None], torch.from_numpy(digits.target).long())


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        raise InputError(f"cannot read {path}: {error}") from None


# --- arrays and folders ---------------------------------------------------------------------------


def _npz(path: Path) -> dict[str, Part]:
    with _reading(path):
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise InputError(f"{path} is an .npy file by another name")
        with archive:
            arrays: dict[str, NDArray[Any]] = {name: archive[name] for name in archive.files}
    parts: dict[str, Part] = {}
    for name in PARTS:
        array = arrays.get(name, arrays.get(f"x_{name}"))
        if array is not None:
            labels = arrays.get(f"y_{name}")
            parts[name] = Part(
                _to_tensor(path, array),
                None if labels is None else _to_labels(path, labels, len(array)),
            )
    if "train" not in parts:
        raise InputError(f"{path} holds no array 'train' or 'x_train'")
    return parts


def _to_labels(path: Path, array: NDArray[Any], count: int) -> torch.Tensor:
    labels = array.reshape(-1)  # Keras stores some sets' labels as a column
    whole = np.issubdtype(labels.dtype, np.integer)
    if not whole or len(labels) != count or int(labels.min()) < 0:
        raise InputError(
            f"{path}: expected a label from 0 up for each of {count} images, "
            f"got {array.dtype} of shape {array.shape}"
        )
    return torch.from_numpy(labels.astype(np.int64))


def _folder(path: Path) -> dict[str, Part]:
    named = {name: read_pictures(path / name)[1] for name in PARTS if (path / name).is_dir()}
    if not named:
        return {"train": read_pictures(path)[1]}
    if "train" not in named:
        raise InputError(f"{path} has no folder 'train'")
    return named


def read_pictures(folder: Path, size: tuple[int, int] | None = None) -> tuple[list[Path], Part]:
    """Read all pictures of a folder, which must be alike in size, channels and depth.

    Parameters
    ----------
    folder
        Where they are.
    size
        Bring them to this (height, width).

    Returns
    -------
    list of Path
        The files, sorted by name.
    Part
        What they hold, in the same order.

    Raises
    ------
    InputError
        There are none, one cannot be read, or they are not alike.
    """
    files = _pictures_in(folder)
    first = images.read(files[0])
    stack = np.empty((len(files), *first.shape), first.dtype)
    for index, file in enumerate(files):
        pixels = images.read(file)
        if pixels.shape != first.shape or pixels.dtype != first.dtype:
            raise InputError(
                f"all pictures of a split must be alike: {file} is {_describe(pixels)}, "
                f"{files[0]} is {_describe(first)}. With crop = 96 in the recipe's [data], "
                "pictures of any size are learnt from"
            )
        stack[index] = pixels
    tensor = _to_tensor(folder, stack)
    return files, Part(tensor if size is None else resized(tensor, size))


def _pictures_in(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in images.SUFFIXES)
    if not files:
        raise InputError(f"{folder} holds no pictures ({', '.join(sorted(images.SUFFIXES))})")
    return files


def _describe(pixels: NDArray[Any]) -> str:
    height, width, channels = pixels.shape
    return f"{width}x{height}, {channels} channel(s), {pixels.dtype}"


def _to_tensor(path: Path, array: NDArray[Any]) -> torch.Tensor:
    """Bring (N, H, W) or (N, H, W, C) samples to (N, C, H, W); bytes stay bytes."""
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or 0 in array.shape:
        raise InputError(f"{path}: expected images (N, H, W) or (N, H, W, C), got {array.shape}")
    try:
        values = array if array.dtype == np.uint8 else images.to_float(array)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))


def resized(part: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Bring images (N, C, H, W) to (height, width), bicubically."""
    white = 255 if part.dtype == torch.uint8 else 1
    resized = part.new_empty(*part.shape[:2], *size)
    for start in range(0, len(part), 1000):
        rows = slice(start, start + 1000)
        values = functional.interpolate(
            part[rows].float(), size, mode="bicubic", antialias=True, align_corners=False
        ).clamp_(0, white)
        resized[rows] = values.round_().to(part.dtype) if white == 255 else values
    return resized
