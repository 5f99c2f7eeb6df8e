"""Optimizers, as frozen specifications that build them for a network.

``build`` returns a list, because Muon trains only the hidden kernels and AdamW everything else.
Every parameter group stores its peak rate as ``initial_lr``. Before each step, the loop sets ``lr``
to that times the schedule's factor.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from autodenoise.errors import UsageError

__all__ = [
    "OPTIMIZERS",
    "Adadelta",
    "Adam",
    "AdamW",
    "KerasAdam",
    "Muon",
    "MuonOptimizer",
    "Optimizer",
    "set_learning_rate",
]


class KerasAdam(torch.optim.Adam):
    """Adam with the steps of Keras.

    Keras adds epsilon to the root of the *uncorrected* second moment, torch to that of the
    corrected one. The updates are equal if torch's epsilon is divided by the root of the
    correction, ``sqrt(1 - beta2^t)``. This matters for gradients near epsilon in the first steps.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, lr, betas=(0.9, 0.999), eps=1e-7, fused=True)

    # torch annotates step() with overloads that differ between releases.
    def step(self, closure: Any = None) -> Any:
        """Take one step."""
        for group in self.param_groups:
            if "taken" not in group:
                # Restored from a checkpoint, perhaps. Read only once: it may be on a GPU.
                first = self.state.get(group["params"][0])
                group["taken"] = int(first["step"]) if first else 0
            group["taken"] += 1
            group["eps"] = 1e-7 / math.sqrt(1 - group["betas"][1] ** group["taken"])
        return super().step(closure)


class MuonOptimizer(torch.optim.Optimizer):
    """Momentum with orthogonalized updates, which learn all directions of a matrix at once.

    A convolution's kernel is treated as the matrix (first axis, all others).

    References
    ----------
    Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024: Nesterov
    momentum 0.95, five steps of the quintic Newton-Schulz iteration with its coefficients
    (3.4445, -4.7750, 2.0315), and the scale max(1, rows / columns)^0.5.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take one step; `closure` is not used."""
        del closure
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"].lerp_(weight.grad, 0.05)
                update = _orthogonalize(weight.grad.lerp(momentum, 0.95).flatten(1))
                rows, columns = update.shape
                scale = group["lr"] * math.sqrt(max(1, rows / columns))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(update.view_as(weight), alpha=scale)


def _orthogonalize(matrix: Tensor) -> Tensor:
    """Bring all singular values of a matrix close to 1, without computing them."""
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if tall else x


# The valid values of each setting, and what they are.
_POSITIVE = (lambda value: 0 < value < math.inf, "a number above 0")
_SETTINGS: dict[str, tuple[Callable[[float], bool], str]] = {
    "learning_rate": _POSITIVE,
    "adamw_learning_rate": _POSITIVE,
    "weight_decay": (lambda value: 0 <= value < math.inf, "0 or more"),
    "rho": (lambda value: 0 < value < 1, "between 0 and 1"),
}


class _Specification(ABC):
    """What all specifications have in common: checks of their settings, and a description."""

    learning_rate: float
    kind: str

    def __post_init__(self) -> None:
        for name, (is_valid, expected) in _SETTINGS.items():
            value = getattr(self, name, None)
            if value is not None and not is_valid(value):
                raise UsageError(f"{self.kind}: {name} is {value}; expected {expected}")

    def build(self, network: nn.Module) -> list[torch.optim.Optimizer]:
        """Build it for a network."""
        optimizers = self._build(network)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["initial_lr"] = group["lr"]
        return optimizers

    @abstractmethod
    def _build(self, network: nn.Module) -> list[torch.optim.Optimizer]: ...

    def describe(self) -> str:
        """Return its name and learning rate."""
        return f"{type(self).__name__} at learning rate {self.learning_rate:g}"


@dataclass(frozen=True)
class Adam(_Specification):
    """Keras's Adam: beta 0.9 and 0.999, epsilon 1e-7 (Kingma and Ba 2015)."""

    learning_rate: float = 1e-3
    kind: Literal["adam"] = "adam"

    def _build(self, network: nn.Module) -> list[torch.optim.Optimizer]:
        return [KerasAdam(network.parameters(), self.learning_rate)]


@dataclass(frozen=True)
class Adadelta(_Specification):
    """Adadelta with Keras 2's defaults: rate 1, epsilon 1e-7 (Zeiler 2012)."""

    learning_rate: float = 1.0
    rho: float = 0.95
    kind: Literal["adadelta"] = "adadelta"

    def _build(self, network: nn.Module) -> list[torch.optim.Optimizer]:
        rate, weights = self.learning_rate, network.parameters()
        return [torch.optim.Adadelta(weights, rate, self.rho, eps=1e-7)]


@dataclass(frozen=True)
class AdamW(_Specification):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    kind: Literal["adamw"] = "adamw"

    def _build(self, network: nn.Module) -> list[torch.optim.Optimizer]:
        return [_adamw(network.parameters(), self.learning_rate, self.weight_decay)]


@dataclass(frozen=True)
class Muon(_Specification):
    """Muon for the hidden kernels; AdamW for the first and last kernel and the biases.

    Attributes
    ----------
    learning_rate
        Of Muon: the length of a step relative to an orthogonal matrix.
    adamw_learning_rate
        Of AdamW.
    weight_decay
        Share of a weight that a step of length 1 removes.
    """

    learning_rate: float = 0.02
    adamw_learning_rate: float = 8e-3
    weight_decay: float = 0.01
    kind: Literal["muon"] = "muon"

    def _build(self, network: nn.Module) -> list[torch.optim.Optimizer]:
        kernels = [weight for weight in network.parameters() if weight.ndim > 1]
        hidden = kernels[1:-1]
        chosen = {id(weight) for weight in hidden}
        others = [weight for weight in network.parameters() if id(weight) not in chosen]
        adamw = _adamw(others, self.adamw_learning_rate, self.weight_decay)
        if not hidden:
            return [adamw]
        return [MuonOptimizer(hidden, self.learning_rate, self.weight_decay), adamw]

    def describe(self) -> str:
        """Return the names and learning rates."""
        return f"{super().describe()} and AdamW at {self.adamw_learning_rate:g}"


OPTIMIZERS = {"adam": Adam, "adadelta": Adadelta, "adamw": AdamW, "muon": Muon}
"""The optimizer of each ``kind`` in recipes."""

Optimizer = Annotated[Adam | Adadelta | AdamW | Muon, Field(discriminator="kind")]


def set_learning_rate(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Set the rate of every parameter group to `factor` times its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor


def _adamw(parameters: Iterable[nn.Parameter], rate: float, decay: float) -> torch.optim.AdamW:
    return torch.optim.AdamW(parameters, rate, weight_decay=decay, fused=True)
