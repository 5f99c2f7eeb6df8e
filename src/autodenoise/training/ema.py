"""Exponential moving average of the weights, which is steadier than the weights of single steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

__all__ = ["EMA"]


class EMA:
    """Exponential moving average of a network's weights (Polyak and Juditsky 1992).

    `decay` is the share of the average that a step keeps. In the first steps it is lower, (1 + n) /
    (10 + n), so that the initial weights fade quickly.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self._parameters = dict(network.named_parameters())
        self.weights = {name: weight.detach().clone() for name, weight in self._parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Include the weights after a step."""
        self.steps += 1
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        current: list[Tensor] = [weight.detach() for weight in self._parameters.values()]
        torch._foreach_lerp_(list(self.weights.values()), current, share)

    @torch.no_grad()
    def restore(self, weights: dict[str, Tensor], steps: int) -> None:
        """Continue from a saved average."""
        self.steps = steps
        for name, weight in self.weights.items():
            weight.copy_(weights[name])

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Let the network have the average as its weights inside a ``with`` block."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def copy_to_network(self) -> None:
        """Copy the average to the network."""
        for name, weight in self._parameters.items():
            weight.data.copy_(self.weights[name])

    def _swap(self) -> None:
        for name, weight in self._parameters.items():
            weight.data, self.weights[name] = self.weights[name], weight.data
