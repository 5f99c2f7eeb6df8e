"""The machine and the versions that numbers were measured with."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

__all__ = ["environment", "version"]


def environment(*packages: str) -> dict[str, str | int | None]:
    """Describe the machine, and the versions of those packages that are installed."""
    model = "unknown processor"
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    installed = {name: version(name) for name in packages}
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: found for name, found in installed.items() if found is not None},
    }


def version(package: str) -> str | None:
    """Give the version of an installed package; None for any other."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
