"""Train a built-in recipe, once per seed, and compare its losses with its source's.

    python benchmarks/reproduce.py conv-mnist
    python benchmarks/reproduce.py swift-mnist --seeds 0 1 2

Each seed is a cold start of the command line; times count from the start of its process. An
existing run folder is resumed, or only read if it is finished; it has no times. Scores are those of
the model file on the test images.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _results import write

import autodenoise

# The loss that our recipes aim to beat. Their pages also report times, so run these alone.
AIMS = {"swift-mnist": 0.0846, "conv-mnist-fast": 0.0846}


def run_once(recipe: str, seed: int, epochs: int | None) -> dict[str, Any]:
    """Train with one seed and score the model."""
    name = f"{recipe}-{seed}" if epochs is None else f"{recipe}-{epochs}-epochs-{seed}"
    folder = Path("runs/benchmarks") / name
    autodenoise_command = [sys.executable, "-m", "autodenoise"]
    clock: list[float] | None = None
    if not folder.exists():
        command = [*autodenoise_command, "train", recipe, "--device", "cpu", "--seed", str(seed)]
        if epochs is not None:
            command += ["--epochs", str(epochs)]
        clock = watch([*command, "--out", str(folder)])
    elif not (folder / "model.onnx").exists():
        subprocess.run([*autodenoise_command, "train", "--resume", str(folder)], check=True)
    run = autodenoise.Run.open(folder)
    scores = autodenoise.evaluate(folder)
    rows = []
    for index, row in enumerate(run.rows):
        entry: dict[str, Any] = {
            "phase": row.phase,
            "epoch": row.epoch,
            "loss": round(row.loss, 5),
            "val_loss": round(row.val_loss, 5),
            "seconds": round(row.seconds, 2),
        }
        if clock is not None:
            entry["seconds_since_start"] = round(clock[index], 2)
        expected = run.recipe.printed.get(row.phase, {}).get(row.epoch)
        if expected is not None:
            entry["printed_val_loss"] = expected
            entry["relative_to_printed"] = round(row.val_loss / expected - 1, 4)
        rows.append(entry)
    return {"seed": seed, "epochs": rows, "test_scores": dataclasses.asdict(scores)}


def watch(command: list[str]) -> list[float]:
    """Run a training command; return the time of each epoch's line of output, in seconds."""
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        times = [time.perf_counter() - begun for line in process.stdout if "val_loss" in line]
    if process.returncode:
        sys.exit(process.returncode)
    return times


def main() -> None:
    """Train, compare and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int)
    options = parser.parse_args()
    runs = [run_once(options.recipe, seed, options.epochs) for seed in options.seeds]
    result: dict[str, Any] = {
        "protocol": "trained by the recipe on the CPU and validated as its source does; scores of "
        "the model file through ONNX Runtime",
        "final_val_loss": [run["epochs"][-1]["val_loss"] for run in runs],
    }
    if options.recipe in AIMS:
        aim = AIMS[options.recipe]
        result["aim"] = aim
        result["first_epoch_below_aim"] = [
            next((row["epoch"] for row in run["epochs"] if row["val_loss"] < aim), None)
            for run in runs
        ]
    worst = [
        row["relative_to_printed"]
        for run in runs
        for row in run["epochs"]
        if "relative_to_printed" in row
    ]
    if worst:
        result["worst_relative_to_printed"] = max(worst)
    name = options.recipe if options.epochs is None else f"{options.recipe}-{options.epochs}-epochs"
    write(name, result | {"runs": runs})


if __name__ == "__main__":
    main()
