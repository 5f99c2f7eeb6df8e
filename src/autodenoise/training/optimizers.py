"""Optimisers, as frozen specifications that build them for a network, and learning-rate schedules.

An optimiser specification's ``build`` gives a list: Muon steps the matrices and leaves the rest to
AdamW beside it. Every parameter group remembers its peak rate as ``initial_lr``; the loop sets
``lr`` to that times the schedule's factor before each step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from pydantic import Field

from autodenoise.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "Adadelta",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "KerasAdam",
    "Muon",
    "MuonOptimizer",
    "OneCycle",
    "Optimizer",
    "Schedule",
    "set_learning_rate",
]


class KerasAdam(torch.optim.Adam):
    """Adam as Keras steps it.

    Keras adds epsilon to the root of the *uncorrected* second moment, torch to that of the
    corrected one. They are the same update once torch's epsilon is divided by the correction's
    root, ``sqrt(1 - beta2^t)``, which matters for gradients near epsilon in the first steps.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, lr, betas=(0.9, 0.999), eps=1e-7, fused=True)

    # torch annotates step() with overloads that differ between releases.
    def step(self, closure: Any = None) -> Any:
        """Take one step."""
        for group in self.param_groups:
            if "taken" not in group:
                # Of a checkpoint, perhaps. Read once: on a GPU it lies there and costs a wait.
                first = self.state.get(group["params"][0])
                group["taken"] = int(first["step"]) if first else 0
            group["taken"] += 1
            group["eps"] = 1e-7 / math.sqrt(1 - group["betas"][1] ** group["taken"])
        return super().step(closure)


