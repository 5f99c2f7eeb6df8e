"""Score the shipped models and the baselines on the published test sets, for docs/results.md.

    python benchmarks/scores.py                # everything; takes hours, mostly BM3D
    python benchmarks/scores.py --sets set12 --baselines wavelet tv
    python benchmarks/results_page.py

Rows are saved in benchmarks/cache: the same call continues an interrupted one, and calls with other
baselines extend the table. The result contains models and baselines that have been scored on all
images of a dataset at all three noise levels.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import _results
import torch
from rich.console import Console

from autodenoise import nets, runtime, weights
from autodenoise.benchmark import AddedNoise, BenchmarkDataset, ResultAverage, run_benchmark
from autodenoise.benchmark.baselines import BASELINES
from autodenoise.benchmark.protocol import PROTOCOL
from autodenoise.cli.progress import BenchmarkProgress
from autodenoise.files import digest
from autodenoise.nets.summary import summarize

CACHE = Path(__file__).parent / "cache"
SETS = ("set12", "bsd68", "cbsd68")
NOISES = [AddedNoise("gaussian", sigma) for sigma in (15, 25, 50)]
_SIDE = 128


def about(name: str) -> dict[str, Any]:
    """Return a model's number of parameters, and its multiply-adds per pixel."""
    model = runtime.load(name)
    card = model.card
    network = nets.build(card.network, card.arguments, torch.Generator().manual_seed(0))
    macs = summarize(network, (card.channels, _SIDE, _SIDE)).multiply_adds / _SIDE**2
    return {
        "parameters": card.parameters,
        "macs_per_pixel": round(macs),
        "sha256": digest(model.path),
    }


def complete(averages: tuple[ResultAverage, ...], names: set[str]) -> list[ResultAverage]:
    """Return the averages of the named denoisers that were scored with every noise."""
    wanted = {noise.name for noise in NOISES}
    done: dict[str, set[str]] = {}
    for one in averages:
        done.setdefault(one.denoiser, set()).add(one.noise)
    whole = {name for name, noises in done.items() if noises >= wanted} & names
    return [one for one in averages if one.denoiser in whole]


def main() -> None:
    """Compute missing rows and write complete results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--baselines", nargs="*", default=["all"])
    options = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    for name in options.sets:
        dataset = BenchmarkDataset.open(name)
        fitting = [
            model
            for model in weights.FILES
            if runtime.load(model).card.channels == dataset.channels
        ]
        with BenchmarkProgress(Console()) as progress:
            table = run_benchmark(
                dataset,
                CACHE / f"scores-{name}",
                models=fitting,
                baselines=options.baselines,
                noises=NOISES,
                on_row=progress,
            )
        averages = complete(table.averages, {*BASELINES, *fitting})
        _results.write(
            f"scores-{name}",
            {
                # Without arguments: rows may come from several calls.
                "command": "python benchmarks/scores.py",
                "environments": list(table.environments),
                "set": name,
                "images": len(dataset.images),
                "channels": dataset.channels,
                "protocol": PROTOCOL,
                "models": {model: about(model) for model in fitting},
                "scores": [one.to_json() for one in averages],
            },
        )


if __name__ == "__main__":
    main()
