"""Measure how a second busy process slows training, by GNU OpenMP's spin count.

    python benchmarks/contention.py

Trains the network of `conv-mnist` for ten seconds, alone and beside a second process that does the
same, with ``GOMP_SPINCOUNT`` unset and as the command line sets it. Each measurement runs in a new
process; medians of three interleaved rounds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import Any

from _results import protocol, write

SECONDS = 10.0
OURS = "10000"


def work() -> None:
    """Train on random images and print images per second."""
    import torch

    from autodenoise import nets
    from autodenoise.training.losses import binary_cross_entropy
    from autodenoise.training.optimizers import Adam
    from autodenoise.training.process import keep_freed_memory

    keep_freed_memory()
    network = nets.build("conv", {}, torch.Generator().manual_seed(0))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    (optimizer,) = Adam().build(network)
    images = torch.rand(128, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    steps, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < SECONDS:
        optimizer.zero_grad()
        binary_cross_entropy(network, images, images).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        steps += 1
    print(128 * steps / (time.perf_counter() - begun))


def measure(spin: str | None, processes: int) -> float:
    """Return the mean throughput of one or more concurrent processes."""
    environment = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"}
    if spin is not None:
        environment["GOMP_SPINCOUNT"] = spin
    command = [sys.executable, __file__, "--work"]
    # One session each, so that the kernel's autogroups share the cores evenly.
    started = [
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        for _ in range(processes)
    ]
    return statistics.mean(float(process.communicate()[0]) for process in started)


def main() -> None:
    """Measure all four cases in turn."""
    if sys.argv[1:] == ["--work"]:
        work()
        return
    cells: dict[tuple[str | None, int], list[float]] = {}
    for _ in range(3):
        for spin in (None, OURS):
            for processes in (1, 2):
                cells.setdefault((spin, processes), []).append(measure(spin, processes))
    rows: list[dict[str, Any]] = [
        {
            "GOMP_SPINCOUNT": spin or "unset",
            "processes": processes,
            "images_per_second_each": [round(value) for value in values],
            "median": round(statistics.median(values)),
        }
        for (spin, processes), values in cells.items()
    ]
    write("contention", {"protocol": protocol(__doc__), "rows": rows})


if __name__ == "__main__":
    main()
