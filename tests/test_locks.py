from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from autodenoise.errors import OutputError
from autodenoise.locks import LockedFile


def test_lines_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    with LockedFile(path) as file:
        assert list(file.lines()) == []
        file.append(b"one")
        assert path.read_bytes() == b"one\n"
        file.append(b"two")
    with LockedFile(path) as file:
        assert list(file.lines()) == [b"one", b"two"]


def test_incomplete_last_line_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntw")
    with LockedFile(path) as file:
        assert list(file.lines()) == [b"one"]
        file.append(b"three")
    assert path.read_bytes() == b"one\nthree\n"


def test_second_user_is_refused(tmp_path: Path) -> None:
    with (
        LockedFile(tmp_path / "lines"),
        pytest.raises(OutputError, match="another autodenoise process is using"),
    ):
        LockedFile(tmp_path / "lines")
    LockedFile(tmp_path / "lines").close()


def test_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "lines"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with LockedFile(path) as file:
        file.append(b"one")
        resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
        try:
            with pytest.raises(OutputError, match="cannot write"):
                file.append(b"a longer line")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == b"one\n"
        file.append(b"two")
    assert path.read_bytes() == b"one\ntwo\n"


def test_lines_are_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"x" * 999 * 1000 + b"\n")
    tracemalloc.start()
    try:
        with LockedFile(path) as file:
            assert sum(len(line) for line in file.lines()) == 999_000
            assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()
