"""The models that the server works with, loaded when they are needed."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from autodenoise import runtime, weights
from autodenoise.errors import unknown_name

if TYPE_CHECKING:
    from autodenoise.runtime import Model

__all__ = ["Models"]

# Each holds its engine's memory and threads.
_LOADED = 2


class Models:
    """Models by name: shipped ones, and the runs and files in the folder of the server.

    Paths are none of their names, so that no file elsewhere can be asked for. Those used last stay
    loaded. Any thread may ask.

    Attributes
    ----------
    default
        The name of the one that autodenoise ships for photos.
    """

    def __init__(self) -> None:
        self.default = next(iter(weights.FILES))
        self._lock = threading.Lock()
        self._load = functools.lru_cache(maxsize=_LOADED)(_load)

    def get(self, name: str) -> Model:
        """Give a model, loaded anew if its file has changed.

        Raises
        ------
        UsageError
            No model has this name.
        InputError
            It is damaged.
        """
        if name not in weights.FILES:
            # Reads each card there is.
            known = [entry.name for entry in runtime.list_models()]
            if name not in known:
                raise unknown_name("model", name, known)
        path = runtime.find(name)
        # One at a time: two of one file would be loaded twice.
        with self._lock:
            return self._load(path, path.stat().st_mtime_ns)


def _load(path: Path, changed: int) -> Model:
    del changed
    return runtime.load(path)
