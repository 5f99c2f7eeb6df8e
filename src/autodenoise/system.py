"""How much memory a picture may take, on this machine and within this container."""

from __future__ import annotations

import math
from pathlib import Path

__all__ = ["free_memory", "memory_budget"]

_MIB = 2**20

_BUDGET = 600 * _MIB


def memory_budget() -> int:
    """Give the bytes that a picture in work may take: 600 MiB, or less where little is free.

    Halved until it is at most half of what is free, so that runs on one machine mostly have the
    same budget, and with it the same tiles.
    """
    budget, free = _BUDGET, free_memory()
    while budget > max(free / 2, 16 * _MIB):
        budget //= 2
    return budget


def free_memory() -> float:
    """Give the bytes that the process may still take; infinity where nobody can tell."""
    return min(
        (value for value in (_free(), _free_in_group()) if value is not None), default=math.inf
    )


def _free() -> int | None:
    """Give what the machine has free, where Linux says so."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    sizes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(sizes[0]) * 1024 if sizes else None


def _free_in_group(groups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Give what the process's control group leaves free, such as a container's limit."""
    for folder, limit, used, cached in (
        (groups, "memory.max", "memory.current", "inactive_file"),
        (
            groups / "memory",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        ),
    ):
        try:
            most, now = (int((folder / name).read_text()) for name in (limit, used))
            told = dict(map(str.split, (folder / "memory.stat").read_text().splitlines()))
            # Files that were read stay in memory until it is needed, and count as used meanwhile.
            return most - now + int(told.get(cached, 0))
        except (OSError, ValueError):
            # Not this version of control groups, or "max": no limit.
            continue
    return None
