"""Running a model file on arrays and pictures: NumPy, libvips and ONNX Runtime, never torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autodenoise import images
from autodenoise.errors import OutputError
from autodenoise.runtime.card import CARD_KEY, Card
from autodenoise.runtime.model import MODEL_NAME, Model, load

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CARD_KEY", "MODEL_NAME", "Card", "Model", "denoise_file", "load"]


def denoise_file(model: Model, source: Path, target: Path) -> None:
    """Clean one picture file into another of the same bit depth.

    Raises
    ------
    InputError
        The picture cannot be read or does not fit the model.
    OutputError
        `target` exists already, or cannot be written.
    """
    if target.exists():
        raise OutputError(f"{target} exists already; choose another name with -o")
    images.write(target, model(images.read(source)))
