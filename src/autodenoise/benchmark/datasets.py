"""Datasets to score denoisers on: published ones, folders of clean images, noisy/clean pairs."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from autodenoise import images
from autodenoise.data.download import DATA_VARIABLE, cache_folder, find_dataset
from autodenoise.data.repeats import denoised_outputs
from autodenoise.errors import InputError
from autodenoise.files import digest, printable
from autodenoise.runtime import find_images

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["PUBLISHED_DATASETS", "BenchmarkDataset", "BenchmarkImage", "PublishedDataset"]

_MAX_LISTED = 5


class PublishedDataset(NamedTuple):
    """A dataset that papers report scores on: number of images, channels, and source."""

    images: int
    channels: int
    source: str


PUBLISHED_DATASETS: dict[str, PublishedDataset] = {
    "set12": PublishedDataset(12, 1, "testsets/Set12 of github.com/cszn/DnCNN"),
    "bsd68": PublishedDataset(68, 1, "testsets/BSD68 of github.com/cszn/DnCNN"),
    "cbsd68": PublishedDataset(68, 3, "testsets/CBSD68 of github.com/cszn/FFDNet"),
    "bsds-val32": PublishedDataset(
        32,
        3,
        "validation images of the Berkeley Segmentation Dataset, "
        "www2.eecs.berkeley.edu/Research/Projects/CS/vision/bsds",
    ),
}
"""Datasets by name. ``bsds-val32`` is for validation; the others are test sets."""


@dataclass(frozen=True)
class BenchmarkImage:
    """An image whose clean version is known.

    `name` is the file name without suffix, with unprintable characters escaped. `noisy` is None if
    the benchmark adds the noise. `shape` is (H, W, C), and `digest` the SHA-256 of the content of
    the files.
    """

    name: str
    clean: Path
    noisy: Path | None
    shape: tuple[int, int, int]
    digest: str

    @classmethod
    def open(cls, clean: Path, noisy: Path | None = None) -> Self:
        """Check an 8- or 16-bit gray or RGB image file, or both files of a pair."""
        paths = [path for path in (clean, noisy) if path is not None]
        files = [images.open_for_training(path) for path in paths]
        shapes = [(file.height, file.width, file.bands) for file in files]
        if len(set(shapes)) > 1:
            (height, width, channels), (noisy_height, noisy_width, noisy_channels) = shapes
            raise InputError(
                f"{clean} and {noisy} are not a pair: one has {width}x{height} pixels and "
                f"{channels} channel(s), the other {noisy_width}x{noisy_height} and "
                f"{noisy_channels}"
            )
        content = hashlib.sha256("".join(map(digest, paths)).encode()).hexdigest()
        return cls(printable(clean.stem), clean, noisy, shapes[0], content)

    def read(self) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Return the samples (H, W, C) of the clean file, and of the noisy one if there is one."""
        return images.read(self.clean), None if self.noisy is None else images.read(self.noisy)


@dataclass(frozen=True)
class BenchmarkDataset:
    """Images to score denoisers on, sorted by name; all gray or all RGB.

    Attributes
    ----------
    name
        Name of the dataset or its folders.
    images
        The images.
    paired
        Whether each image has a noisy file of its own.
    """

    name: str
    images: tuple[BenchmarkImage, ...]
    paired: bool

    def __post_init__(self) -> None:
        if len({image.shape[2] for image in self.images}) > 1:
            raise InputError(f"{self.name} mixes gray and RGB images; put them in two folders")

    @classmethod
    def open(cls, source: str | os.PathLike[str]) -> Self:
        """Open a published dataset by name, or a folder of clean images.

        A key of `PUBLISHED_DATASETS` is looked up in ``$AUTODENOISE_DATA`` and in the user's cache.
        Raise InputError if the dataset is missing or empty, does not have the published number of
        images, or an image is unreadable.
        """
        name = str(source)
        published = PUBLISHED_DATASETS.get(name)
        folder = Path(source) if published is None else _published_folder(name)
        files = _image_files(folder)
        if published is None:
            name = printable(folder.resolve().name)
        elif len(files) != published.images:
            raise InputError(
                f"{folder} has {len(files)} images; {name} has {published.images}, and published "
                "scores are averages over all of them"
            )
        opened = map(BenchmarkImage.open, _by_stem(files).values())
        dataset = cls(name, tuple(opened), False)
        if published is not None and dataset.channels != published.channels:
            raise InputError(
                f"the images in {folder} have {dataset.channels} channel(s); those of {name} have "
                f"{published.channels}"
            )
        return dataset

    @classmethod
    def open_pairs(cls, noisy: str | os.PathLike[str], clean: str | os.PathLike[str]) -> Self:
        """Open two folders whose image files are paired by name, ignoring the suffix.

        Raises
        ------
        InputError
            A folder is empty, a file has no partner, or the files of a pair differ in size.
        """
        noisy, clean = Path(noisy), Path(clean)
        noisy_files, clean_files = (_by_stem(_image_files(folder)) for folder in (noisy, clean))
        unpaired = sorted(noisy_files.keys() ^ clean_files.keys())
        if unpaired:
            more = len(unpaired) - _MAX_LISTED
            raise InputError(
                f"files in {noisy} and {clean} are paired by name, ignoring the suffix; without a "
                f"partner: {', '.join(unpaired[:_MAX_LISTED])}"
                f"{f' and {more} more' if more > 0 else ''}"
            )
        name = printable(f"{noisy.resolve().name} and {clean.resolve().name}")
        pairs = ((clean_files[stem], noisy_files[stem]) for stem in sorted(clean_files))
        return cls(name, tuple(BenchmarkImage.open(*pair) for pair in pairs), True)

    @property
    def channels(self) -> int:
        """1 for gray, 3 for RGB."""
        return self.images[0].shape[2]

    @property
    def shown_image(self) -> BenchmarkImage:
        """The image shown in reports: the middle one of the list, so that it is not hand-picked."""
        return self.images[len(self.images) // 2]


def _published_folder(name: str) -> Path:
    folder = find_dataset(name)
    if folder is None:
        published = PUBLISHED_DATASETS[name]
        raise InputError(
            f"{name} is missing: put its {published.images} images ({published.source}) into "
            f"{cache_folder() / name}, or into a folder {name} below ${DATA_VARIABLE}"
        )
    return folder


def _image_files(folder: Path) -> list[Path]:
    """List a folder's image files, except outputs that ``denoise`` wrote beside their inputs."""
    files = find_images(folder, recursive=False)
    outputs = set(denoised_outputs(files))
    return [file for file in files if file not in outputs]


def _by_stem(files: Sequence[Path]) -> dict[str, Path]:
    [(stem, count)] = Counter(file.stem for file in files).most_common(1)
    if count > 1:
        raise InputError(
            f"{files[0].parent} has {count} image files named {stem} with different suffixes; "
            "rename them"
        )
    return {file.stem: file for file in files}
