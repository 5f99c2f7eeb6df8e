"""What to train on: the `[data]` table of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autodenoise.errors import UsageError

__all__ = ["DataSpec", "Supervision"]

Supervision = Literal["clean", "paired", "repeats", "noisy-only"]
"""The images there are of each sample: a clean one; a noisy and a clean one; several noisy ones;
or a single noisy one."""


@dataclass(frozen=True)
class DataSpec:
    """Which images to train on and how to split them.

    Attributes
    ----------
    source
        ``mnist``, ``fashion-mnist``, ``digits``, ``bsds400``, or a path: an ``.npz`` with arrays
        ``train`` and ``test`` (or Keras's ``x_train`` and ``x_test``; labels as ``y_train`` and
        ``y_test``), an ``.npy`` with one array, a ``.csv`` as published on Kaggle (plain, gzipped
        or zipped), a folder of images, or a folder with one folder of images per split (``train``,
        ``test`` and optionally ``validation``). With `crop`, a folder may hold image files and
        volumes of any kind and size, and a single file is enough: see
        `autodenoise.data.gathering`.
    part
        The part of the source to train on.
    validation
        Where validation images come from. ``test``: the validation part of the dataset, or its test
        part if it has none, as in most tutorials. ``last``: the last `share` of the training
        images. ``random``: a random `share`, by scikit-learn's ``train_test_split`` with
        `split_seed`.
    share
        The share of the training images that ``last`` and ``random`` hold out.
    split_seed
        Random seed of ``random``.
    holdout
        Validate on this last share of the training images instead, and leave what `validation`
        names for the test at the end. Tuning sets this where it would otherwise see test images.
    copies
        How often each image is used per epoch, each time with new noise.
    size
        Resize the images to (height, width) first, bicubically.
    crop
        Train on random square crops with this side, flipped and rotated, from images of any size.
        Validation and test then use center crops.
    shrink
        Take half of the crops from smaller versions of the images, with sides scaled down to this
        factor. They show finer detail and fewer JPEG artifacts.
    shuffle_channels
        Shuffle the channels of each crop.
    supervision
        The images there are of each sample: a ``clean`` one; ``paired``, a noisy one in `source`
        and a clean one of the same name in `targets`; ``repeats``, several noisy shots; or
        ``noisy-only``, one noisy image. All but ``clean`` need `crop`.
    targets
        The clean images of ``paired`` samples.
    shots
        Draw the recipe's noise this many times on each clean training image, once for the whole
        run, and discard the clean image: the result is noisy-only (1) or repeats (2 or more). For
        comparing objectives where the truth is known.
    samples
        Take this many crops per epoch, spread as evenly as possible over the images, in place of
        `copies`.
    normalize
        Normalize the network's input and output by the range of values found in the training
        images, instead of the range that their file format can store.
    gray
        Convert color images to luma: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).
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
    gray: bool = False
    supervision: Supervision = "clean"
    targets: str = ""
    shots: int | None = None
    samples: int | None = None
    normalize: bool = False

    def __post_init__(self) -> None:
        for name in ("share", "holdout"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise UsageError(f"data: {name} is {value}; expected a number between 0 and 1")
        for name in ("copies", "shots", "samples", "crop"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise UsageError(f"data: {name} is {count}; expected at least 1")
        if self.supervision != "clean" and self.crop is None:
            raise UsageError(
                f"data: supervision is {self.supervision}, which trains on crops; set crop too"
            )
        if (self.supervision == "paired") != (self.targets != ""):
            raise UsageError(
                "data: targets names the clean images for supervision = 'paired'; set both or "
                "neither"
            )
        if self.shots is not None and (self.supervision != "clean" or self.crop is None):
            raise UsageError("data: shots needs clean images and crop")
        if not 0 <= self.split_seed < 2**32:
            raise UsageError(
                f"data: split_seed is {self.split_seed}; expected 0 or more, below 2**32"
            )
        if not 0 < self.shrink <= 1:
            raise UsageError(f"data: shrink is {self.shrink}; expected above 0, at most 1")
        if self.crop is not None and self.size is not None:
            raise UsageError(
                "data: size is for images of one size and crop for images of any size; set only one"
            )
        if self.crop is None and (self.shrink != 1 or self.shuffle_channels):
            raise UsageError("data: shrink and shuffle_channels apply to crops; set crop too")
        if self.size is not None and min(self.size) < 1:
            raise UsageError(f"data: size is {self.size}; expected two sides of at least 1")
