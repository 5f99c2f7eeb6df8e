"""Run model files on arrays and image files with NumPy, libvips and ONNX Runtime, not torch."""

from __future__ import annotations

from autodenoise.discovery import FailedFile, SkippedFile, find_images
from autodenoise.runtime.batch import BatchProgress, BatchSummary, FileTask, denoise_files
from autodenoise.runtime.card import CARD_KEY, Card
from autodenoise.runtime.denoising import (
    DenoiseOptions,
    DenoiseResult,
    DryRun,
    denoise,
    denoise_file,
    pace,
    preview,
)
from autodenoise.runtime.folders import check_suffix, default_output, denoise_folder, output_pairs
from autodenoise.runtime.model import MODEL_NAME, Model
from autodenoise.runtime.models import ModelEntry, find_model, list_models, load

__all__ = [
    "CARD_KEY",
    "MODEL_NAME",
    "BatchProgress",
    "BatchSummary",
    "Card",
    "DenoiseOptions",
    "DenoiseResult",
    "DryRun",
    "FailedFile",
    "FileTask",
    "Model",
    "ModelEntry",
    "SkippedFile",
    "check_suffix",
    "default_output",
    "denoise",
    "denoise_file",
    "denoise_files",
    "denoise_folder",
    "find_images",
    "find_model",
    "list_models",
    "load",
    "output_pairs",
    "pace",
    "preview",
]
