"""Datasets published as gzipped IDX files: MNIST and Fashion-MNIST."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from autodenoise.data.download import OnBytes, cache_folder, data_folders, download
from autodenoise.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["IDX_SETS", "IdxSet", "read_idx", "read_part"]


@dataclass(frozen=True)
class IdxSet:
    """A published dataset: folders with its files, and the meaning of labels 0, 1, ...

    The digests are of each file's uncompressed content, since mirrors compress it differently.
    """

    mirrors: tuple[str, ...]
    sha256: dict[str, str]
    classes: tuple[str, ...]


IDX_SETS: dict[str, IdxSet] = {
    "mnist": IdxSet(
        mirrors=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
        sha256={
            "train-images-idx3-ubyte": (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            ),
            "train-labels-idx1-ubyte": (
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
            ),
            "t10k-images-idx3-ubyte": (
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
            ),
            "t10k-labels-idx1-ubyte": (
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
            ),
        },
        classes=tuple("0123456789"),
    ),
    "fashion-mnist": IdxSet(
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
        sha256={
            "train-images-idx3-ubyte": (
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
            ),
            "train-labels-idx1-ubyte": (
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
            ),
            "t10k-images-idx3-ubyte": (
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
            ),
            "t10k-labels-idx1-ubyte": (
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
            ),
        },
        classes=(
            *("T-shirt", "trousers", "pullover", "dress", "coat"),
            *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
        ),
    ),
}
"""The datasets that can be downloaded, by name."""


def read_part(
    name: str, part: Literal["train", "test"], on_bytes: OnBytes | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read the images (N, H, W) and labels of a part of a dataset, and download missing files."""
    prefix = "train" if part == "train" else "t10k"
    pixels_file = _find(name, f"{prefix}-images-idx3-ubyte", on_bytes)
    pixels = read_idx(pixels_file)
    if pixels.ndim != 3:
        raise InputError(
            f"{pixels_file} has {pixels.ndim} dimension(s); images need 3. Are these labels?"
        )
    labels_file = _find(name, f"{prefix}-labels-idx1-ubyte", on_bytes)
    labels = read_idx(labels_file)
    if labels.shape != pixels.shape[:1]:
        raise InputError(
            f"{labels_file} has shape {labels.shape}; expected one label for each of the "
            f"{len(pixels):,} images"
        )
    return pixels, labels


def _find(name: str, file: str, on_bytes: OnBytes | None) -> Path:
    """Search the data folders, then download into the cache."""
    for folder in data_folders():
        for candidate in (folder / name / file, folder / name / f"{file}.gz"):
            if candidate.is_file():
                return candidate
    published = IDX_SETS[name]
    target = cache_folder() / name / f"{file}.gz"
    digest = published.sha256[file]
    addresses = [f"{mirror}{file}.gz" for mirror in published.mirrors]
    download(addresses, target, lambda path: _unpacked_sha256(path) == digest, on_bytes)
    return target


def _unpacked_sha256(path: Path) -> str | None:
    """Return the digest of the uncompressed content; None if the file is damaged."""
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
    as a big-endian 32-bit integer, then the values.

    References
    ----------
    LeCun, Cortes, Burges, "The MNIST database of handwritten digits".
    """
    try:
        packed = path.read_bytes()
        content = gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    if content[:3] != b"\0\0\x08" or len(content) < 4:
        raise InputError(f"{path} is not an IDX file of unsigned bytes")
    dimensions = content[3]
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise InputError(f"{path} is damaged: its header is truncated")
    shape = tuple(int(n) for n in np.frombuffer(content[4:header], ">u4"))
    expected = header + math.prod(shape)
    if len(content) != expected:
        raise InputError(
            f"{path} is damaged: its header promises {expected:,} bytes ({shape}), but it has "
            f"{len(content):,}. Delete it to download it again"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()
