"""The machine: its free memory, its processor, and the versions of installed packages."""

from __future__ import annotations

import math
import os
import platform
from importlib import metadata
from pathlib import Path

__all__ = ["environment", "free_memory", "memory_budget", "version"]

_MIB = 2**20
_MAX_BUDGET = 600 * _MIB
_MIN_BUDGET = 8 * _MIB


def memory_budget() -> int:
    """Return the bytes that denoising one image may use: 600 MiB, or less if little is free.

    The budget is halved until it is at most half of the free memory. Runs on one machine then
    mostly have the same budget, and therefore the same tiles.
    """
    budget, free = _MAX_BUDGET, free_memory()
    while budget > max(free / 2, 2 * _MIN_BUDGET):
        budget //= 2
    return budget


def free_memory() -> float:
    """Return the bytes that this process may still allocate; infinity if that is unknown."""
    limits = (_free_on_machine(), _free_in_control_group())
    return min((limit for limit in limits if limit is not None), default=math.inf)


def _free_on_machine() -> int | None:
    """Return the free memory of the machine, which only Linux reports in a file."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    sizes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(sizes[0]) * 1024 if sizes else None


def _free_in_control_group(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return the free memory of this process's control group, such as a container."""
    for limit, usage, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            stat = (root / limit).with_name("memory.stat").read_text()
            # Cached files count as used, but the kernel drops them when memory is needed.
            cached = int(dict(map(str.split, stat.splitlines())).get(cache, 0))
            return int((root / limit).read_text()) - int((root / usage).read_text()) + cached
        except (OSError, ValueError):
            # The other version of control groups, or a limit of "max".
            continue
    return None


def environment(*packages: str) -> dict[str, str | int | None]:
    """Return a description of this machine and the versions of those packages that are installed.

    Examples
    --------
    >>> sorted(environment("numpy"))
    ['cores', 'numpy', 'processor', 'python', 'system']
    """
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    processors = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    versions = {package: version(package) for package in packages}
    return {
        "processor": processors[0] if processors else "unknown processor",
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{package: found for package, found in versions.items() if found is not None},
    }


def version(package: str) -> str | None:
    """Return the version of an installed package, or None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
