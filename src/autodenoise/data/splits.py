"""What is learnt from, what is watched meanwhile, and what is scored at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, Protocol, Self, TypeVar

import numpy as np

from autodenoise.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from autodenoise.data.dataset import DataSpec

__all__ = ["Divisible", "Split", "Way", "rows_held_back", "split"]

Way = Literal["last", "random"]
"""Which images are held back."""


class Divisible(Protocol):
    """Images of which some can be held back."""

    def hold_back(self, way: Way, share: float, seed: int) -> tuple[Self, Self]:
        """Give those that are kept, and those that are held back.

        Raises
        ------
        UsageError
            They are too few.
        """
        ...


_Images = TypeVar("_Images", bound=Divisible)


class Split(NamedTuple, Generic[_Images]):
    """See `autodenoise.data.dataset.Splits`."""

    train: _Images
    validation: _Images
    test: _Images
    has_test: bool


def split(data: DataSpec, parts: Mapping[str, _Images]) -> Split[_Images]:
    """Split what a source holds, by the names of its parts.

    Raises
    ------
    UsageError
        The part that was asked for is not there, or there is too little.
    """
    learnt = parts.get(data.part)
    if learnt is None:
        raise UsageError(f"{data.source} has no part '{data.part}'")
    if data.validation == "test":
        watched = parts.get("validation", parts.get("test"))
        if watched is None or data.part == "test":
            raise UsageError(
                f"{data.source} has no images besides those trained on to validate with; "
                "use validation = 'random' or 'last' in the recipe's [data]"
            )
        done = Split(learnt, watched, parts.get("test", watched), "test" in parts)
    else:
        train, watched = learnt.hold_back(data.validation, data.share, data.split_seed)
        apart = "test" in parts and data.part == "train"
        done = Split(train, watched, parts["test"] if apart else watched, apart)
    if data.holdout is None:
        return done
    train, watched = done.train.hold_back("last", data.holdout, data.split_seed)
    return done._replace(train=train, validation=watched)


def rows_held_back(
    count: int, way: Way, share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose which of so many images are kept, and which are held back.

    Raises
    ------
    UsageError
        They are too few.
    """
    too_few = UsageError(f"{count} image(s) are too few to hold back {share:.0%} of them")
    rows = np.arange(count)
    if way == "last":
        border = int(count * (1 - share))  # as Keras's validation_split
        if border in (0, count):
            raise too_few
        return rows[:border], rows[border:]
    from sklearn.model_selection import train_test_split

    try:
        kept, held = train_test_split(rows, test_size=share, random_state=seed)
    except ValueError:
        raise too_few from None
    return kept, held
