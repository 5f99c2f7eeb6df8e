from __future__ import annotations

import pytest

from autodenoise.keras_import import files
from autodenoise.keras_import.hdf5 import dump
from autodenoise.keras_import.stored import parse


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read HDF5 without a process of its own: files that are whole do no harm."""
    monkeypatch.setattr(files, "read_stored", lambda content: parse(dump(content)))
