"""How far a network's answer is from what it should have been."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Protocol, cast

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
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
    """How far a network's answer to what it is `given` is from the `target`, on average.

    `where` is True at the values that count; None: all do. Images are taken in units of the
    network's span from black to white, so that dim pictures have the loss of bright ones.
    """

    def __call__(
        self, network: Autoencoder, given: Tensor, target: Tensor, where: Tensor | None = None
    ) -> Tensor:
        """Give the mean."""
        ...


def binary_cross_entropy(
    network: Autoencoder, given: Tensor, target: Tensor, where: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy in nats of the denoised image as probabilities of the grey values.

    For networks that answer with logits: an image that reaches out of [0, 1] is no probability.
    """
    if where is None:
        return functional.binary_cross_entropy_with_logits(network(given), target)
    each = functional.binary_cross_entropy_with_logits(network(given), target, reduction="none")
    return _mean(each, where)


def mean_squared_error(
    network: Autoencoder, given: Tensor, target: Tensor, where: Tensor | None = None
) -> Tensor:
    """Mean squared error of the denoised image."""
    return _mean(_error(network, given, target).square(), where)


def mean_absolute_error(
    network: Autoencoder, given: Tensor, target: Tensor, where: Tensor | None = None
) -> Tensor:
    """Mean absolute error of the denoised image."""
    return _mean(_error(network, given, target).abs(), where)


def charbonnier(
    network: Autoencoder, given: Tensor, target: Tensor, where: Tensor | None = None
) -> Tensor:
    """Mean of sqrt(d^2 + 0.001^2): the absolute error d, smooth where it is small.

    References
    ----------
    Charbonnier, Blanc-Feraud, Aubert, Barlaud, "Two deterministic half-quadratic regularization
    algorithms for computed imaging", ICIP 1994.
    """
    return _mean((_error(network, given, target).square() + 1e-6).sqrt(), where)


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
    return _compiled(loss)


def _compiled(loss: Loss) -> Loss:
    """Compile a loss; where that fails, as without a C compiler, it is said and done without."""
    from torch._dynamo.exc import BackendCompilerFailed  # takes seconds

    current = cast("Loss", torch.compile(loss))

    def computed(
        network: Autoencoder, given: Tensor, target: Tensor, where: Tensor | None = None
    ) -> Tensor:
        nonlocal current
        try:
            return current(network, given, target, where)
        except BackendCompilerFailed as error:
            reason = str(error.inner_exception).partition("\n")[0]
            warnings.warn(f"training goes on uncompiled, and slower: {reason}", stacklevel=2)
            current = loss
            return current(network, given, target, where)

    return computed


def _error(network: Autoencoder, given: Tensor, target: Tensor) -> Tensor:
    return (network.denoise(given) - target) / (network.white - network.black)


def _mean(errors: Tensor, where: Tensor | None) -> Tensor:
    # Not errors[where], whose size is only known when it is done: that would not compile.
    return errors.mean() if where is None else (errors * where).sum() / where.sum()
