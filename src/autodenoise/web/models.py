"""Load the models that the server uses, when they are needed."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from autodenoise import runtime, weights
from autodenoise.errors import unknown_name

if TYPE_CHECKING:
    from autodenoise.runtime import Model

__all__ = ["ModelCache"]

# Each holds its engine's memory and threads.
_MAX_LOADED = 2


class ModelCache:
    """Loads models by name: shipped ones, and the runs and files in the server's folder.

    Paths are rejected, so that clients cannot read files elsewhere. The models used last stay
    loaded. Thread-safe.

    Attributes
    ----------
    default
        Name of the default model for photos.
    """

    def __init__(self) -> None:
        self.default = next(iter(weights.FILES))
        self._lock = threading.Lock()
        self._load = functools.lru_cache(maxsize=_MAX_LOADED)(_load)

    def get(self, name: str) -> Model:
        """Return a model, reloaded if its file has changed.

        Raises
        ------
        UsageError
            No model has this name.
        InputError
            The model file is damaged.
        """
        if name not in weights.FILES:
            # This reads the card of each model.
            known = [entry.name for entry in runtime.list_models()]
            if name not in known:
                raise unknown_name("model", name, known)
        path = runtime.find(name)
        # Without the lock, two threads could load the same file.
        with self._lock:
            return self._load(path, path.stat().st_mtime_ns)


def _load(path: Path, modified: int) -> Model:
    del modified
    return runtime.load(path)
