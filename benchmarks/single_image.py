"""Train on a single noisy image, for each image of Set12 at sigma 25.

    python benchmarks/single_image.py

``from photo-fast-gray`` fine-tunes the shipped weights for 250 steps, as ``train --noisy FILE
--from`` does. With --minutes, it also trains from random weights, for so long on one thread. The
noise level is not given. Finished images are not trained again. Settings were tuned on bsds-val32.
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


def train(file: Path, folder: Path, start: str, minutes: float | None) -> autodenoise.Run:
    """Train on one file, or return its finished run."""
    if (folder / "model.onnx").exists():
        return autodenoise.Run.open(folder)
    own = autodenoise.OwnData("noisy-only", file, start=start)
    return autodenoise.train(None, folder, own_data=own, minutes=minutes)


def main() -> None:
    """Train, score and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, help="also train from random weights, for so long")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ways: dict[str, tuple[str, float | None]] = {f"from {START}": (START, None)}
    if options.minutes is not None:
        ways[f"anew, {options.minutes:g} minutes"] = ("", options.minutes)
    shipped = autodenoise.load(START)
    unit = autodenoise.IntensityRange(0, 1)
    rows: list[dict[str, Any]] = []
    for image in BenchmarkDataset.open("set12").images:
        clean, _ = image.read()
        noisy = AddedNoise("gaussian", 25)(autodenoise.IntensityRange(0, 255).to_float(clean))
        row: dict[str, Any] = {"image": image.clean.name}
        row[START] = round(score_output(clean, shipped.denoise(noisy, intensity_range=unit))[0], 3)
        for way, (start, minutes) in ways.items():
            folder = RUNS / way.replace(" ", "-").replace(",", "") / image.clean.stem
            folder.parent.mkdir(parents=True, exist_ok=True)
            file = folder.parent / f"{image.clean.stem}.npy"
            if not file.exists():
                np.save(file, noisy)
            run = train(file, folder, start, minutes)
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
