"""The tutorials' networks in Keras, from their descriptions, and how weights carry over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch
from keras import layers
from numpy.typing import NDArray
from torch import nn

from autodenoise.nets import Autoencoder

SAME: dict[str, Any] = {"padding": "same", "activation": "relu"}


def _model(*stack: keras.Layer) -> keras.Model:
    return keras.Sequential([layers.Input((28, 28, 1)), *stack])


def conv() -> keras.Model:
    return _model(
        layers.Conv2D(32, 3, **SAME),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(32, 3, **SAME),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2DTranspose(32, 3, strides=2, **SAME),
        layers.Conv2DTranspose(32, 3, strides=2, **SAME),
        layers.Conv2D(1, 3, activation="sigmoid", padding="same"),
    )


def dense() -> keras.Model:
    return _model(
        layers.Flatten(),
        *(layers.Dense(width, activation="relu") for width in (512, 512, 256, 256, 64, 512)),
        layers.Dense(784, activation="sigmoid"),
        layers.Reshape((28, 28, 1)),
    )


def maxnorm(limit: float = 2.0) -> keras.Model:
    common = {
        "kernel_constraint": keras.constraints.max_norm(limit),
        "kernel_initializer": "he_uniform",
    }
    return _model(
        layers.Conv2D(64, 3, activation="relu", **common),
        layers.Conv2D(32, 3, activation="relu", **common),
        layers.Conv2DTranspose(32, 3, activation="relu", **common),
        layers.Conv2DTranspose(64, 3, activation="relu", **common),
        layers.Conv2D(1, 3, activation="sigmoid", padding="same", **common),
    )


def blur() -> keras.Model:
    return _model(
        layers.Conv2D(16, 3, **SAME),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(8, 3, **SAME),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(8, 3, **SAME),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(8, 3, **SAME),
        layers.UpSampling2D(2),
        layers.Conv2D(8, 3, **SAME),
        layers.UpSampling2D(2),
        layers.Conv2D(16, 3, activation="relu"),
        layers.UpSampling2D(2),
        layers.Conv2D(1, 3, activation="sigmoid", padding="same"),
    )


def bottleneck() -> keras.Model:
    return _model(
        layers.Conv2D(32, 3, **SAME),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(32, 3, **SAME),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(32, 3, **SAME),
        layers.UpSampling2D(2),
        layers.Conv2D(32, 3, **SAME),
        layers.UpSampling2D(2),
        layers.Conv2D(1, 3, activation="sigmoid", padding="same"),
    )


def deep_bottleneck() -> keras.Model:
    return _model(
        layers.Conv2D(16, 3, **SAME),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(8, 3, **SAME),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(4, 3, **SAME),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(4, 3, **SAME),
        layers.MaxPooling2D(2, padding="same"),
        *(
            layer
            for _ in range(4)
            for layer in (layers.Conv2D(8, 3, **SAME), layers.UpSampling2D(2))
        ),
        layers.Conv2D(8, 5, activation="relu"),
        layers.UpSampling2D(1),
        layers.Conv2D(1, 3, activation="sigmoid", padding="same"),
    )


KERAS: dict[str, tuple[Callable[[], keras.Model], int]] = {
    "conv": (conv, 28_353),
    "dense": (dense, 1_313_616),
    "maxnorm": (maxnorm, 47_425),
    "blur": (blur, 4_385),
    "bottleneck": (bottleneck, 28_353),
    "deep-bottleneck": (deep_bottleneck, 5_489),
}
"""Name of our network to its Keras twin and the parameter count that its source states."""


def to_keras_layout(weight: torch.Tensor) -> NDArray[np.float32]:
    """Torch's (out, in, ...) to Keras's (..., in, out); transposed convolutions fit the same."""
    array: NDArray[np.float32] = weight.detach().numpy()
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def weighted(network: nn.Module) -> list[nn.Module]:
    return [layer for layer in network.modules() if hasattr(layer, "weight")]


def copy_into(model: keras.Model, network: Autoencoder) -> None:
    """Give a Keras model the weights of its twin."""
    ours = [getattr(layer, name) for layer in weighted(network) for name in ("weight", "bias")]
    model.set_weights([to_keras_layout(value) for value in ours])


def largest_difference(model: keras.Model, network: Autoencoder) -> float:
    """Compare all weights."""
    ours = [getattr(layer, name) for layer in weighted(network) for name in ("weight", "bias")]
    theirs = model.get_weights()
    pairs = zip(ours, theirs, strict=True)
    return max(float(np.abs(to_keras_layout(a) - b).max()) for a, b in pairs)
