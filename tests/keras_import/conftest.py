from __future__ import annotations

import pytest

from autodenoise.keras_import import files
from autodenoise.keras_import.hdf5 import extract


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read HDF5 in this process, which is faster and safe for undamaged files."""
    monkeypatch.setattr(
        files, "read_hdf5", lambda content: files.parse_hdf5_content(extract(content))
    )
