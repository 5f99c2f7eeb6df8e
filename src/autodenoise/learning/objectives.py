"""What is minimised: an objective owns its corruption, calls the network and gives the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from autodenoise.learning.phases import Phase
    from autodenoise.nets import Autoencoder
    from autodenoise.noise import Noise

__all__ = [
    "LOSSES",
    "OBJECTIVES",
    "Batch",
    "Loss",
    "Objective",
    "Reconstruction",
    "Supervised",
    "binary_cross_entropy",
    "charbonnier",
    "loss_for",
    "mean_absolute_error",
    "mean_squared_error",
]


class Batch(NamedTuple):
    """Clean images (B, C, H, W), and their noisy versions where those are drawn once for all."""

    clean: Tensor
    noisy: Tensor | None = None


class Objective(Protocol):
    """What the loop minimises."""

    def __call__(self, network: Autoencoder, batch: Batch, generator: torch.Generator) -> Tensor:
        """Give the mean loss of a batch."""
        ...


Loss = Callable[["Autoencoder", "Tensor", "Tensor"], "Tensor"]
"""``loss(network, noisy, clean) -> mean``."""


def binary_cross_entropy(network: Autoencoder, noisy: Tensor, clean: Tensor) -> Tensor:
    """Mean cross-entropy in nats of the denoised image as probabilities of the grey values.

    For networks that answer with logits: an image that reaches out of [0, 1] is no probability.
    """
    return functional.binary_cross_entropy_with_logits(network(noisy), clean)


def mean_squared_error(network: Autoencoder, noisy: Tensor, clean: Tensor) -> Tensor:
    """Mean squared error of the denoised image."""
    return functional.mse_loss(network.denoise(noisy), clean)


def mean_absolute_error(network: Autoencoder, noisy: Tensor, clean: Tensor) -> Tensor:
    """Mean absolute error of the denoised image."""
    return functional.l1_loss(network.denoise(noisy), clean)


def charbonnier(network: Autoencoder, noisy: Tensor, clean: Tensor) -> Tensor:
    """Mean of sqrt(d^2 + 0.001^2): the absolute error d, smooth where it is small.

    References
    ----------
    Charbonnier, Blanc-Feraud, Aubert, Barlaud, "Two deterministic half-quadratic regularization
    algorithms for computed imaging", ICIP 1994.
    """
    error = network.denoise(noisy) - clean
    return (error.square() + 1e-6).sqrt().mean()


LOSSES: dict[str, Loss] = {
    "bce": binary_cross_entropy,
    "mse": mean_squared_error,
    "l1": mean_absolute_error,
    "charbonnier": charbonnier,
}
"""The losses by the name that recipes write."""


def loss_for(phase: Phase, device: torch.device) -> Loss:
    """Give a phase's loss: on a GPU in bfloat16 compiled, and with it the network that it calls."""
    loss = LOSSES[phase.loss]
    if device.type != "cuda" or phase.precision != "bfloat16":
        return loss
    return cast("Loss", torch.compile(loss))


@dataclass(frozen=True)
class Supervised:
    """Noisy to clean (Vincent et al., "Extracting and composing robust features", ICML 2008)."""

    noise: Noise
    loss: Loss

    def __call__(self, network: Autoencoder, batch: Batch, generator: torch.Generator) -> Tensor:
        """See `Objective`. Draws fresh noise unless the batch brings its own."""
        noisy = batch.noisy
        if noisy is None:
            # A network may work in bfloat16, but in it JPEG's quantisation would be another.
            with torch.autocast(batch.clean.device.type, enabled=False):
                noisy = self.noise(batch.clean, generator)
        return self.loss(network, noisy, batch.clean)


@dataclass(frozen=True)
class Reconstruction:
    """Clean to clean: a plain autoencoder."""

    noise: Noise
    loss: Loss

    def __call__(self, network: Autoencoder, batch: Batch, generator: torch.Generator) -> Tensor:
        """See `Objective`. The noise stays unused."""
        del generator
        return self.loss(network, batch.clean, batch.clean)


OBJECTIVES: dict[str, type[Supervised] | type[Reconstruction]] = {
    "supervised": Supervised,
    "reconstruction": Reconstruction,
}
"""The objectives by the name that recipes write."""
