"""Networks in Keras, with weights as if trained, and what they answer."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from autodenoise.keras_import import Found, read

if TYPE_CHECKING:
    from pathlib import Path

    import keras
    from numpy.typing import NDArray

__all__ = ["answers", "as_trained", "ours", "save"]


def as_trained(model: keras.Model) -> keras.Model:
    """Draw all weights, so that none is in its place by chance."""
    draw = np.random.default_rng(3)
    for variable in model.weights:
        values = draw.standard_normal(variable.shape)
        if variable.path.endswith("kernel"):
            variable.assign(values / np.sqrt(np.prod(variable.shape[:-1])))
        elif variable.path.endswith(("gamma", "variance")):
            variable.assign(1 + 0.5 * np.abs(values))
        else:
            variable.assign(0.1 * values)
    return model


def save(model: keras.Model, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path)
    return path


def ours(model: keras.Model, path: Path, **ranges: Any) -> Found:
    """Read back what Keras has saved."""
    return read(save(model, path), **ranges)


@torch.no_grad()
def answers(model: keras.Model, found: Found, *sides: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Give what both make of the same two images: Keras's and ours, channels last."""
    channels, height, width = found.shape
    height, width = sides or (height, width)
    images = np.random.default_rng(1).random((2, height, width, channels), np.float32)
    # Keras may have it as a row, or without an axis for the one channel.
    own = images.shape if len(model.input_shape) == 4 else (2, *model.input_shape[1:])
    theirs = model(images.reshape(own))
    clean = found.network.denoise(torch.from_numpy(images).permute(0, 3, 1, 2))
    return theirs.detach().numpy().reshape(images.shape), clean.permute(0, 2, 3, 1).numpy()
