"""What every network here is: an encoder, a decoder, and a contract about sizes."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from autodenoise.nets.layers import glorot_uniform_

__all__ = ["Autoencoder"]


class Autoencoder(nn.Module):
    """An encoder and a decoder; `denoise` gives the image.

    Calling the network gives what it `answers` with: logits, on which cross-entropy is exact at any
    magnitude, or the image itself, which may reach out of [0, 1]. Both take (B, C, H, W) in [0, 1]
    nominally and keep the shape.

    Parameters
    ----------
    channels
        Of the image, in and out.
    encoder, decoder
        Image to code, and code to answer. Each can be called on its own.
    """

    answers: ClassVar[Literal["logits", "image"]] = "logits"
    """What calling it gives."""

    multiple: int | None = None
    """Sides must be multiples of this; None where only the trained size works."""

    black: float = 0.0
    white: float = 1.0
    """What the image's values reach from and to, nominally; losses are told in units of that."""

    arguments: dict[str, Any]
    """The keywords it was made with by `autodenoise.nets.build`."""

    def __init__(self, channels: int, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.channels = channels
        self.encoder = encoder
        self.decoder = decoder
        self.arguments = {}

    def forward(self, x: Tensor) -> Tensor:
        """Give the answer: the clean image, or its logits."""
        answer: Tensor = self.decoder(self.encoder(x))
        return answer

    def denoise(self, x: Tensor) -> Tensor:
        """Give the clean image."""
        answer: Tensor = self(x)
        return torch.sigmoid(answer) if self.answers == "logits" else answer

    def initialize(self, generator: torch.Generator) -> None:
        """Draw the initial weights."""
        glorot_uniform_(self, generator)

    def constrain(self) -> None:
        """Bring the weights back to where they may be; called after every step."""
