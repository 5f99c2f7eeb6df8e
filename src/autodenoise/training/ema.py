"""A moving average of a network's weights: steadier than any of the steps that it is made of."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

__all__ = ["EMA"]


class EMA:
    """The exponential moving average of a network's weights (Polyak and Juditsky 1992).

    Parameters
    ----------
    network
        Its weights as they are now are the average's first.
    decay
        The share of the past that a step keeps. Less in the first steps, (1 + n) / (10 + n), so
        that the initial weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self._live = dict(network.named_parameters())
        self.weights = {name: weight.detach().clone() for name, weight in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        live: list[Tensor] = [weight.detach() for weight in self._live.values()]
        torch._foreach_lerp_(list(self.weights.values()), live, share)

    @torch.no_grad()
    def restore(self, weights: dict[str, Tensor], steps: int) -> None:
        """Go on from an average that was saved."""
        self.steps = steps
        for name, weight in self.weights.items():
            weight.copy_(weights[name])

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Put the average into the network for a while."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def settle(self) -> None:
        """Put the average into the network for good."""
        for name, weight in self._live.items():
            weight.data.copy_(self.weights[name])

    def _swap(self) -> None:
        for name, weight in self._live.items():
            weight.data, self.weights[name] = self.weights[name], weight.data
