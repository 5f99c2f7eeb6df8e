"""The training, validation and test images of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import numpy as np
import torch

from autodenoise.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from autodenoise.data.spec import DataSpec
    from autodenoise.data.streaming import Patches
    from autodenoise.images import IntensityRange

__all__ = ["PARTS", "Part", "Selection", "Splits", "hold_out_rows", "split"]

PARTS = ("train", "validation", "test")
"""The parts that a source may have."""

_Images = TypeVar("_Images")
Selection = Literal["last", "random"]
"""The images to hold out."""


class Part(NamedTuple):
    """The images of one split.

    Attributes
    ----------
    images
        (N, C, H, W) on the CPU: uint8, uint16, or float32 in [0, 1]. The clean images where there
        are any; for repeats the mean of all shots but the first; else the noisy images.
    labels
        (N,), int64; None where the dataset has none.
    full_images
        Where crops are taken from: the V versions of each sample, (V, C, H, W), in memory or,
        where they do not fit, on disk. `images` are then squares from some of them.
    noisy
        Noisy versions of `images`, where the source has them; for repeats the first shot.
    again
        For repeats, the second shot.
    """

    images: torch.Tensor
    labels: torch.Tensor | None = None
    full_images: tuple[torch.Tensor, ...] | Patches = ()
    noisy: torch.Tensor | None = None
    again: torch.Tensor | None = None

    @property
    def size(self) -> int:
        """Number of samples."""
        return len(self.full_images) or len(self.images)

    def take(self, rows: slice | NDArray[np.int64]) -> Part:
        """Return the samples in these rows."""
        indices = np.arange(len(self.images))[rows]
        full_images = tuple(self.full_images[index] for index in indices if self.full_images)
        labels, noisy, again = (
            None if values is None else values[rows]
            for values in (self.labels, self.noisy, self.again)
        )
        return Part(self.images[rows], labels, full_images, noisy, again)


class Splits(NamedTuple):
    """Images to train on, to validate with during training, and to score at the end.

    Attributes
    ----------
    train, validation, test
        `validation` and `test` are the same object where a dataset has no more than two parts.
    classes
        The meaning of labels 0, 1, ...; empty where there are no labels.
    has_test
        Whether `test` is separate from `validation`.
    normalization
        The range of values in the training images, as `DataSpec.normalize` measures it.
    intensity_range
        The range assumed for files that do not declare theirs.
    notes
        Messages for the user: skipped files and likely problems.
    digest
        Digest of the files in each split; empty for named datasets and arrays.
    """

    train: Part
    validation: Part
    test: Part
    classes: tuple[str, ...] = ()
    has_test: bool = True
    normalization: tuple[float, float] = (0.0, 1.0)
    intensity_range: IntensityRange | None = None
    notes: tuple[str, ...] = ()
    digest: str = ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of every image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


def split(
    data: DataSpec,
    parts: Mapping[str, _Images],
    hold_out: Callable[[_Images, Selection, float], tuple[_Images, _Images]],
) -> tuple[_Images, _Images, _Images, bool]:
    """Split a source by the names of its parts.

    `hold_out` splits the images of one part into those to train on and those to validate with,
    given the selection and the share. Return the images to train on, to validate with and to test,
    and whether the last are separate from those to validate with.
    """
    train = parts.get(data.part)
    if train is None:
        raise UsageError(f"{data.source} has no part '{data.part}'")
    if data.validation == "test":
        validation = parts.get("validation", parts.get("test"))
        if validation is None or data.part == "test":
            raise UsageError(
                f"{data.source} has no images besides those trained on to validate with; "
                "use validation = 'random' or 'last' in the recipe's [data]"
            )
        has_test = "test" in parts
    else:
        train, validation = hold_out(train, data.validation, data.share)
        has_test = "test" in parts and data.part == "train"
    test = parts["test"] if has_test else validation
    if data.holdout is not None:
        train, validation = hold_out(train, "last", data.holdout)
    return train, validation, test, has_test


def hold_out_rows(
    count: int, selection: Selection, share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose the rows to train on and the rows to hold out.

    Examples
    --------
    >>> train, held_out = hold_out_rows(5, "last", 0.4, seed=0)
    >>> train.tolist(), held_out.tolist()
    ([0, 1, 2], [3, 4])
    """
    too_few = UsageError(f"{count} image(s) are too few to hold out {share:.0%} of them")
    rows = np.arange(count)
    if selection == "last":
        border = int(count * (1 - share))  # as Keras's validation_split
        if border in (0, count):
            raise too_few
        return rows[:border], rows[border:]
    from sklearn.model_selection import train_test_split

    try:
        train, held_out = train_test_split(rows, test_size=share, random_state=seed)
    except ValueError:
        raise too_few from None
    return train, held_out
