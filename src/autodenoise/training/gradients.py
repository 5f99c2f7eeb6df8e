"""The gradients of a step: of one batch, in parts, by one process or several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from autodenoise.training.losses import loss_for
from autodenoise.training.process import has_bfloat16

if TYPE_CHECKING:
    from torch import Tensor, nn

    from autodenoise.data.batch import Batch
    from autodenoise.nets import Autoencoder
    from autodenoise.training.loop import Training
    from autodenoise.training.phases import Phase

__all__ = ["Gradients"]


class Gradients:
    """What a phase's steps go down: the gradients of its mean loss."""

    def __init__(self, training: Training, phase: Phase) -> None:
        self._network, self._processes = training.network, training.world
        self._each, self._device = phase.accumulate, training.device
        self._objective = phase.build_objective(training.noise)
        self._loss = loss_for(phase, training.device)
        halved = phase.precision == "bfloat16" and has_bfloat16(training.device)
        self._autocast = torch.autocast(training.device.type, torch.bfloat16, enabled=halved)

    def find(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Put those of a batch into the network's parameters; give the loss.

        Parameters
        ----------
        batch
            Whole, on every process, which takes its rows of it through the network.
        generator
            Draws what is random for the whole of it, so that each row gets the same however the
            batch is cut.
        """
        parts = self._processes.parts(batch.size, self._each)
        with self._autocast:
            task = self._objective(_InParts(self._network, parts), batch, generator)
        for parameter in self._network.parameters():
            parameter.grad = None
        # Of sums over all that counts; how much that is shows when the last part is through.
        loss, weight = torch.zeros(2, device=self._device).unbind()
        for part in map(task.part, parts):
            with self._autocast:
                mean = self._loss(self._network, *part)
            torch.autograd.backward(mean * part.weight)
            loss += mean.detach() * part.weight
            weight += part.weight
        gradients = [_gradient(parameter) for parameter in self._network.parameters()]
        self._processes.add_up([loss, weight, *gradients])
        torch._foreach_div_(gradients, weight)
        return loss.div_(weight)


class _InParts:
    """A network that an objective can ask, in the parts that this process learns from."""

    def __init__(self, network: Autoencoder, parts: list[slice]) -> None:
        self._network, self._parts = network, parts
        self.multiple = network.multiple

    def denoise(self, x: Tensor) -> Tensor:
        """Give the clean images; zeros for the rows of other processes."""
        clean = torch.zeros_like(x)
        for rows in self._parts:
            clean[rows] = self._network.denoise(x[rows])
        return clean


def _gradient(parameter: nn.Parameter) -> Tensor:
    # A process that has no row of a small batch has none.
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad
