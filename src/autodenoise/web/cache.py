"""Cache loaded models, and the outputs of a model for saving at another strength.

Users choose the strength by eye, after the model has run. So its outputs are written to a file as
floats. A download at another strength goes through `runtime.denoise_file` as usual, with the cached
outputs in place of the model. The result is the same to the byte.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from autodenoise import runtime, weights
from autodenoise.errors import InputError, unknown_name
from autodenoise.runtime import Card, Model

__all__ = ["CachedModel", "ModelCache", "RecordingModel"]

# Each holds its engine's memory and threads.
_MAX_LOADED = 2


class ModelCache:
    """Loads models by name: shipped ones, and the runs and files in the server's folder.

    Paths are rejected, so that clients cannot read files elsewhere. The models used last stay
    loaded. `default` is the name of the default model for photos. Thread-safe.
    """

    def __init__(self) -> None:
        self.default = next(iter(weights.FILES))
        self._lock = threading.Lock()
        # The second argument is the time of the file's last change.
        self._load = functools.lru_cache(maxsize=_MAX_LOADED)(lambda path, _: runtime.load(path))

    def get(self, name: str) -> Model:
        """Return a model, reloaded if its file has changed; UsageError if the name is unknown."""
        if name not in weights.FILES:
            # This reads the card of each model.
            known = [entry.name for entry in runtime.list_models()]
            if name not in known:
                raise unknown_name("model", name, known)
        path = runtime.find_model(name)
        # Without the lock, two threads could load the same file.
        with self._lock:
            return self._load(path, path.stat().st_mtime_ns)


class RecordingModel:
    """A model that calls functions before and after each tile, and can write its outputs to a file.

    An exception from `before` stops the work.
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
    """Returns the outputs that a `RecordingModel` wrote, for the same inputs in the same order."""

    def __init__(self, card: Card, cache: BinaryIO) -> None:
        self.card = card
        self._cache = cache

    def batch(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the next outputs; InputError if the file ends."""
        clean = np.fromfile(self._cache, np.float32, images.size)
        if clean.size < images.size:
            raise InputError("the cached model outputs are incomplete; send the image again")
        return clean.reshape(images.shape)
