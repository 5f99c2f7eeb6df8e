from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from autodenoise.errors import OutputError
from autodenoise.journal import Journal


def test_lines_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    with Journal(path) as journal:
        assert list(journal.lines()) == []
        journal.append(b"one")
        assert path.read_bytes() == b"one\n"
        journal.append(b"two")
    with Journal(path) as journal:
        assert list(journal.lines()) == [b"one", b"two"]


def test_truncated_line_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntw")
    with Journal(path) as journal:
        assert list(journal.lines()) == [b"one"]
        journal.append(b"three")
    assert path.read_bytes() == b"one\nthree\n"


def test_journal_is_locked_by_one_process(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "lines"),
        pytest.raises(OutputError, match="another autodenoise is at work"),
    ):
        Journal(tmp_path / "lines")
    Journal(tmp_path / "lines").close()


def test_partly_written_line_is_removed(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "lines"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(path) as journal:
        journal.append(b"one")
        resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
        try:
            with pytest.raises(OutputError, match="cannot write"):
                journal.append(b"a longer line")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == b"one\n"
        journal.append(b"two")
    assert path.read_bytes() == b"one\ntwo\n"


def test_lines_stay_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"x" * 999 * 1000 + b"\n")
    tracemalloc.start()
    try:
        with Journal(path) as journal:
            assert sum(len(line) for line in journal.lines()) == 999_000
            assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()
