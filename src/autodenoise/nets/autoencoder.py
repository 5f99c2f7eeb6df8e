"""What every network here is: an encoder, a decoder, and a contract about sizes."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from autodenoise.nets.layers import glorot_uniform_

__all__ = ["Autoencoder"]


class Autoencoder(nn.Module):
    """An encoder and a decoder, trained on logits and used on images.

    Calling the network gives logits, on which cross-entropy is exact at any magnitude; `denoise`
    gives the image. Both take (B, C, H, W) in [0, 1] nominally and keep the shape.

    Parameters
    ----------
    encoder, decoder
        Image to code, and code to logits. Each can be called on its own.
    """

    multiple: ClassVar[int | None] = None
    """Sides must be multiples of this; None where only the trained size works."""

    arguments: dict[str, Any]
    """The keywords it was made with by `autodenoise.nets.build`."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.arguments = {}

    def forward(self, x: Tensor) -> Tensor:
        """Give the logits of the clean image."""
        logits: Tensor = self.decoder(self.encoder(x))
        return logits

    def denoise(self, x: Tensor) -> Tensor:
        """Give the clean image, in (0, 1)."""
        return torch.sigmoid(self(x))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the initial weights."""
        glorot_uniform_(self, generator)

    def constrain(self) -> None:
        """Bring the weights back to where they may be; called after every step."""
