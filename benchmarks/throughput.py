"""Compare training throughput of conv-mnist with the same program in Keras on TensorFlow.

    python benchmarks/throughput.py --keras-python ENVIRONMENT/bin/python

The other environment only needs ``pip install tensorflow-cpu``. Both sides are processes that train
one epoch of the same 19,200 images in turn, timed from outside, so that other load affects both
alike. The result is the median of the ratios of all rounds.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from _results import write

from autodenoise import nets
from autodenoise.data import dataset as data
from autodenoise.data.crops import Batch
from autodenoise.noise import Gaussian
from autodenoise.training.history import EpochRow
from autodenoise.training.loop import fit
from autodenoise.training.phases import Phase
from autodenoise.training.state import Training, TrainingStatus

IMAGES = 150 * 128


class _WaitAfterEpoch:
    """A callback that prints each epoch and waits for a line of input."""

    def begin(self, training: Training, rows: tuple[EpochRow, ...]) -> None:
        """Do nothing."""

    def step(self, status: TrainingStatus) -> None:
        """Do nothing."""

    def epoch(self, row: EpochRow) -> None:
        """Print the epoch and wait for the next turn."""
        print(row.epoch, flush=True)
        sys.stdin.readline()


def work(path: Path, rounds: int) -> None:
    """Train the network of ``conv-mnist`` with autodenoise's loop, one epoch per line."""
    images = torch.from_numpy(np.load(path))[:, None]
    training = Training(
        network=nets.build("conv", {}, torch.Generator().manual_seed(0)),
        phases={"denoise": Phase(epochs=rounds, noise="once")},
        noise=Gaussian(0.4, clip=True),
        train=images,
        validation=Batch(images[:10]),
        validation_split="test",
        noisy_validation=True,
        samples=len(images),
        seed=0,
        device=torch.device("cpu"),
    )
    print(f"autodenoise on torch {torch.__version__}", flush=True)
    sys.stdin.readline()
    with tempfile.TemporaryDirectory() as folder:
        fit(training, Path(folder), _WaitAfterEpoch())


class _Worker:
    def __init__(self, command: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        self.name = self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def turn(self) -> float:
        assert self.process.stdin is not None
        begun = time.perf_counter()
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self._line()
        return IMAGES / (time.perf_counter() - begun)


def main() -> None:
    """Measure both sides in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keras-python", default="python")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.rounds + 1)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npy"
        np.save(file, data.load(data.DataSpec("mnist")).train.images[:IMAGES, 0].numpy())
        here = Path(__file__)
        keras = _Worker([options.keras_python, str(here.with_name("keras_worker.py")), str(file)])
        rounds = ["--rounds", str(options.rounds)]
        ours = _Worker([sys.executable, str(here), "--work", str(file), *rounds])
        # The first turn is a warm-up.
        ours.turn()
        keras.turn()
        pairs = [(ours.turn(), keras.turn()) for _ in range(options.rounds)]
        for worker in (ours, keras):
            worker.process.kill()
    ratios = sorted(own / other for own, other in pairs)
    result = {
        "protocol": f"conv-mnist, phase denoise, batch 128, {IMAGES} images a round, float32; "
        f"{options.rounds} interleaved rounds after one to warm up",
        "sides": {"ours": ours.name, "keras": keras.name},
    }
    # Do not publish a local path.
    sys.argv[sys.argv.index(options.keras_python)] = "ENVIRONMENT/bin/python"
    numbers = {
        "ours_images_per_second": [round(own) for own, _ in pairs],
        "keras_images_per_second": [round(other) for _, other in pairs],
        "median_ours": round(statistics.median(own for own, _ in pairs)),
        "median_keras": round(statistics.median(other for _, other in pairs)),
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_range": [round(ratios[0], 3), round(ratios[-1], 3)],
    }
    write("throughput", result | numbers)


if __name__ == "__main__":
    main()
