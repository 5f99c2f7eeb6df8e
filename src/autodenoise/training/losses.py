"""Training losses."""

from __future__ import annotations

import warnings
from typing import Protocol, cast

import torch
from torch import Tensor
from torch.nn import functional

from autodenoise.nets import Autoencoder
from autodenoise.training.phases import Phase

__all__ = [
    "LOSSES",
    "Loss",
    "binary_cross_entropy",
    "charbonnier",
    "loss_for",
    "mean_absolute_error",
    "mean_squared_error",
]


class Loss(Protocol):
    """Mean difference between a network's output for `x` and the `target`, both (B, C, H, W).

    `mask` is True where values count; None: everywhere. Differences are in units of the network's
    intensity range, so dim images have the same loss as bright ones.
    """

    def __call__(
        self, network: Autoencoder, x: Tensor, target: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Return the mean."""


def binary_cross_entropy(
    network: Autoencoder, x: Tensor, target: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Cross-entropy in nats, with the denoised image as the probability of each gray value.

    For networks whose output is logits: an image outside [0, 1] is not a probability.
    """
    if mask is None:
        return functional.binary_cross_entropy_with_logits(network(x), target)
    each = functional.binary_cross_entropy_with_logits(network(x), target, reduction="none")
    return _mean(each, mask)


def mean_squared_error(
    network: Autoencoder, x: Tensor, target: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Mean squared error of the denoised image."""
    return _mean(_error(network, x, target).square(), mask)


def mean_absolute_error(
    network: Autoencoder, x: Tensor, target: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Mean absolute error of the denoised image."""
    return _mean(_error(network, x, target).abs(), mask)


def charbonnier(
    network: Autoencoder, x: Tensor, target: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Mean of sqrt(d^2 + 0.001^2): the absolute error d, smoothed near 0.

    References
    ----------
    Charbonnier, Blanc-Feraud, Aubert, Barlaud, "Two deterministic half-quadratic regularization
    algorithms for computed imaging", ICIP 1994.
    """
    return _mean((_error(network, x, target).square() + 1e-6).sqrt(), mask)


LOSSES: dict[str, Loss] = {
    "bce": binary_cross_entropy,
    "mse": mean_squared_error,
    "l1": mean_absolute_error,
    "charbonnier": charbonnier,
}
"""The loss of each name in recipes."""


def loss_for(phase: Phase, device: torch.device) -> Loss:
    """Return a phase's loss. On a GPU in bfloat16, it is compiled together with the network.

    If compiling fails, as without a C compiler, it warns and continues uncompiled.
    """
    loss = LOSSES[phase.loss]
    if device.type != "cuda" or phase.precision != "bfloat16":
        return loss
    from torch._dynamo.exc import BackendCompilerFailed  # takes seconds

    current = cast("Loss", torch.compile(loss))

    def compiled_or_not(
        network: Autoencoder, x: Tensor, target: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        nonlocal current
        try:
            return current(network, x, target, mask)
        except BackendCompilerFailed as error:
            reason = str(error.inner_exception).partition("\n")[0]
            warnings.warn(f"training continues uncompiled, and slower: {reason}", stacklevel=2)
            current = loss
            return current(network, x, target, mask)

    return compiled_or_not


def _error(network: Autoencoder, x: Tensor, target: Tensor) -> Tensor:
    return (network.denoise(x) - target) / (network.white - network.black)


def _mean(errors: Tensor, mask: Tensor | None) -> Tensor:
    # Not errors[mask]: its size depends on the data, which cannot be compiled.
    return errors.mean() if mask is None else (errors * mask).sum() / mask.sum()
