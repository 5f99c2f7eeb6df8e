from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from autodenoise.errors import OutputError
from autodenoise.journal import Journal


def test_lines_are_there_again(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    with Journal(path) as journal:
        assert list(journal.lines()) == []
        journal.append(b"one")
        assert path.read_bytes() == b"one\n"
        journal.append(b"two")
    with Journal(path) as journal:
        assert list(journal.lines()) == [b"one", b"two"]


def test_a_line_that_was_cut_off_is_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntw")
    with Journal(path) as journal:
        assert list(journal.lines()) == [b"one"]
        journal.append(b"three")
    assert path.read_bytes() == b"one\nthree\n"


def test_one_at_a_time(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "lines"),
        pytest.raises(OutputError, match="another autodenoise is at work"),
    ):
        Journal(tmp_path / "lines")
    Journal(tmp_path / "lines").close()


def test_what_cannot_be_written_whole_is_not_there_at_all(tmp_path: Path) -> None:
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
