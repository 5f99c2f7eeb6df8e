"""Train one network with and without clean images, by each objective, and score the results.

    python benchmarks/objectives.py

Each objective is a run in runs/benchmarks/objectives, trained by the recipe objectives.toml.
Existing runs are resumed, or only read if they are finished. Test sets are scored once, at the end.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import _results

import autodenoise
from autodenoise.benchmark import run_benchmark
from autodenoise.benchmark.protocol import PROTOCOL

RUNS = Path("runs/benchmarks/objectives")
RECIPE = Path(__file__).parent / "objectives.toml"
_BLIND = ["data.shots=1", "network.residual=false"]
SETTINGS = {
    "supervised": [],
    "noise2noise": ["data.shots=2"],
    "recorrupted": ["data.shots=1"],
    "neighbor2neighbor": ["data.shots=1"],
    "noise2void2": _BLIND,
    "noise2void": _BLIND,
}


def run(objective: str) -> autodenoise.Run:
    """Train with one objective, or return its finished run."""
    folder = RUNS / objective
    if folder.exists():
        opened = autodenoise.Run.open(folder)
        return opened if opened.is_finished else autodenoise.resume(folder)
    settings = [*SETTINGS[objective], f"phase.denoise.objective={objective}"]
    return autodenoise.train(RECIPE, folder, settings=settings)


def main() -> None:
    """Train, score and write the results."""
    runs = {objective: run(objective) for objective in SETTINGS}
    psnr: dict[str, dict[str, float]] = {}
    for name in ("bsd68", "set12"):
        models = [str(one.folder) for one in runs.values()]
        with tempfile.TemporaryDirectory() as folder:
            table = run_benchmark(name, folder, models=models, noises=["gaussian:25"])
        psnr[name] = {one.denoiser: round(one.psnr, 3) for one in table.averages}
    rows: list[dict[str, Any]] = [
        {
            "objective": objective,
            "settings": SETTINGS[objective],
            "epochs": len(one.rows),
            "val_loss": one.rows[-1].val_loss,
            "psnr": {name: values[str(one.folder)] for name, values in psnr.items()},
        }
        for objective, one in runs.items()
    ]
    protocol = f"sigma 25, gray; {PROTOCOL}"
    _results.write("objectives", {"protocol": protocol, "recipe": RECIPE.name, "runs": rows})


if __name__ == "__main__":
    main()