class MuonOptimizer(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised: every direction of a weight matrix learns at once.

    A convolution's kernel is taken as the matrix (first axis, all others).

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
                update = _orthogonalise(weight.grad.lerp(momentum, 0.95).flatten(1))
                rows, columns = update.shape
                scale = group["lr"] * math.sqrt(max(1, rows / columns))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(update.view_as(weight), alpha=scale)


def _orthogonalise(matrix: Tensor) -> Tensor:
    """Bring all singular values of a matrix near 1, without computing them."""
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if tall else x


def _positive(kind: str, **values: float) -> None:
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise UsageError(f"{kind}: {name} is {value}; expected a number above 0")


def _decay(kind: str, value: float) -> None:
    if not (value >= 0 and math.isfinite(value)):
        raise UsageError(f"{kind}: weight_decay is {value}; expected 0 or more")


@dataclass(frozen=True)
class Adam:
    """Keras's Adam: beta 0.9 and 0.999, epsilon 1e-7 (Kingma and Ba 2015)."""

    learning_rate: float = 1e-3
    kind: Literal["adam"] = "adam"

    def __post_init__(self) -> None:
        _positive(self.kind, learning_rate=self.learning_rate)

    def build(self, network: nn.Module) -> list[torch.optim.Optimizer]:
        """Make it for all parameters of a network."""
        return _with_peak(KerasAdam(network.parameters(), self.learning_rate))


@dataclass(frozen=True)
class Adadelta:
    """Adadelta with Keras 2's defaults: rate 1, epsilon 1e-7 (Zeiler 2012)."""

    learning_rate: float = 1.0
    rho: float = 0.95
    kind: Literal["adadelta"] = "adadelta"

    def __post_init__(self) -> None:
        _positive(self.kind, learning_rate=self.learning_rate)
        if not 0 < self.rho < 1:
            raise UsageError(f"{self.kind}: rho is {self.rho}; expected between 0 and 1")

    def build(self, network: nn.Module) -> list[torch.optim.Optimizer]:
        """Make it for all parameters of a network."""
        return _with_peak(
            torch.optim.Adadelta(network.parameters(), self.learning_rate, self.rho, eps=1e-7)
        )


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    kind: Literal["adamw"] = "adamw"

    def __post_init__(self) -> None:
        _positive(self.kind, learning_rate=self.learning_rate)
        _decay(self.kind, self.weight_decay)

    def build(self, network: nn.Module) -> list[torch.optim.Optimizer]:
        """Make it for all parameters of a network."""
        return _with_peak(_adamw(network.parameters(), self.learning_rate, self.weight_decay))


@dataclass(frozen=True)
class Muon:
    """Muon for the hidden kernels; AdamW at its own rate for the first, the last and the biases.

    Attributes
    ----------
    learning_rate
        Of the hidden kernels: the length of a step relative to an orthogonal matrix.
    adamw_learning_rate
        Of everything else.
    weight_decay
        What share of a weight each step of length 1 takes off.
    """

    learning_rate: float = 0.02
    adamw_learning_rate: float = 8e-3
    weight_decay: float = 0.01
    kind: Literal["muon"] = "muon"

    def __post_init__(self) -> None:
        _positive(
            self.kind,
            learning_rate=self.learning_rate,
            adamw_learning_rate=self.adamw_learning_rate,
        )
        _decay(self.kind, self.weight_decay)

    def build(self, network: nn.Module) -> list[torch.optim.Optimizer]:
        """Make both for a network."""
        kernels = [weight for weight in network.parameters() if weight.ndim > 1]
        hidden = kernels[1:-1]
        chosen = {id(weight) for weight in hidden}
        rest = [weight for weight in network.parameters() if id(weight) not in chosen]
        beside = _adamw(rest, self.adamw_learning_rate, self.weight_decay)
        if not hidden:
            return _with_peak(beside)
        return _with_peak(MuonOptimizer(hidden, self.learning_rate, self.weight_decay), beside)


def _adamw(parameters: Iterable[nn.Parameter], rate: float, decay: float) -> torch.optim.AdamW:
    return torch.optim.AdamW(parameters, rate, weight_decay=decay, fused=True)


def _with_peak(*optimizers: torch.optim.Optimizer) -> list[torch.optim.Optimizer]:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return list(optimizers)


def set_learning_rate(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Set every group's rate to `factor` times its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor


@dataclass(frozen=True)
class Constant:
    """The peak rate throughout."""

    kind: Literal["constant"] = "constant"

    def factor(self, done: float) -> float:
        """Give the share of the peak rate when a share `done` of the phase is over."""
        del done
        return 1.0


@dataclass(frozen=True)
class OneCycle:
    """From 1/25 up to the peak over the share `warmup`, then down to 0, both along a cosine.

    References
    ----------
    Smith and Topin, "Super-convergence", 2019, with fastai's cosine in place of straight lines.
    """

    warmup: float = 0.3
    kind: Literal["one-cycle"] = "one-cycle"

    def __post_init__(self) -> None:
        if not 0 < self.warmup < 1:
            raise UsageError(f"one-cycle: warmup is {self.warmup}; expected between 0 and 1")

    def factor(self, done: float) -> float:
        """Give the share of the peak rate when a share `done` of the phase is over."""
        if done < self.warmup:
            return 0.04 + 0.96 * (1 - math.cos(math.pi * done / self.warmup)) / 2
        return (1 + math.cos(math.pi * (done - self.warmup) / (1 - self.warmup))) / 2


@dataclass(frozen=True)
class Cosine:
    """From 0 straight up to the peak over the share `warmup`, then a cosine down to `floor` of it.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.
    """

    warmup: float = 0.02
    floor: float = 0.0
    kind: Literal["cosine"] = "cosine"

    def __post_init__(self) -> None:
        for name in ("warmup", "floor"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise UsageError(f"cosine: {name} is {value}; expected 0 or more, below 1")

    def factor(self, done: float) -> float:
        """Give the share of the peak rate when a share `done` of the phase is over."""
        if done < self.warmup:
            return done / self.warmup
        fallen = (1 - math.cos(math.pi * (done - self.warmup) / (1 - self.warmup))) / 2
        return 1 - (1 - self.floor) * fallen


OPTIMIZERS = {"adam": Adam, "adadelta": Adadelta, "adamw": AdamW, "muon": Muon}
"""The optimisers by the name that recipes write in ``kind``."""

SCHEDULES = {"constant": Constant, "cosine": Cosine, "one-cycle": OneCycle}
"""The schedules by the name that recipes write in ``kind``."""

Optimizer = Annotated[Adam | Adadelta | AdamW | Muon, Field(discriminator="kind")]
Schedule = Annotated[Constant | Cosine | OneCycle, Field(discriminator="kind")]
