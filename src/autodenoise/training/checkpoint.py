"""What a run needs to go on: one safetensors file, with the numbers beside the tensors as JSON.

Nothing is pickled. Generators need no saving: see `autodenoise.training.randomness`.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from autodenoise.errors import InputError
from autodenoise.files import write_bytes
from autodenoise.training.history import EpochRow

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from autodenoise.training.ema import EMA

__all__ = [
    "State",
    "load_state",
    "load_weights",
    "restore",
    "restore_average",
    "restore_trained",
    "save_state",
    "save_weights",
]


@dataclass
class State:
    """Where a run stands: between two steps.

    Attributes
    ----------
    phase, epoch, step
        Indices of what comes next; `phase` is their number once all are over.
    loss_sum
        The loss so far in this epoch, summed over images.
    seconds
        Time spent in this epoch so far.
    factor
        The share of the peak learning rate that the last step had.
    rows
        The epochs that are done.
    fingerprint
        Of what is trained, see `autodenoise.training.loop`; a checkpoint fits no other.
    """

    phase: int = 0
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    factor: float = 0.0
    rows: list[EpochRow] = field(default_factory=list)
    fingerprint: str = ""


def save_weights(path: Path, network: nn.Module) -> None:
    """Write a network's weights."""
    write_bytes(path, save(_contiguous(network.state_dict())))


def load_weights(path: Path, network: nn.Module) -> None:
    """Read weights into a network.

    Raises
    ------
    InputError
        The file is missing, damaged, or of another network.
    """
    tensors, _ = _open(path)
    _into(path, network, tensors)


def save_state(
    path: Path,
    state: State,
    network: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    average: EMA | None = None,
) -> None:
    """Write everything that the next step depends on."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for number, optimizer in enumerate(optimizers):
        for index, slots in optimizer.state_dict()["state"].items():
            for slot, value in slots.items():
                tensors[f"optimizer.{number}.{index}.{slot}"] = torch.as_tensor(value)
    if average is not None:
        tensors |= {f"average.{name}": value for name, value in average.weights.items()}
        tensors["average_steps"] = torch.tensor(average.steps)
    numbers = {**dataclasses.asdict(state), "rows": [row._asdict() for row in state.rows]}
    content = save(_contiguous(tensors), {"state": json.dumps(numbers)})
    write_bytes(path, content)


def load_state(path: Path) -> tuple[State, dict[str, Tensor]]:
    """Read a state, and the tensors for `restore`.

    Raises
    ------
    InputError
        The file is missing or damaged.
    """
    tensors, metadata = _open(path)
    try:
        values: dict[str, Any] = json.loads(metadata["state"])
        rows = [EpochRow(**row) for row in values.pop("rows")]
        return State(**values, rows=rows), tensors
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is no checkpoint of this version: {error}") from None


def restore(
    path: Path,
    tensors: dict[str, Tensor],
    network: nn.Module,
    optimizers: list[torch.optim.Optimizer],
) -> None:
    """Put the tensors of `load_state` back into a network and its optimisers."""
    _into(path, network, _of_kind("network", tensors))
    slots = _of_kind("optimizer", tensors)
    owned = [
        [weight for group in optimizer.param_groups for weight in group["params"]]
        for optimizer in optimizers
    ]
    saved: list[dict[int, dict[str, Tensor]]] = [{} for _ in optimizers]
    for name, value in slots.items():
        number, index, slot = name.split(".", 2)
        try:
            parameter = owned[int(number)][int(index)]
        except IndexError:
            raise InputError(f"{path} was written with another optimiser") from None
        saved[int(number)].setdefault(int(index), {})[slot] = _laid_out_as(parameter, value)
    for optimizer, state in zip(optimizers, saved, strict=True):
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})


def restore_average(tensors: dict[str, Tensor], average: EMA) -> None:
    """Put the tensors of `load_state` back into an average; a phase begins without."""
    if "average_steps" in tensors:
        average.restore(_of_kind("average", tensors), int(tensors["average_steps"]))


def restore_trained(path: Path, tensors: dict[str, Tensor], network: nn.Module) -> None:
    """Put what was learnt so far into a network that is to be used: the average if there is one."""
    _into(path, network, _of_kind("average", tensors) or _of_kind("network", tensors))


def _of_kind(kind: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{kind}."
    return {
        name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)
    }


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    # safetensors stores plain row-major data; channels-last weights are laid out anew on loading.
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    # Fused optimisers walk a weight and its moments through memory side by side.
    return (
        torch.empty_like(parameter.detach()).copy_(value)
        if value.shape == parameter.shape
        else value
    )


def _open(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise InputError(f"no such checkpoint: {path}")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged: {error}") from None


def _into(path: Path, network: nn.Module, weights: dict[str, Tensor]) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{path} holds the weights of another network: {reason}") from None
