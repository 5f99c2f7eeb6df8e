"""Measure PSNR and speed of shipped models, quantized to 8 bits.

    python benchmarks/eight_bits.py -o runs/int8

Quantizes each shipped float32 model to NAME-int8.onnx. The loss is in mean PSNR on bsds-val32,
which no model was trained on, with white noise by the published protocol. Then both models take
turns on one megapixel; the result contains the ratios of their times.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from _results import protocol, write
from ship import SIGMAS, judge

from autodenoise import runs, runtime, weights

SIDE = 1024
ROUNDS = 9


def seconds(model: runtime.Model, image: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    """Return the time for one image."""
    start = time.perf_counter()
    model(image)
    return time.perf_counter() - start


def compare(name: str, folder: Path) -> dict[str, Any]:
    """Quantize a model and compare it with the float32 one."""
    path = folder / f"{name}-int8.onnx"
    runs.quantize(name, path)
    before, after = runtime.load(name), runtime.load(path)
    scores, quantized = before.card.scores, judge(after)
    lost = {
        f"{sigma}": round(scores[f"psnr_{sigma}"] - quantized[f"psnr_{sigma}"], 3)
        for sigma in SIGMAS
    }
    image = np.random.default_rng(0).random((SIDE, SIDE, before.card.channels), np.float32)
    for model in (before, after):
        model(image)
    ratios = sorted(seconds(before, image) / seconds(after, image) for _ in range(ROUNDS))
    return {
        "model": name,
        "lost_db": lost,
        "clean_db": {"float32": scores["psnr_clean"], "int8": quantized["psnr_clean"]},
        "times_as_fast": {
            "median": round(statistics.median(ratios), 2),
            "range": [round(ratios[0], 2), round(ratios[-1], 2)],
        },
        "megabytes": round(path.stat().st_size / 1e6, 2),
    }


def main() -> None:
    """Measure all models."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the files")
    folder = parser.parse_args().output
    folder.mkdir(parents=True)
    rows = []
    for name in weights.FILES:
        if not name.endswith("-int8"):
            rows.append(compare(name, folder))
            print(rows[-1], flush=True)
    write("eight-bits", {"protocol": protocol(__doc__), "models": rows})


if __name__ == "__main__":
    main()
