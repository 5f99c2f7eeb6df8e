"""Keras models with random weights, and comparison of their outputs with ours."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from autodenoise.keras_import import ImportedNetwork, read_network

if TYPE_CHECKING:
    from pathlib import Path

    import keras
    from numpy.typing import NDArray

__all__ = ["import_model", "outputs", "randomize", "save"]


def randomize(model: keras.Model) -> keras.Model:
    """Draw all weights at random, so that mixed-up weights change the output."""
    random = np.random.default_rng(3)
    for variable in model.weights:
        values = random.standard_normal(variable.shape)
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


def import_model(model: keras.Model, path: Path, **ranges: Any) -> ImportedNetwork:
    """Save a Keras model and read it as a network of ours."""
    return read_network(save(model, path), **ranges)


@torch.no_grad()
def outputs(
    model: keras.Model, imported: ImportedNetwork, *sides: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the outputs of Keras's and our network for the same two images, channels last."""
    channels, height, width = imported.shape
    height, width = sides or (height, width)
    images = np.random.default_rng(1).random((2, height, width, channels), np.float32)
    # Keras may take a vector, or images without a channel axis.
    shape = images.shape if len(model.input_shape) == 4 else (2, *model.input_shape[1:])
    expected = model(images.reshape(shape))
    clean = imported.network.denoise(torch.from_numpy(images).permute(0, 3, 1, 2))
    return expected.detach().numpy().reshape(images.shape), clean.permute(0, 2, 3, 1).numpy()
