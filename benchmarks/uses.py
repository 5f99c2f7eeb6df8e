"""What trained runs are good for: classifying, spotting outliers, against other methods.

    python benchmarks/uses.py

Takes the runs that `reproduce.py` has left in ``runs/benchmarks``, so train those first.
Everything is measured on the held-back images with each recipe's own noise. ``maxnorm-mnist`` and
``dense-mnist`` share data and noise, so their rows set a convolutional network against a dense one.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from _results import write

import autodenoise

RUNS = Path("runs/benchmarks")
# Each run, and what it is set against besides principal components.
AGAINST = {
    "conv-mnist-0": ["swift-mnist-0", "conv-mnist-fast-0"],
    "maxnorm-mnist-10-epochs-0": ["dense-mnist-0"],
    "bottleneck-mnist-program-0": [],
    "blur-mnist-20-epochs-0": [],
    "dense-fashion-0": [],
}


def main() -> None:
    """Measure and write."""
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
    write("uses", {"protocol": " ".join((__doc__ or "").split("\n\n")[2].split()), "runs": results})


if __name__ == "__main__":
    main()
