"""Running a model file on arrays and pictures: NumPy, libvips and ONNX Runtime, never torch."""

from __future__ import annotations

from autodenoise.runtime.card import CARD_KEY, Card
from autodenoise.runtime.denoising import (
    Options,
    Preview,
    Result,
    denoise,
    denoise_file,
    preview,
)
from autodenoise.runtime.model import MODEL_NAME, Model, load

__all__ = [
    "CARD_KEY",
    "MODEL_NAME",
    "Card",
    "Model",
    "Options",
    "Preview",
    "Result",
    "denoise",
    "denoise_file",
    "load",
    "preview",
]
