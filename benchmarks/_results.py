"""Where results go, and what each says about how it came to be."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"


def environment() -> dict[str, Any]:
    """Describe the machine and the versions."""
    model = "unknown processor"
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    versions = {
        name: metadata.version(name) for name in ("autodenoise", "torch", "numpy", "onnxruntime")
    }
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **versions,
    }


def write(name: str, result: dict[str, Any]) -> None:
    """Write ``results/NAME.json`` with the command that made it, and print it."""
    script, *arguments = sys.argv
    command = shlex.join(["python", f"benchmarks/{Path(script).name}", *arguments])
    content = {"command": command, "environment": environment(), **result}
    text = json.dumps(content, indent=2) + "\n"
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(text)
    print(text)
