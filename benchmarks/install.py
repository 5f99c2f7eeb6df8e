"""Measure the download and installed size of autodenoise without extras.

    python benchmarks/install.py

Requires a package index with the versions in ``constraints.txt``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from _results import write

ROOT = Path(__file__).parents[1]


def size(folder: Path, pattern: str = "*") -> float:
    """Return the size of the files in a folder, in megabytes."""
    return sum(file.stat().st_size for file in folder.rglob(pattern) if file.is_file()) / 1e6


def main() -> None:
    """Measure the size of the downloads and of the installed packages."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    with tempfile.TemporaryDirectory() as name:
        wheels, packages = Path(name, "wheels"), Path(name, "packages")
        subprocess.run(
            [*pip, "download", *constraints, "--dest", str(wheels), str(ROOT)], check=True
        )
        subprocess.run(
            [*pip, "install", *constraints, "--target", str(packages), str(ROOT)], check=True
        )
        largest = sorted(
            ((size(entry), entry.name) for entry in packages.iterdir() if entry.is_dir()),
            reverse=True,
        )
        result = {
            "protocol": "pip download and pip install --target of this checkout, no extras",
            "download_megabytes": round(size(wheels), 1),
            "installed_megabytes": round(size(packages), 1),
            "of_these_python_bytecode": round(size(packages, "*.pyc"), 1),
            "largest": {entry: round(megabytes, 1) for megabytes, entry in largest[:6]},
        }
    write("install", result)


if __name__ == "__main__":
    main()
