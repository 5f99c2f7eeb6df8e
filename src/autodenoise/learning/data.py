"""Data sets: named ones, arrays and folders, split into training, validation and test images."""

from __future__ import annotations

import contextlib
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from autodenoise import images
from autodenoise.errors import InputError, UsageError, unknown_name
from autodenoise.learning import kaggle
from autodenoise.learning.idx import IDX_SETS, read_part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from autodenoise.learning.download import OnBytes

__all__ = ["SOURCES", "Data", "Part", "Splits", "as_float", "load", "read_pictures", "shape"]


@dataclass(frozen=True)
class Data:
    """Which images to learn from and how to split them.

    Attributes
    ----------
    source
        A name of `SOURCES`, or a path: an ``.npz`` with arrays ``train`` and ``test`` (or Keras's
        ``x_train`` and ``x_test``; labels as ``y_train`` and ``y_test``), an ``.npy`` with one
        array, a ``.csv`` as Kaggle publishes them (plain, gzipped or zipped), or a folder with one
        folder of pictures a split (``train``, ``test`` and, if wanted, ``validation``) or with
        pictures.
    part
        The part of it that is learnt from.
    validation
        Where validation images come from. ``test``: the data set's own validation part, or its test
        part where it has none, as most tutorials do. ``last``: the last `share` of the training
        images. ``random``: a random `share`, scikit-learn's ``train_test_split`` seeded with
        `split_seed`.
    share, split_seed
        For ``last`` and ``random``.
    copies
        How many times over each image is taken, each copy with noise of its own.
    size
        Enlarge or shrink the images to (height, width) first, bicubically.
    """

    source: str
    part: Literal["train", "test"] = "train"
    validation: Literal["test", "last", "random"] = "test"
    share: float = 0.2
    split_seed: int = 42
    copies: int = 1
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise UsageError(f"data: share is {self.share}; expected a number between 0 and 1")
        if self.copies < 1:
            raise UsageError(f"data: copies is {self.copies}; expected at least 1")
        if not 0 <= self.split_seed < 2**32:
            raise UsageError(
                f"data: split_seed is {self.split_seed}; expected 0 or more, below 2**32"
            )
        if self.size is not None and min(self.size) < 1:
            raise UsageError(f"data: size is {self.size}; expected two sides of at least 1")


class Part(NamedTuple):
    """Some images of a data set.

    Attributes
    ----------
    images
        (N, C, H, W) on the CPU: uint8, or float32 in [0, 1].
    labels
        (N,), int64; None where the data set has none.
    """

    images: torch.Tensor
    labels: torch.Tensor | None = None

    def take(self, rows: slice | NDArray[np.int64]) -> Part:
        """Give the images and labels of these rows alone."""
        return Part(self.images[rows], None if self.labels is None else self.labels[rows])


class Splits(NamedTuple):
    """Images to train on, to watch while training, and to score at the end.

    `validation` and `test` are the same object where a data set has no more than two parts.
    `classes` says what the labels 0, 1, ... mean; empty where nobody does.
    """

    train: Part
    validation: Part
    test: Part
    classes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of every image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


class _Parts(NamedTuple):
    train: Part
    validation: Part | None = None
    test: Part | None = None


SOURCES = (*IDX_SETS, "digits")
"""The data sets that have a name."""


def load(data: Data, on_bytes: OnBytes | None = None) -> Splits:
    """Read a data set and split it.

    Parameters
    ----------
    data
        What to read, and how to split it.
    on_bytes
        Hears of a download's progress.

    Raises
    ------
    InputError
        A file is missing, damaged or of a kind that does not fit.
    UsageError
        No data set has this name, or it lacks the part that was asked for.
    """
    parts = _read(data.source, on_bytes)
    if data.size is not None:
        sized = {
            name: part._replace(images=_resize(part.images, data.size))
            for name, part in parts._asdict().items()
            if part is not None
        }
        parts = _Parts(**sized)
    for name, part in zip(_Parts._fields, parts, strict=True):
        if part is not None and part.images.shape[1:] != parts.train.images.shape[1:]:
            raise InputError(
                f"{data.source}: all parts must have images of one shape; '{name}' has "
                f"{tuple(part.images.shape[1:])} (channels, height, width), 'train' has "
                f"{tuple(parts.train.images.shape[1:])}"
            )
    classes = _classes(data.source, parts)
    learnt: Part | None = getattr(parts, data.part)
    if learnt is None:
        raise UsageError(f"{data.source} has no part '{data.part}'")
    if data.validation == "test":
        watched = parts.test if parts.validation is None else parts.validation
        if watched is None or data.part == "test":
            raise UsageError(
                f"{data.source} has no images besides those trained on to validate with; "
                "use validation = 'random' or 'last' in the recipe's [data]"
            )
        return Splits(learnt, watched, watched if parts.test is None else parts.test, classes)
    count = len(learnt.images)
    if count < 2:
        raise UsageError(f"{data.source} has {count} image, too few to hold any back")
    if data.validation == "last":
        border = int(count * (1 - data.share))  # as Keras's validation_split
        train, watched = learnt.take(slice(border)), learnt.take(slice(border, None))
    else:
        from sklearn.model_selection import train_test_split

        kept, held = train_test_split(
            np.arange(count), test_size=data.share, random_state=data.split_seed
        )
        train, watched = learnt.take(kept), learnt.take(held)
    if not len(train.images) or not len(watched.images):
        raise UsageError(f"{count} image(s) are too few to hold back {data.share:.0%}")
    apart = parts.test is not None and data.part == "train"
    return Splits(train, watched, parts.test if apart and parts.test else watched, classes)


