"""The gradients of a step: of one batch, in parts, in one process or several."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autodenoise.data.crops import Batch
from autodenoise.nets import Autoencoder
from autodenoise.training.losses import loss_for
from autodenoise.training.phases import Phase
from autodenoise.training.process import has_bfloat16
from autodenoise.training.state import Training

__all__ = ["Gradients"]


class Gradients:
    """Computes the gradients of a phase's mean loss."""

    def __init__(self, training: Training, phase: Phase) -> None:
        self._network, self._world = training.network, training.world
        self._accumulate, self._device = phase.accumulate, training.device
        self._objective = phase.build_objective(training.noise)
        self._loss = loss_for(phase, training.device)
        bfloat16 = phase.precision == "bfloat16" and has_bfloat16(training.device)
        self._autocast = torch.autocast(training.device.type, torch.bfloat16, enabled=bfloat16)

    def compute(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Set the gradients of the network's parameters to those of a batch; return the loss.

        Every process gets the whole batch and sends its rows through the network. The generator
        draws for the whole batch, so that a row's draws do not depend on how it is divided.
        """
        parts = self._world.parts(batch.size, self._accumulate)
        with self._autocast:
            task = self._objective(_InParts(self._network, parts), batch, generator)
        self._network.zero_grad(set_to_none=True)
        # Sums over all that counts. How much that is, is known after the last part.
        loss, weight = torch.zeros(2, device=self._device).unbind()
        for part in map(task.part, parts):
            with self._autocast:
                mean = self._loss(self._network, *part)
            torch.autograd.backward(mean * part.weight)
            loss += mean.detach() * part.weight
            weight += part.weight
        gradients = [_gradient(parameter) for parameter in self._network.parameters()]
        self._world.all_reduce([loss, weight, *gradients])
        torch._foreach_div_(gradients, weight)
        return loss.div_(weight)


class _InParts:
    """The network for an objective, which runs it on this process's parts of a batch."""

    def __init__(self, network: Autoencoder, parts: list[slice]) -> None:
        self._network, self._parts = network, parts
        self.multiple = network.multiple

    def denoise(self, x: Tensor) -> Tensor:
        """Return denoised images, with zeros in the rows of other processes."""
        clean = torch.zeros_like(x)
        for rows in self._parts:
            clean[rows] = self._network.denoise(x[rows])
        return clean


def _gradient(parameter: nn.Parameter) -> Tensor:
    # A process without a row of a small batch has no gradient.
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad
