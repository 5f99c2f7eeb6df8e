"""Free memory, and the budget for one image."""

from __future__ import annotations

from pathlib import Path

import pytest

from autodenoise import system


def test_budget_shrinks_when_little_memory_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    def budget(machine: int | None, group: int | None) -> float:
        monkeypatch.setattr(system, "_free_on_machine", lambda: machine)
        monkeypatch.setattr(system, "_free_in_control_group", lambda: group)
        return system.memory_budget() / 2**20

    assert budget(None, None) == 600
    assert budget(2**34, None) == 600
    assert budget(2**34, 700 * 2**20) == 300
    assert budget(160 * 2**20, 2**34) == 75
    assert budget(0, 0) == 9.375


def test_free_memory_is_plausible() -> None:
    for free in (system._free_on_machine(), system._free_in_control_group()):
        assert free is None or 0 <= free < 2**64


@pytest.mark.parametrize(
    ("folder", "limit", "used", "cached"),
    [
        (".", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ],
)
def test_cached_files_of_a_container_count_as_free_memory(
    tmp_path: Path, folder: str, limit: str, used: str, cached: str
) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "memory.stat").write_text(f"anon 200\n{cached} 300\n")
    (tmp_path / folder / used).write_text("990\n")
    (tmp_path / folder / limit).write_text("1000\n")
    assert system._free_in_control_group(tmp_path) == 310
    (tmp_path / folder / limit).write_text("max\n")
    assert system._free_in_control_group(tmp_path) is None
