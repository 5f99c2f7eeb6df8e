"""Tune the settings of the classical baselines on bsds-val32, never on a test set.

    python benchmarks/baseline_settings.py

Each setting is relative to the noise's sigma and the same for all noise levels: the one with the
highest mean PSNR over gray and color and sigma 15, 25 and 50, on center crops of the first eight
images. A test compares the defaults in `autodenoise.benchmark.baselines` with the result.
"""

from __future__ import annotations

import itertools
from typing import Any

import _results
import numpy as np

from autodenoise import images
from autodenoise.benchmark import AddedNoise, BenchmarkDataset
from autodenoise.benchmark.baselines import BASELINES
from autodenoise.benchmark.protocol import score_output

IMAGES, SIDE = 8, 160
NOISES = [AddedNoise("gaussian", sigma) for sigma in (15, 25, 50)]
GRIDS: dict[str, dict[str, list[float]]] = {
    "gaussian-blur": {"width": [0.6, 0.8, 1.0, 1.2, 1.5]},
    "bilateral": {"spatial": [1.0, 1.4, 1.8, 2.4], "value": [1.5, 2.0, 2.5, 3.0, 4.0]},
    "tv": {"weight": [0.4, 0.5, 0.6, 0.7, 0.8, 1.0]},
    "nlm": {"h": [0.4, 0.5, 0.6, 0.7, 0.8]},
    "opencv-nlm": {"h": [0.6, 0.7, 0.8, 0.9, 1.0, 1.1]},
}


def main() -> None:
    """Try all settings in the grids."""
    cases = []
    for image in BenchmarkDataset.open("bsds-val32").images[:IMAGES]:
        height, width, _ = image.shape
        top, left = (height - SIDE) // 2, (width - SIDE) // 2
        color = image.read()[0][top : top + SIDE, left : left + SIDE]
        for clean in (color, color[..., 1:2]):
            pixels = images.to_float(clean)
            cases += [(clean, noise(pixels), noise.sigma) for noise in NOISES]
    found: dict[str, Any] = {}
    for name, grid in GRIDS.items():
        tried = []
        for values in itertools.product(*grid.values()):
            settings = dict(zip(grid, values, strict=True))
            scores = [
                score_output(clean, BASELINES[name].denoise(noisy, sigma, **settings))[0]
                for clean, noisy, sigma in cases
            ]
            tried.append({**settings, "psnr": round(float(np.mean(scores)), 3)})
        best = max(tried, key=lambda row: row["psnr"])
        found[name] = {"best": {key: best[key] for key in grid}, "tried": tried}
    _results.write(
        "baseline-settings",
        {"data": f"bsds-val32, the first {IMAGES}, {SIDE}x{SIDE}", "baselines": found},
    )


if __name__ == "__main__":
    main()
