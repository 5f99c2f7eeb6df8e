"""Networks to model files: ONNX with the card inside."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import Tensor, nn

from autodenoise.export.footprint import bytes_per_pixel
from autodenoise.files import replacing
from autodenoise.nets import Autoencoder, minimum_side
from autodenoise.runtime import CARD_KEY, Card, Model

__all__ = ["export", "write_model"]


class _Denoiser(nn.Module):
    """The exported module: noisy images in, clean images in [0, 1] out."""

    def __init__(self, network: Autoencoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, noisy: Tensor) -> Tensor:
        return self.network.denoise(noisy).clamp(0, 1)


def export(network: Autoencoder, card: Card, path: Path) -> None:
    """Write a network, which is not changed, as a model file.

    It accepts any batch size and, if the card's ``size`` is None, any multiple of
    ``size_multiple``. See `write_model` for the rest.
    """
    denoiser = _Denoiser(copy.deepcopy(network).cpu().eval())
    batch = torch.export.Dim("batch")
    if card.size is not None:
        height, width = card.size
        dynamic = {0: batch}
    else:
        # Large enough for unpadded kernels, which lose pixels at the border.
        usual = -(-64 // card.size_multiple) * card.size_multiple
        height = width = max(usual, minimum_side(denoiser.network))
        dynamic = {
            0: batch,
            2: card.size_multiple * torch.export.Dim("rows"),
            3: card.size_multiple * torch.export.Dim("columns"),
        }
    example = torch.zeros(2, card.channels, height, width)
    logger = logging.getLogger("torch.onnx")
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        # The exporter warns about its own internals.
        warnings.simplefilter("ignore")
        stack.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.ERROR)
        program = torch.onnx.export(
            denoiser,
            (example,),
            dynamo=True,
            dynamic_shapes=(dynamic,),
            input_names=["noisy"],
            output_names=["clean"],
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    # Remove the source locations of this machine.
    for part in (model.graph, *model.graph.node, *model.graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    write_model(model, card, (height, width), path)


def write_model(model: ModelProto, card: Card, size: tuple[int, int], path: Path) -> None:
    """Write a network and its card as a model file, atomically, if tiles will be invisible.

    The card's ``bytes_per_pixel`` is computed here, at a (height, width) that the network accepts.
    The card replaces the model's metadata. Raise OutputError if the file cannot be written,
    RuntimeError if the network violates the card's halo or size multiple.
    """
    card = dataclasses.replace(card, bytes_per_pixel=bytes_per_pixel(model, *size))
    onnx.helper.set_model_props(model, {CARD_KEY: card.to_json()})
    with replacing(path) as temporary:
        onnx.save(model, temporary)
        _check_tiles(Model(temporary), min(size))


def _check_tiles(model: Model, width: int) -> None:
    """Check that part of an image is denoised as within the whole, except for the halo."""
    card = model.card
    if card.halo is None:
        return
    step = card.size_multiple
    # Just long enough that some rows remain.
    sides = 2 * -(-card.halo // step) * step + 4 * step, width
    tall = np.random.default_rng(0).random((1, *sides, card.channels), np.float32)
    for axis, image in ((1, tall), (2, tall.swapaxes(1, 2))):
        whole, part = model.batch(image), model.batch(_inner(image, axis, step))
        expected, actual = _inner(whole, axis, step + card.halo), _inner(part, axis, card.halo)
        if not np.allclose(actual, expected, atol=1e-4, equal_nan=True):
            raise RuntimeError(
                f"{card.network} violates its halo of {card.halo} pixels or its size multiple of "
                f"{step}: part of an image is denoised differently from the whole"
            )


def _inner(images: NDArray[np.float32], axis: int, border: int) -> NDArray[np.float32]:
    return images.take(range(border, images.shape[axis] - border), axis)
