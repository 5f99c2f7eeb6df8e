"""Data sets: named ones, arrays and folders, split into training, validation and test images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from autodenoise.data import arrays as reading
from autodenoise.data import own_data as own
from autodenoise.data.arrays import (
    PICTURE_SETS,
    SOURCES,
    VIEW,
    Part,
    check_path,
    find_parts,
    resized,
)
from autodenoise.data.crops import Supervision, as_float, centre_crops, fitting
from autodenoise.data.gathering import is_pictures
from autodenoise.data.idx import IDX_SETS
from autodenoise.data.pieces import to_grey
from autodenoise.data.splits import split
from autodenoise.errors import InputError, UsageError
from autodenoise.system import free_memory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from autodenoise.data.download import OnBytes
    from autodenoise.images import IntensityRange

__all__ = ["SOURCES", "DataSpec", "Splits", "as_float", "load", "shape"]

# Bytes for pictures where nobody can tell what is free.
_UNTOLD = 4 * 2**30


@dataclass(frozen=True)
class DataSpec:
    """Which images to learn from and how to split them.

    Attributes
    ----------
    source
        ``mnist``, ``fashion-mnist``, ``digits``, ``bsds400``, or a path: an ``.npz`` with arrays
        ``train`` and ``test`` (or Keras's ``x_train`` and ``x_test``; labels as ``y_train`` and
        ``y_test``), an ``.npy`` with one array, a ``.csv`` as Kaggle publishes them (plain, gzipped
        or zipped), or a folder with one folder of pictures a split (``train``, ``test`` and, if
        wanted, ``validation``) or with pictures. With `crop`, a folder may hold pictures and
        volumes of any kind and size, and one such file will do: see
        `autodenoise.data.gathering`.
    part
        The part of it that is learnt from.
    validation
        Where validation images come from. ``test``: the data set's own validation part, or its test
        part where it has none, as most tutorials do. ``last``: the last `share` of the training
        images. ``random``: a random `share`, scikit-learn's ``train_test_split`` seeded with
        `split_seed`.
    share
        How much ``last`` and ``random`` hold back.
    split_seed
        What ``random`` follows from.
    holdout
        Take this last share of the training images out of training and validate on it, and leave
        what `validation` names for the test at the end. A search does so where it would see the
        test images otherwise.
    copies
        How many times over each image is taken, each copy with noise of its own.
    size
        Enlarge or shrink the images to (height, width) first, bicubically.
    crop
        Learn from random squares of this side, cut out of pictures that may be of any size, turned
        and mirrored. Validation and test then take the middles of theirs.
    shrink
        Take as many crops again from smaller versions of the pictures, whose sides are down to this
        share: finer detail than they have, without what JPEG did to them.
    shuffle_channels
        Put the channels of each crop in another order.
    holds
        What there is of each scene: a ``clean`` picture; ``pairs``, a noisy one in `source` and, by
        the same name, a clean one in `targets`; ``repeats``, several noisy shots; or one ``noisy``
        picture. All but clean ones need `crop`.
    targets
        The clean pictures of pairs.
    shots
        Take the recipe's noise on each clean training picture so many times, once for all, and
        forget the picture: what there is to learn from is then noisy (1) or repeats (2 or more).
        For comparing objectives where the truth is known.
    samples
        Take so many crops an epoch, as evenly from all pictures as may be, in place of `copies`.
    normalise
        Find what is black and what is white in the training pictures, rather than take what their
        files could hold. The network takes pictures to that range and back.
    grey
        Take the luma of colour pictures: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).
    """

    source: str
    part: Literal["train", "test"] = "train"
    validation: Literal["test", "last", "random"] = "test"
    share: float = 0.2
    split_seed: int = 42
    holdout: float | None = None
    copies: int = 1
    size: tuple[int, int] | None = None
    crop: int | None = None
    shrink: float = 1.0
    shuffle_channels: bool = False
    grey: bool = False
    holds: Supervision = "clean"
    targets: str = ""
    shots: int | None = None
    samples: int | None = None
    normalise: bool = False

    def __post_init__(self) -> None:
        for name in ("share", "holdout"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise UsageError(f"data: {name} is {value}; expected a number between 0 and 1")
        for name in ("copies", "shots", "samples"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise UsageError(f"data: {name} is {count}; expected at least 1")
        if self.holds != "clean" and self.crop is None:
            raise UsageError(f"data: {self.holds} are learnt from by crops; set crop too")
        if (self.holds == "pairs") != (self.targets != ""):
            raise UsageError("data: targets are the clean pictures of pairs, and pairs need them")
        if self.shots is not None and (self.holds != "clean" or self.crop is None):
            raise UsageError("data: shots are taken of clean pictures that crops are cut from")
        if not 0 <= self.split_seed < 2**32:
            raise UsageError(
                f"data: split_seed is {self.split_seed}; expected 0 or more, below 2**32"
            )
        if self.crop is not None and self.crop < 1:
            raise UsageError(f"data: crop is {self.crop}; expected at least 1")
        if not 0 < self.shrink <= 1:
            raise UsageError(f"data: shrink is {self.shrink}; expected above 0, at most 1")
        if self.crop is not None and self.size is not None:
            raise UsageError("data: either size, for images of one size, or crop; not both")
        if self.crop is None and (self.shrink != 1 or self.shuffle_channels):
            raise UsageError("data: shrink and shuffle_channels are done to crops; set crop too")
        if self.size is not None and min(self.size) < 1:
            raise UsageError(f"data: size is {self.size}; expected two sides of at least 1")


class Splits(NamedTuple):
    """Images to train on, to watch while training, and to score at the end.

    `validation` and `test` are the same object where a data set has no more than two parts.
    `classes` says what the labels 0, 1, ... mean; empty where nobody does. `has_test` is False
    where the source has no test part and the validation images stand in for one. `span` is what the
    training pictures reach from and to, where `DataSpec.normalise` asks for that.
    `intensity_range` is what black and white were taken for in files that do not say.
    `notes` are what people should know of their pictures: what was left out, what looks wrong.
    `division` is a digest of which of somebody's own pictures are in which part.
    """

    train: Part
    validation: Part
    test: Part
    classes: tuple[str, ...] = ()
    has_test: bool = True
    span: tuple[float, float] = (0.0, 1.0)
    intensity_range: IntensityRange | None = None
    notes: tuple[str, ...] = ()
    division: str = ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of every image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


def load(data: DataSpec, on_bytes: OnBytes | None = None, memory: float | None = None) -> Splits:
    """Read a data set and split it.

    Parameters
    ----------
    data
        What to read, and how to split it.
    on_bytes
        Hears of a download's progress.
    memory
        Bytes that pictures to take crops of may take; of more, they are read while training. By
        default half of what is free.

    Raises
    ------
    InputError
        A file is missing, damaged or of a kind that does not fit.
    UsageError
        No data set has this name, or it lacks the part that was asked for.
    """
    places = _places(data)
    if places:
        read = own.load(data, places, _memory() if memory is None else memory)
        train, watched, test, apart = read.split
        seen = (read.span, read.intensity_range, read.notes, read.division)
        return Splits(train, watched, test, (), apart, *seen)
    if data.holds != "clean":
        raise UsageError(
            f"{data.source} could hold clean images alone; {data.holds} are read from files of "
            "pictures, .npy and .zarr, and folders of these"
        )
    parts = {
        name: _prepared(part, data) for name, part in reading.read(data.source, on_bytes).items()
    }
    for name, part in parts.items():
        if part.images.shape[1:] != parts["train"].images.shape[1:]:
            raise InputError(
                f"{data.source}: all parts must have images of one shape; '{name}' has "
                f"{tuple(part.images.shape[1:])} (channels, height, width), 'train' has "
                f"{tuple(parts['train'].images.shape[1:])}"
            )
    train, watched, test, apart = split(data, parts)
    return Splits(train, watched, test, _classes(data.source, parts), apart)


def _memory() -> float:
    free = free_memory()
    return free / 2 if math.isfinite(free) else _UNTOLD


def _places(data: DataSpec) -> dict[str, Path]:
    """Give where the pictures of each part lie if crops are taken of files; else nothing."""
    if data.crop is None or data.source in (*IDX_SETS, "digits"):
        return {}
    if data.source in PICTURE_SETS:
        return find_parts(data.source)
    path = check_path(data.source)
    if data.targets:
        check_path(data.targets)
    return own.places(path, data.holds) if is_pictures(path) else {}


def _prepared(part: Part, data: DataSpec) -> Part:
    """Do to a part's images what is asked for."""
    if data.grey:
        part = part._replace(images=to_grey(part.images))
    if data.size is not None:
        return part._replace(images=resized(part.images, data.size))
    if data.crop is not None:
        pictures = tuple(part.images)
        scenes = tuple(picture[None] for picture in pictures)
        side = fitting(min(VIEW, *part.images.shape[2:]))
        return part._replace(images=centre_crops(pictures, side), pictures=scenes)
    return part


def shape(data: DataSpec, on_bytes: OnBytes | None = None) -> tuple[int, int, int]:
    """Give the (channels, height, width) of a data set's images; a named one need not be here.

    Raises
    ------
    InputError, UsageError
        As `load`.
    """
    known = {"digits": (1, 8, 8), **dict.fromkeys(IDX_SETS, (1, 28, 28))}
    if data.source in PICTURE_SETS and data.crop is not None:
        return (1 if data.grey else 3, VIEW, VIEW)
    places = {} if data.source in known else _places(data)
    if places:
        return own.shape(data, places)
    if data.source not in known:
        return load(data, on_bytes).shape
    channels, height, width = known[data.source]
    return (channels, *(data.size or (height, width)))


def _classes(source: str, parts: Mapping[str, Part]) -> tuple[str, ...]:
    if source in IDX_SETS:
        return IDX_SETS[source].classes
    labels = [part.labels for part in parts.values() if part.labels is not None]
    return tuple(str(n) for n in range(1 + max((int(part.max()) for part in labels), default=-1)))
