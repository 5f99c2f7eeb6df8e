"""Write result files, with the command, machine and versions that produced them."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

from autodenoise.system import environment

FOLDER = Path(__file__).parent / "results"
PACKAGES = ("autodenoise", "torch", "numpy", "onnxruntime")


def protocol(doc: str | None) -> str:
    """Return the third paragraph of a script's docstring, which describes the measurement."""
    return " ".join((doc or "").split("\n\n")[2].split())


def write(name: str, result: dict[str, Any]) -> None:
    """Write ``results/NAME.json`` with the command and environment, and print it."""
    script, *arguments = sys.argv
    command = shlex.join(["python", f"benchmarks/{Path(script).name}", *arguments])
    content = {"command": command, "environment": environment(*PACKAGES), **result}
    text = json.dumps(content, indent=2) + "\n"
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(text)
    print(text)
