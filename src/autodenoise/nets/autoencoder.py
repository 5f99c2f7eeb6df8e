"""The base class of all networks: an encoder, a decoder, and what the images must be like."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from autodenoise.nets.layers import glorot_uniform_

__all__ = ["Autoencoder"]


class Autoencoder(nn.Module):
    """An encoder and a decoder; `denoise` returns the image.

    Calling the network returns logits, on which cross-entropy is exact at any magnitude, or the
    image itself, which may exceed [0, 1]; see `answers`. Both take (B, C, H, W), nominally in
    [0, 1], and keep the shape. The encoder and the decoder can be called separately.
    """

    answers: ClassVar[Literal["logits", "image"]] = "logits"
    """What calling the network returns."""

    multiple: int | None = None
    """Sides must be multiples of this; None if only the trained size works."""

    black: float = 0.0
    white: float = 1.0
    """Nominal values of black and white; losses are in units of their difference."""

    arguments: dict[str, Any]
    """Keyword arguments that `autodenoise.nets.build` was called with."""

    def __init__(self, channels: int, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.channels = channels
        self.encoder = encoder
        self.decoder = decoder
        self.arguments = {}

    def forward(self, x: Tensor) -> Tensor:
        """Return the clean image or its logits."""
        output: Tensor = self.decoder(self.encoder(x))
        return output

    def denoise(self, x: Tensor) -> Tensor:
        """Return the clean image."""
        output: Tensor = self(x)
        return torch.sigmoid(output) if self.answers == "logits" else output

    def initialize(self, generator: torch.Generator) -> None:
        """Draw the initial weights."""
        glorot_uniform_(self, generator)

    def constrain(self) -> None:
        """Enforce constraints on the weights; called after every step."""
