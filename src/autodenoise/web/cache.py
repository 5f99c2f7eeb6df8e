"""Cache the outputs of a model, so that an image can be saved at another strength quickly.

Users choose the strength by eye, after the model has run. So its outputs are written to a file as
floats. A download at another strength goes through `runtime.denoise_file` as usual, with the cached
outputs in place of the model. The result is the same to the byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from autodenoise.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from autodenoise.runtime import Card, Model

__all__ = ["CachedModel", "RecordingModel"]


class RecordingModel:
    """A model that reports each tile, and can write its outputs to a file.

    Parameters
    ----------
    model
        Computes the outputs.
    before, after
        Called before and after each tile. An exception from `before` stops the work.
    output
        A file to append the outputs to.
    """

    def __init__(
        self,
        model: Model,
        before: Callable[[], None],
        after: Callable[[], None] | None = None,
        output: BinaryIO | None = None,
    ) -> None:
        self.card: Card = model.card
        self._model, self._before, self._after, self._output = model, before, after, output

    def batch(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Denoise a batch with the model."""
        self._before()
        clean = self._model.batch(images)
        if self._output is not None:
            np.ascontiguousarray(clean, np.float32).tofile(self._output)
        if self._after is not None:
            self._after()
        return clean


class CachedModel:
    """Returns the outputs that a `RecordingModel` wrote, for the same inputs in the same order.

    Parameters
    ----------
    card
        The model's card.
    cache
        The file of outputs.
    """

    def __init__(self, card: Card, cache: BinaryIO) -> None:
        self.card = card
        self._cache = cache

    def batch(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the next outputs.

        Raises
        ------
        InputError
            The file ends.
        """
        clean = np.fromfile(self._cache, np.float32, images.size)
        if clean.size < images.size:
            raise InputError("the cached model outputs are incomplete; send the image again")
        return clean.reshape(images.shape)
