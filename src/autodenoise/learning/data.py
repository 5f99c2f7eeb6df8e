"""Data sets: named ones, arrays and folders, split into training, validation and test images."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import math
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import platformdirs
import torch
from torch.nn import functional

from autodenoise import images
from autodenoise.errors import InputError, UsageError, unknown_name
from autodenoise.learning import kaggle
from autodenoise.learning.download import OnBytes, download

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["DATA_VARIABLE", "SOURCES", "Data", "Splits", "as_float", "load", "read_idx"]

DATA_VARIABLE = "AUTODENOISE_DATA"
"""The environment variable that names the folder looked into first."""


@dataclass(frozen=True)
class Data:
    """Which images to learn from and how to split them.

    Attributes
    ----------
    source
        A name of `SOURCES`, or a path: an ``.npz`` with arrays ``train`` and ``test`` (or Keras's
        ``x_train`` and ``x_test``), an ``.npy`` with one array, a ``.csv`` as Kaggle publishes them
        (plain, gzipped or zipped), or a folder with one folder of
        pictures a split (``train``, ``test`` and, if wanted, ``validation``) or with pictures.
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


class Splits(NamedTuple):
    """Images to train on, to watch while training, and to score at the end.

    Each is a tensor (N, C, H, W) on the CPU: uint8, or float32 in [0, 1]. `validation` and `test`
    are the same object where a data set has no more than two parts.
    """

    train: torch.Tensor
    validation: torch.Tensor
    test: torch.Tensor


class _Parts(NamedTuple):
    train: torch.Tensor
    validation: torch.Tensor | None
    test: torch.Tensor | None


@dataclass(frozen=True)
class _IdxSet:
    """A data set published as gzipped IDX files; `sha256` is of the unpacked content."""

    mirrors: tuple[str, ...]
    sha256: dict[str, str]


SOURCES: dict[str, _IdxSet | None] = {
    "mnist": _IdxSet(
        mirrors=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
        sha256={
            "train-images-idx3-ubyte": (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            ),
            "t10k-images-idx3-ubyte": (
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
            ),
        },
    ),
    "fashion-mnist": _IdxSet(
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
        sha256={
            "train-images-idx3-ubyte": (
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
            ),
            "t10k-images-idx3-ubyte": (
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
            ),
        },
    ),
    "digits": None,  # comes inside scikit-learn
}
"""The data sets that have a name. Files with a digest in ``sha256`` are fetched where missing."""


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
        parts = _Parts(
            _resize(parts.train, data.size),
            parts.validation if parts.validation is None else _resize(parts.validation, data.size),
            parts.test if parts.test is None else _resize(parts.test, data.size),
        )
    for name, part in zip(_Parts._fields, parts, strict=True):
        if part is not None and part.shape[1:] != parts.train.shape[1:]:
            raise InputError(
                f"{data.source}: all parts must have images of one shape; '{name}' has "
                f"{tuple(part.shape[1:])} (channels, height, width), 'train' has "
                f"{tuple(parts.train.shape[1:])}"
            )
    learnt = getattr(parts, data.part)
    if learnt is None:
        raise UsageError(f"{data.source} has no part '{data.part}'")
    if data.validation == "test":
        watched = parts.test if parts.validation is None else parts.validation
        if watched is None or data.part == "test":
            raise UsageError(
                f"{data.source} has no images besides those trained on to validate with; "
                "use validation = 'random' or 'last' in the recipe's [data]"
            )
        return Splits(learnt, watched, watched if parts.test is None else parts.test)
    if len(learnt) < 2:
        raise UsageError(f"{data.source} has {len(learnt)} image, too few to hold any back")
    if data.validation == "last":
        border = int(len(learnt) * (1 - data.share))  # as Keras's validation_split
        train, watched = learnt[:border], learnt[border:]
    else:
        from sklearn.model_selection import train_test_split

        rows = np.arange(len(learnt))
        kept, held = train_test_split(rows, test_size=data.share, random_state=data.split_seed)
        train, watched = learnt[kept], learnt[held]
    if not len(train) or not len(watched):
        raise UsageError(f"{len(learnt)} image(s) are too few to hold back {data.share:.0%}")
    apart = parts.test is not None and data.part == "train"
    return Splits(train, watched, parts.test if apart and parts.test is not None else watched)


