"""Compare training throughput of two processes with that of one on the same cores.

    python benchmarks/parallel.py

One process with a thread per core and two with half as many each take turns: each trains the same
recipe at the same batch size for a few epochs, by the command line. The result is the throughput of
the last epoch, which excludes start-up and export.
"""

from __future__ import annotations

import csv
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _results import protocol, write

ROUNDS = 5
# A network with short steps, and one with long steps.
RECIPES = {
    "conv-mnist": ["--epochs", "2"],
    "photo-fast-gray": ["--epochs", "2", "--set", "data.samples=800"],
}


def images_per_second(recipe: str, processes: int, threads: int) -> float:
    """Train in one or more new processes; return images per second of the last epoch."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        subprocess.run(
            [
                sys.executable,
                *(launcher if processes > 1 else []),
                *("-m", "autodenoise", "train", recipe, "--device", "cpu", "--out", str(run)),
                *RECIPES[recipe],
            ],
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with (run / "metrics.csv").open() as file:
            return float(list(csv.DictReader(file))[-1]["images_per_second"])


def main() -> None:
    """Measure all cases in turn."""
    cores = os.cpu_count() or 2
    ways = {1: cores, 2: cores // 2}
    cells: dict[tuple[str, int], list[float]] = {}
    for _ in range(ROUNDS):
        for recipe in RECIPES:
            for processes, threads in ways.items():
                speed = images_per_second(recipe, processes, threads)
                cells.setdefault((recipe, processes), []).append(speed)
    rows: list[dict[str, Any]] = [
        {
            "recipe": recipe,
            "processes": processes,
            "threads_each": ways[processes],
            "images_per_second": [round(speed, 1) for speed in speeds],
            "median": round(statistics.median(speeds), 1),
        }
        for (recipe, processes), speeds in cells.items()
    ]
    ratios: dict[str, Any] = {}
    for recipe in RECIPES:
        pairs = zip(cells[recipe, 2], cells[recipe, 1], strict=True)
        each = sorted(two / one for two, one in pairs)
        ratios[recipe] = {
            "median": round(statistics.median(each), 3),
            "range": [round(each[0], 3), round(each[-1], 3)],
        }
    write(
        "parallel",
        {
            "protocol": f"{protocol(__doc__)} {ROUNDS} interleaved rounds.",
            "settings": {name: " ".join(settings) for name, settings in RECIPES.items()},
            "rows": rows,
            "two_processes_to_one": ratios,
        },
    )


if __name__ == "__main__":
    main()
