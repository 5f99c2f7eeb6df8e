"""Measure the time of ``--help``, and the time until the first step of ``train``.

    python benchmarks/startup.py

Medians over several new processes each.
"""

from __future__ import annotations

import importlib
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NoReturn

from _results import write

from autodenoise.training.history import EpochRow
from autodenoise.training.state import Training, TrainingStatus

FIRST_STEP = "--until-first-step"


class _ExitAtFirstStep:
    """A callback that ends the process at the first step."""

    def begin(self, training: Training, rows: tuple[EpochRow, ...]) -> None:
        """Do nothing."""

    def step(self, status: TrainingStatus) -> NoReturn:
        """Print the step and exit."""
        print(status.step, flush=True)
        sys.exit(0)

    def epoch(self, row: EpochRow) -> None:
        """Do nothing; never called."""


def seconds(command: list[str]) -> float:
    """Return the time until a command prints its first line or ends."""
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        took = time.perf_counter() - begun
        process.communicate()
    return took


def main() -> None:
    """Measure both in turn."""
    if sys.argv[1:] == [FIRST_STEP]:
        # What the command line imports before it trains.
        importlib.import_module("autodenoise.cli")
        from autodenoise import runs

        with tempfile.TemporaryDirectory() as folder:
            runs.train("conv-mnist-fast", folder, report=_ExitAtFirstStep())
    help_command = [sys.executable, "-m", "autodenoise", "--help"]
    first_step = [sys.executable, __file__, FIRST_STEP]
    helps, steps = [], []
    for _ in range(9):
        helps.append(seconds(help_command))
        steps.append(seconds(first_step))
    result = {
        "protocol": "process start to the first line printed; 9 interleaved runs, caches warm",
        "help_seconds": [round(value, 3) for value in helps],
        "help_median": round(statistics.median(helps), 3),
        "first_step_seconds": [round(value, 2) for value in steps],
        "first_step_median": round(statistics.median(steps), 2),
    }
    write("startup", result)


if __name__ == "__main__":
    main()