def _read(source: str, on_bytes: OnBytes | None) -> _Parts:
    if source == "digits":
        return _digits()
    if source in SOURCES:
        train = _idx_images(source, "train-images-idx3-ubyte", on_bytes)
        return _Parts(train, None, _idx_images(source, "t10k-images-idx3-ubyte", on_bytes))
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
        return _Parts(_to_tensor(path, array), None, None)
    if path.name.endswith(kaggle.SUFFIXES):
        return _Parts(_to_tensor(path, kaggle.read_table(path)[1]), None, None)
    raise InputError(f"{path} is neither .npz, .npy nor .csv, nor a folder of pictures")


def _digits() -> _Parts:
    """scikit-learn's 1,797 scanned digits, 8x8 pixels of 17 greys."""
    from sklearn.datasets import load_digits

    grey = load_digits().images * (255 / 16)
    return _Parts(torch.from_numpy(np.rint(grey).astype(np.uint8))[:, None], None, None)


# --- IDX ------------------------------------------------------------------------------------------


def _idx_images(name: str, file: str, on_bytes: OnBytes | None) -> torch.Tensor:
    path = _find(name, file, on_bytes)
    pixels = read_idx(path)
    if pixels.ndim != 3:
        raise InputError(
            f"{path} holds {pixels.ndim} dimension(s), images need 3; are these labels?"
        )
    return _to_tensor(path, pixels)


def _find(name: str, file: str, on_bytes: OnBytes | None) -> Path:
    """Look in $AUTODENOISE_DATA, then in the user's cache, then download into the cache."""
    cache = platformdirs.user_cache_path("autodenoise") / "data"
    shared = os.environ.get(DATA_VARIABLE)
    for folder in ([Path(shared)] if shared else []) + [cache]:
        for candidate in (folder / name / file, folder / name / f"{file}.gz"):
            if candidate.is_file():
                return candidate
    idx_set = SOURCES[name]
    assert idx_set is not None
    target = cache / name / f"{file}.gz"
    digest = idx_set.sha256[file]
    addresses = [f"{mirror}{file}.gz" for mirror in idx_set.mirrors]
    download(addresses, target, lambda path: _unpacked_sha256(path) == digest, on_bytes)
    return target


def _unpacked_sha256(path: Path) -> str | None:
    # Of the content, since mirrors pack it differently; None where it cannot be unpacked.
    digest = hashlib.sha256()
    try:
        with gzip.open(path) as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except (EOFError, OSError, zlib.error):
        return None
    return digest.hexdigest()


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, plain or gzipped.

    The format: two zero bytes, a type (8: unsigned byte), the number of dimensions, each dimension
    as a big-endian 32-bit integer, then the values. It is described on the MNIST page
    (LeCun, Cortes, Burges).

    Raises
    ------
    InputError
        It is missing, damaged, cut short, too long, or not IDX.
    """
    with _reading(path):
        packed = path.read_bytes()
        content = gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed
    if content[:3] != b"\0\0\x08" or len(content) < 4:
        raise InputError(f"{path} is not an IDX file of unsigned bytes")
    dimensions = content[3]
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise InputError(f"{path} is damaged: it ends within its header")
    shape = tuple(int(n) for n in np.frombuffer(content[4:header], ">u4"))
    expected = header + math.prod(shape)
    if len(content) != expected:
        raise InputError(
            f"{path} is damaged: its header announces {expected:,} bytes ({shape}), "
            f"it holds {len(content):,}; remove it to have it downloaded again"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()


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
            arrays: dict[str, NDArray[Any]] = {
                name.removeprefix("x_"): archive[name]
                for name in archive.files
                if name.removeprefix("x_") in _Parts._fields
            }
    if "train" not in arrays:
        raise InputError(f"{path} holds no array 'train' or 'x_train'")
    tensors = {name: _to_tensor(path, array) for name, array in arrays.items()}
    return _Parts(tensors["train"], tensors.get("validation"), tensors.get("test"))


def _folder(path: Path) -> _Parts:
    named = {name: _pictures(path / name) for name in _Parts._fields if (path / name).is_dir()}
    if not named:
        return _Parts(_pictures(path), None, None)
    if "train" not in named:
        raise InputError(f"{path} has no folder 'train'")
    return _Parts(named["train"], named.get("validation"), named.get("test"))


def _pictures(folder: Path) -> torch.Tensor:
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
    return _to_tensor(folder, stack)


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
