"""Add trained models to the shipped ones, with their scores on their cards.

    autodenoise train photo-fast-color
    python benchmarks/ship.py runs/photo-fast-color
    python benchmarks/models_page.py

Each is scored on bsds-val32, which no model was trained on: with white noise of three levels by the
published protocol, and on the clean images, which should not change. Add a new model to
``weights/__init__.py`` by hand.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from autodenoise import runtime, weights
from autodenoise.benchmark import AddedNoise, BenchmarkDataset
from autodenoise.benchmark.protocol import score_output
from autodenoise.files import replacing
from autodenoise.images import IntensityRange, to_float
from autodenoise.runtime import CARD_KEY, Card, Model

VALIDATION_SET = "bsds-val32"
SIGMAS = (15, 25, 50)


def judge(model: Model) -> dict[str, float]:
    """Return a model's mean PSNR in dB for each noise level and for clean images."""
    found: dict[str, list[float]] = {}
    for image in BenchmarkDataset.open(VALIDATION_SET).images:
        clean, _ = image.read()
        if model.card.channels == 1:
            clean = luma(clean)
        values = to_float(clean)
        for sigma in SIGMAS:
            noisy = AddedNoise("gaussian", sigma)(values)
            output = model.denoise(noisy, intensity_range=IntensityRange(0, 1))
            found.setdefault(f"psnr_{sigma}", []).append(score_output(clean, output)[0])
        output = model.denoise(values, intensity_range=IntensityRange(0, 1))
        found.setdefault("psnr_clean", []).append(score_output(clean, output)[0])
    return {name: round(float(np.mean(psnr)), 3) for name, psnr in found.items()}


def luma(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Convert 8-bit RGB (H, W, 3) to gray (H, W, 1), as recipes for gray images do."""
    gray: NDArray[np.uint8] = np.rint(pixels @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    return gray[..., None]


def rewrite(source: Path, card: Card, target: Path) -> None:
    """Write a model file with another card."""
    content = onnx.load(source)
    onnx.helper.set_model_props(content, {CARD_KEY: card.to_json()})
    with replacing(target) as temporary:
        onnx.save(content, temporary)
        Model(temporary)


def main() -> None:
    """Score each model and write it to the package."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", help="run folders or model files")
    for name in parser.parse_args().models:
        model = runtime.load(name)
        scores = judge(model)
        card = dataclasses.replace(model.card, scores={**model.card.scores, **scores})
        target = Path(weights.__file__).parent / f"{card.name}.onnx"
        rewrite(model.path, card, target)
        listed = "" if card.name in weights.FILES else "; add it to weights/__init__.py"
        print(f"{card.name}: {scores}{listed}", flush=True)


if __name__ == "__main__":
    main()
