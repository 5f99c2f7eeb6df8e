"""Measure trained runs by classification, outlier detection, and against other methods.

    python benchmarks/uses.py

Uses the runs that `reproduce.py` writes to ``runs/benchmarks``, so train those first. Everything
is measured on the test images with the noise of the recipe. ``maxnorm-mnist`` and ``dense-mnist``
share data and noise, so their rows compare a convolutional network with a dense one.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from _results import protocol, write

import autodenoise

RUNS = Path("runs/benchmarks")
# Each run, and the runs to compare it with in addition to PCA.
AGAINST = {
    "conv-mnist-0": ["swift-mnist-0", "conv-mnist-fast-0"],
    "maxnorm-mnist-10-epochs-0": ["dense-mnist-0"],
    "bottleneck-mnist-program-0": [],
    "blur-mnist-20-epochs-0": [],
    "dense-fashion-0": [],
}


def main() -> None:
    """Measure and write the results."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    results: dict[str, Any] = {}
    for name, others in AGAINST.items():
        folder = RUNS / name
        own = Path(autodenoise.Run.open(folder).recipe.data.source).name
        stranger = "mnist" if own == "fashion-mnist" else "fashion-mnist"
        table = autodenoise.compare(folder, ["pca", *(str(RUNS / other) for other in others)])
        results[name] = {
            "epochs": len(autodenoise.Run.open(folder).rows),
            "classifier": dataclasses.asdict(autodenoise.classify(folder)),
            "outliers": dataclasses.asdict(autodenoise.find_outliers(folder, stranger)),
            "on_the_same_noise": [dataclasses.asdict(row) for row in table.rows],
        }
    write("uses", {"protocol": protocol(__doc__), "runs": results})


if __name__ == "__main__":
    main()
