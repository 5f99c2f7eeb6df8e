"""Learn from one noisy picture alone, for each picture of Set12 at sigma 25.

    python benchmarks/single_image.py

``from photo-fast-gray``: 250 steps from the shipped weights, as ``train --noisy FILE --from`` takes
them. With --minutes, from random weights too, for so long on one thread. Nobody tells the noise. A
picture that has been learnt from is not learnt from again. Settings were chosen on bsds-val32.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import _results
import numpy as np
import torch

import autodenoise
from autodenoise.benchmark import AddedNoise, BenchmarkDataset
from autodenoise.benchmark.protocol import PROTOCOL, score_output

RUNS = Path("runs/benchmarks/single")
START = "photo-fast-gray"


def learnt(file: Path, folder: Path, start: str, minutes: float | None) -> autodenoise.Run:
    """Train on one file, as far as that is not done."""
    if (folder / "model.onnx").exists():
        return autodenoise.Run.open(folder)
    own = autodenoise.OwnData("noisy-only", file, start=start)
    return autodenoise.train(None, folder, own=own, minutes=minutes)


def main() -> None:
    """Train, score, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, help="from random weights too, for so long")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ways: dict[str, tuple[str, float | None]] = {f"from {START}": (START, None)}
    if options.minutes is not None:
        ways[f"anew, {options.minutes:g} minutes"] = ("", options.minutes)
    shipped = autodenoise.load(START)
    unit = autodenoise.IntensityRange(0, 1)
    rows: list[dict[str, Any]] = []
    for reference in BenchmarkDataset.open("set12").images:
        clean, _ = reference.read()
        noisy = AddedNoise("gaussian", 25)(autodenoise.IntensityRange(0, 255).to_float(clean))
        row: dict[str, Any] = {"image": reference.clean.name}
        row[START] = round(score_output(clean, shipped.denoise(noisy, intensity_range=unit))[0], 3)
        for way, (start, minutes) in ways.items():
            folder = RUNS / way.replace(" ", "-").replace(",", "") / reference.clean.stem
            folder.parent.mkdir(parents=True, exist_ok=True)
            file = folder.parent / f"{reference.clean.stem}.npy"
            if not file.exists():
                np.save(file, noisy)
            run = learnt(file, folder, start, minutes)
            denoised = autodenoise.load(run.folder).denoise(noisy)
            row[way] = round(score_output(clean, denoised)[0], 3)
            row[f"{way}, seconds"] = round(sum(one.seconds for one in run.rows), 1)
        rows.append(row)
    names = [key for key in rows[0] if key != "image"]
    means = {name: round(float(np.mean([row[name] for row in rows])), 3) for name in names}
    protocol = f"sigma 25; {PROTOCOL}"
    _results.write("single-image", {"protocol": protocol, "means": means, "images": rows})


if __name__ == "__main__":
    main()
