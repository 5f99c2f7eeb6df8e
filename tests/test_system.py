"""How much memory there is, and how much of it a picture may take."""

from __future__ import annotations

from pathlib import Path

import pytest

from autodenoise import system as memory


def test_the_budget_is_less_where_little_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    def budget(machine: int | None, group: int | None) -> float:
        monkeypatch.setattr(memory, "_free", lambda: machine)
        monkeypatch.setattr(memory, "_free_in_group", lambda: group)
        return memory.memory_budget() / 2**20

    assert budget(None, None) == 600
    assert budget(2**34, None) == 600
    assert budget(2**34, 700 * 2**20) == 300
    assert budget(160 * 2**20, 2**34) == 75
    assert budget(0, 0) == 9.375


def test_what_is_free_is_found_out() -> None:
    for free in (memory._free(), memory._free_in_group()):
        assert free is None or 0 <= free < 2**64


@pytest.mark.parametrize(
    ("folder", "limit", "used", "cached"),
    [
        (".", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ],
)
def test_files_that_a_container_has_read_take_no_memory(
    tmp_path: Path, folder: str, limit: str, used: str, cached: str
) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "memory.stat").write_text(f"anon 200\n{cached} 300\n")
    (tmp_path / folder / used).write_text("990\n")
    (tmp_path / folder / limit).write_text("1000\n")
    assert memory._free_in_group(tmp_path) == 310
    (tmp_path / folder / limit).write_text("max\n")
    assert memory._free_in_group(tmp_path) is None
