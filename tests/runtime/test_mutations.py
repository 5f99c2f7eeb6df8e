from __future__ import annotations

from pathlib import Path

import mutations


def test_damaged_files_are_denoised_or_refused(tmp_path: Path) -> None:
    """The first of the 2,000 that ``benchmarks/mutations.py`` goes through."""
    found = mutations.run(tmp_path, files=150, seed=0)
    assert found["wrong"] == []
    assert found["half_written_files_left"] == []
    assert found["standard_error"] == []
    assert set(found["outcomes"]) == {"denoised", "InputError", "OutputError"}
    assert found["outcomes"]["InputError"] > 30
