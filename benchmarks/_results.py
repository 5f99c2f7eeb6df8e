"""Where results go, and what each says about how it came to be."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

from autodenoise.environment import environment

FOLDER = Path(__file__).parent / "results"
PACKAGES = ("autodenoise", "torch", "numpy", "onnxruntime")


def write(name: str, result: dict[str, Any]) -> None:
    """Write ``results/NAME.json`` with the command that made it, and print it."""
    script, *arguments = sys.argv
    command = shlex.join(["python", f"benchmarks/{Path(script).name}", *arguments])
    content = {"command": command, "environment": environment(*PACKAGES), **result}
    text = json.dumps(content, indent=2) + "\n"
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(text)
    print(text)
