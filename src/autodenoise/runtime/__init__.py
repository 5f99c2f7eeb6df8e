"""Running a model file on arrays and pictures: NumPy, libvips and ONNX Runtime, never torch."""

from __future__ import annotations

from autodenoise.discovery import Failure, PassedOver, pictures_in
from autodenoise.runtime.batch import denoise_files
from autodenoise.runtime.card import CARD_KEY, Card
from autodenoise.runtime.denoising import (
    Options,
    Preview,
    Result,
    denoise,
    denoise_file,
    pace,
    preview,
)
from autodenoise.runtime.folders import beside, check_suffix, denoise_folder, place
from autodenoise.runtime.model import MODEL_NAME, Model
from autodenoise.runtime.models import Entry, find, list_models, load
from autodenoise.runtime.reports import Report, Summary, Task

__all__ = [
    "CARD_KEY",
    "MODEL_NAME",
    "Card",
    "Entry",
    "Failure",
    "Model",
    "Options",
    "PassedOver",
    "Preview",
    "Report",
    "Result",
    "Summary",
    "Task",
    "beside",
    "check_suffix",
    "denoise",
    "denoise_file",
    "denoise_files",
    "denoise_folder",
    "find",
    "list_models",
    "load",
    "pace",
    "pictures_in",
    "place",
    "preview",
]