def shape(data: Data, on_bytes: OnBytes | None = None) -> tuple[int, int, int]:
    """Give the (channels, height, width) of a data set's images; a named one need not be here.

    Raises
    ------
    InputError, UsageError
        As `load`.
    """
    known = {"digits": (1, 8, 8), **dict.fromkeys(IDX_SETS, (1, 28, 28))}
    if data.source not in known:
        return load(data, on_bytes).shape
    channels, height, width = known[data.source]
    return (channels, *(data.size or (height, width)))


def _classes(source: str, parts: _Parts) -> tuple[str, ...]:
    if source in IDX_SETS:
        return IDX_SETS[source].classes
    labels = [part.labels for part in parts if part is not None and part.labels is not None]
    return tuple(str(n) for n in range(1 + max((int(part.max()) for part in labels), default=-1)))


def _read(source: str, on_bytes: OnBytes | None) -> _Parts:
    if source == "digits":
        return _Parts(_digits())
    if source in IDX_SETS:
        train, test = (
            Part(torch.from_numpy(pixels)[:, None], torch.from_numpy(labels).long())
            for pixels, labels in (read_part(source, name, on_bytes) for name in ("train", "test"))
        )
        return _Parts(train, None, test)
    path = Path(source)
    if not path.exists():
        if os.sep in source or path.suffix:
            raise InputError(f"no such file or folder: {path}")
        raise unknown_name("data set", source, [*SOURCES, "a path"])
    if path.is_dir():
        return _folder(path)
    if path.suffix == ".npz":
        return _npz(path)
    if path.suffix == ".npy":
        with _reading(path):
            array = np.load(path, allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise InputError(f"{path} is an .npz archive by another name")
        return _Parts(Part(_to_tensor(path, array)))
    if path.name.endswith(kaggle.SUFFIXES):
        labels, pixels = kaggle.read_table(path)
        return _Parts(Part(_to_tensor(path, pixels), torch.from_numpy(labels).long()))
    raise InputError(f"{path} is neither .npz, .npy nor .csv, nor a folder of pictures")


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


def _npz(path: Path) -> _Parts:
    with _reading(path):
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise InputError(f"{path} is an .npy file by another name")
        with archive:
            arrays: dict[str, NDArray[Any]] = {name: archive[name] for name in archive.files}
    parts: dict[str, Part] = {}
    for name in _Parts._fields:
        array = arrays.get(name, arrays.get(f"x_{name}"))
        if array is not None:
            labels = arrays.get(f"y_{name}")
            parts[name] = Part(
                _to_tensor(path, array),
                None if labels is None else _to_labels(path, labels, len(array)),
            )
    if "train" not in parts:
        raise InputError(f"{path} holds no array 'train' or 'x_train'")
    return _Parts(**parts)


def _to_labels(path: Path, array: NDArray[Any], count: int) -> torch.Tensor:
    labels = array.reshape(-1)  # Keras stores some sets' labels as a column
    whole = np.issubdtype(labels.dtype, np.integer)
    if not whole or len(labels) != count or int(labels.min()) < 0:
        raise InputError(
            f"{path}: expected a label from 0 up for each of {count} images, "
            f"got {array.dtype} of shape {array.shape}"
        )
    return torch.from_numpy(labels.astype(np.int64))


def _folder(path: Path) -> _Parts:
    named = {
        name: read_pictures(path / name)[1] for name in _Parts._fields if (path / name).is_dir()
    }
    if not named:
        return _Parts(read_pictures(path)[1])
    if "train" not in named:
        raise InputError(f"{path} has no folder 'train'")
    return _Parts(**named)


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
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in images.SUFFIXES)
    if not files:
        raise InputError(f"{folder} holds no pictures ({', '.join(sorted(images.SUFFIXES))})")
    first = images.read(files[0])
    stack = np.empty((len(files), *first.shape), first.dtype)
    for index, file in enumerate(files):
        pixels = images.read(file)
        if pixels.shape != first.shape or pixels.dtype != first.dtype:
            raise InputError(
                f"all pictures of a split must be alike: {file} is {_describe(pixels)}, "
                f"{files[0]} is {_describe(first)}"
            )
        stack[index] = pixels
    tensor = _to_tensor(folder, stack)
    return files, Part(tensor if size is None else _resize(tensor, size))


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


def _resize(part: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    white = 255 if part.dtype == torch.uint8 else 1
    resized = part.new_empty(*part.shape[:2], *size)
    for start in range(0, len(part), 1000):
        rows = slice(start, start + 1000)
        values = functional.interpolate(
            part[rows].float(), size, mode="bicubic", antialias=True, align_corners=False
        ).clamp_(0, white)
        resized[rows] = values.round_().to(part.dtype) if white == 255 else values
    return resized


def as_float(pixels: torch.Tensor) -> torch.Tensor:
    """Scale a batch of a split to [0, 1], as channels-last floats, which oneDNN's kernels want."""
    values = pixels.to(torch.float32, memory_format=torch.channels_last)
    return values.div_(255) if pixels.dtype == torch.uint8 else values
