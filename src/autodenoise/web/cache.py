"""What stands before a model, and in for it.

People find the right strength by looking, after the model has done its work. So its answers are
kept, as the floats that they are, and a download at another strength takes the way of every picture
through `runtime.denoise_file`, with answers from the file in place of the model's. The bytes are
those that the model itself would have led to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from autodenoise.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from autodenoise.runtime import Card, Model

__all__ = ["Kept", "Watched"]


class Watched:
    """A model that tells before and after each tile, and whose answers may be kept.

    Parameters
    ----------
    model
        Gives the answers.
    before, after
        Called before and after each tile. What `before` raises stops the work.
    keep
        A file to write the answers to, one after another.
    """

    def __init__(
        self,
        model: Model,
        before: Callable[[], None],
        after: Callable[[], None] | None = None,
        keep: BinaryIO | None = None,
    ) -> None:
        self.card: Card = model.card
        self._model, self._before, self._after, self._keep = model, before, after, keep

    def batch(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Denoise as the model does."""
        self._before()
        clean = self._model.batch(images)
        if self._keep is not None:
            np.ascontiguousarray(clean, np.float32).tofile(self._keep)
        if self._after is not None:
            self._after()
        return clean


class Kept:
    """Gives the answers that a `Watched` model gave before, to the same images in the same order.

    Parameters
    ----------
    card
        Of the model.
    answers
        What was written.
    """

    def __init__(self, card: Card, answers: BinaryIO) -> None:
        self.card = card
        self._answers = answers

    def batch(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the next answer.

        Raises
        ------
        InputError
            There are no more.
        """
        clean = np.fromfile(self._answers, np.float32, images.size)
        if clean.size < images.size:
            raise InputError("the answers that were kept end too soon; send the picture again")
        return clean.reshape(images.shape)
