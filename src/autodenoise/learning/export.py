"""A trained network becomes a model file: ONNX with the card inside."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from typing import TYPE_CHECKING

import onnx
import torch
from torch import Tensor, nn

from autodenoise.files import write_bytes
from autodenoise.runtime.card import CARD_KEY, Card

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from autodenoise.nets import Autoencoder

__all__ = ["export"]


class _Denoiser(nn.Module):
    """What is exported: noisy image in, clean image in [0, 1] out."""

    def __init__(self, network: Autoencoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, noisy: Tensor) -> Tensor:
        return self.network.denoise(noisy).clamp(0, 1)


def export(network: Autoencoder, card: Card, path: Path) -> None:
    """Write a model file.

    Parameters
    ----------
    network
        Left as it is.
    card
        Decides the sizes that the file takes: any batch size always; any multiple of
        ``size_multiple`` where ``size`` is None.
    path
        The ``.onnx`` file; written whole or not at all.
    """
    denoiser = _Denoiser(copy.deepcopy(network).cpu().eval())
    batch = torch.export.Dim("batch")
    if card.size is not None:
        height, width = card.size
        dynamic = {0: batch}
    else:
        height = width = 8 * card.size_multiple
        dynamic = {
            0: batch,
            2: card.size_multiple * torch.export.Dim("rows"),
            3: card.size_multiple * torch.export.Dim("columns"),
        }
    example = torch.zeros(2, card.channels, height, width)
    with warnings.catch_warnings(), _quiet("torch.onnx"):
        # The exporter speaks of its own internals, which nobody here can act on.
        warnings.simplefilter("ignore")
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
    onnx.helper.set_model_props(model, {CARD_KEY: card.to_json()})
    content = io.BytesIO()
    onnx.save(model, content)
    write_bytes(path, content.getvalue())


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
