"""Read images of one size: named datasets, arrays, tables, and folders of image files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from autodenoise import images
from autodenoise.data.csv import SUFFIXES as CSV_SUFFIXES
from autodenoise.data.csv import read_table
from autodenoise.data.download import DATA_VARIABLE, find_dataset
from autodenoise.data.idx import IDX_SETS, read_part
from autodenoise.data.splits import PARTS, Part
from autodenoise.data.volumes import load_array, reading
from autodenoise.errors import InputError, unknown_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autodenoise.data.download import OnBytes

__all__ = ["PHOTO_SETS", "SOURCES", "check_path", "find_photos", "read", "read_images", "resize"]

PHOTO_SETS = {"bsds400": {"train": "bsds400", "validation": "bsds-val32"}}
"""Datasets of photos: for each part, its folder in the data folder."""

SOURCES = (*IDX_SETS, *PHOTO_SETS, "digits")
"""The named datasets."""


def read(source: str, on_bytes: OnBytes | None) -> dict[str, Part]:
    """Read the parts of a source with images of one size: one of `SOURCES`, or a path."""
    if source in PHOTO_SETS:
        return {name: read_images(folder)[1] for name, folder in find_photos(source).items()}
    if source == "digits":
        # scikit-learn's 1,797 scanned digits, 8x8 pixels with 17 gray levels.
        from sklearn.datasets import load_digits

        digits = load_digits()
        pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
        tensors = torch.from_numpy(pixels)[:, None], torch.from_numpy(digits.target).long()
        return {"train": Part(*tensors)}
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
        return {"train": Part(_to_tensor(path, load_array(path)))}
    if path.name.endswith(CSV_SUFFIXES):
        labels, pixels = read_table(path)
        return {"train": Part(_to_tensor(path, pixels), torch.from_numpy(labels).long())}
    raise InputError(
        f"{path} is not an .npz, .npy or .csv file or a folder of images. To train on crops of "
        "single image files and volumes, set crop = 96 in the recipe's [data]"
    )


def check_path(source: str) -> Path:
    """Return a source that is not in `SOURCES` as a path, and check that it exists."""
    path = Path(source)
    if path.exists():
        return path
    if os.sep in source or path.suffix:
        raise InputError(f"no such file or folder: {path}")
    raise unknown_name("dataset", source, [*SOURCES, "a path"])


def find_photos(name: str) -> dict[str, Path]:
    """Return the folder of each part of a dataset of photos, which users download themselves."""
    folders = {}
    for part, dataset in PHOTO_SETS[name].items():
        folder = find_dataset(dataset)
        if folder is None:
            raise InputError(
                f"the dataset {dataset} was not found: set {DATA_VARIABLE} to the folder that "
                f"contains {dataset}/"
            )
        folders[part] = folder
    return folders


def _npz(path: Path) -> dict[str, Part]:
    with reading(path):
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise InputError(f"{path} is an .npy file; rename it to end in .npy")
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
        raise InputError(f"{path} contains no array 'train' or 'x_train'")
    return parts


def _to_labels(path: Path, array: NDArray[Any], count: int) -> torch.Tensor:
    labels = array.reshape(-1)  # Keras stores some sets' labels as a column
    whole = np.issubdtype(labels.dtype, np.integer)
    if not whole or len(labels) != count or int(labels.min()) < 0:
        raise InputError(
            f"{path}: expected one label, 0 or more, for each of {count} images, "
            f"got {array.dtype} of shape {array.shape}"
        )
    return torch.from_numpy(labels.astype(np.int64))


def _folder(path: Path) -> dict[str, Part]:
    named = {name: read_images(path / name)[1] for name in PARTS if (path / name).is_dir()}
    if not named:
        return {"train": read_images(path)[1]}
    if "train" not in named:
        raise InputError(f"{path} has no folder 'train'")
    return named


def read_images(folder: Path, size: tuple[int, int] | None = None) -> tuple[list[Path], Part]:
    """Read all image files in a folder, sorted by name, without subfolders.

    They must have the same size, channels and depth. They are resized to `size`, (height, width).
    """
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in images.SUFFIXES)
    if not files:
        raise InputError(f"{folder} contains no images ({', '.join(sorted(images.SUFFIXES))})")
    first = images.read(files[0])
    stack = np.empty((len(files), *first.shape), first.dtype)
    for index, file in enumerate(files):
        pixels = images.read(file)
        if pixels.shape != first.shape or pixels.dtype != first.dtype:
            raise InputError(
                "all images of a split must have the same size, channels and depth: "
                f"{file} is {_describe(pixels)}, {files[0]} is {_describe(first)}. To train on "
                "crops of images of any size, set crop = 96 in the recipe's [data]"
            )
        stack[index] = pixels
    tensor = _to_tensor(folder, stack)
    return files, Part(tensor if size is None else resize(tensor, size))


def _describe(pixels: NDArray[Any]) -> str:
    height, width, channels = pixels.shape
    return f"{width}x{height}, {channels} channel(s), {pixels.dtype}"


def _to_tensor(path: Path, array: NDArray[Any]) -> torch.Tensor:
    """Convert images (N, H, W) or (N, H, W, C) to (N, C, H, W), uint8 or float32."""
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or 0 in array.shape:
        raise InputError(f"{path}: expected images (N, H, W) or (N, H, W, C), got {array.shape}")
    try:
        values = array if array.dtype == np.uint8 else images.to_float(array)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))


def resize(batch: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize images (N, C, H, W) to (height, width), bicubically."""
    white = 255 if batch.dtype == torch.uint8 else 1
    resized = batch.new_empty(*batch.shape[:2], *size)
    for start in range(0, len(batch), 1000):
        rows = slice(start, start + 1000)
        values = functional.interpolate(
            batch[rows].float(), size, mode="bicubic", antialias=True, align_corners=False
        ).clamp_(0, white)
        resized[rows] = values.round_().to(batch.dtype) if white == 255 else values
    return resized
