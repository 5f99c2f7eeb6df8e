"""Checkpoints: one safetensors file with all tensors, and the training state as JSON in its header.

Nothing is pickled. Files that are missing, damaged, or from another network raise `InputError`.
Random generators are not saved; see `autodenoise.training.randomness`.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from autodenoise.errors import InputError
from autodenoise.files import write_bytes
from autodenoise.training.ema import EMA
from autodenoise.training.history import EpochRow
from autodenoise.training.state import TrainingState

__all__ = ["load_state", "load_trained", "load_weights", "restore", "save_state", "save_weights"]

# Prefixes of the tensors' names. Those of the EMA date from when it was called the average.
_NETWORK, _OPTIMIZER, _EMA = "network.", "optimizer.", "average."
_EMA_STEPS = "average_steps"


def save_weights(path: Path, network: nn.Module) -> None:
    """Write a network's weights."""
    write_bytes(path, save(_contiguous(network.state_dict())))


def load_weights(path: Path, network: nn.Module) -> None:
    """Load weights that `save_weights` wrote into a network."""
    _load_into(path, network, _read(path)[0])


def save_state(
    path: Path,
    state: TrainingState,
    network: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    ema: EMA | None = None,
) -> None:
    """Write everything that the next step depends on."""
    tensors = {f"{_NETWORK}{name}": value for name, value in network.state_dict().items()}
    for number, optimizer in enumerate(optimizers):
        for index, slots in optimizer.state_dict()["state"].items():
            for slot, value in slots.items():
                tensors[f"{_OPTIMIZER}{number}.{index}.{slot}"] = torch.as_tensor(value)
    if ema is not None:
        tensors |= {f"{_EMA}{name}": value for name, value in ema.weights.items()}
        tensors[_EMA_STEPS] = torch.tensor(ema.steps)
    numbers = {**dataclasses.asdict(state), "rows": [row._asdict() for row in state.rows]}
    write_bytes(path, save(_contiguous(tensors), {"state": json.dumps(numbers)}))


def load_state(path: Path) -> tuple[TrainingState, dict[str, Tensor]]:
    """Load a training state, and the tensors for `restore`."""
    tensors, metadata = _read(path)
    try:
        values: dict[str, Any] = json.loads(metadata["state"])
        rows = [EpochRow(**row) for row in values.pop("rows")]
        return TrainingState(**values, rows=rows), tensors
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a checkpoint of this version: {error}") from None


def restore(
    path: Path,
    tensors: dict[str, Tensor],
    network: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    ema: EMA | None = None,
) -> None:
    """Load the tensors of `load_state` into a network, its optimizers and its EMA."""
    _load_into(path, network, _with_prefix(_NETWORK, tensors))
    parameters = [
        [weight for group in optimizer.param_groups for weight in group["params"]]
        for optimizer in optimizers
    ]
    saved: list[dict[int, dict[str, Tensor]]] = [{} for _ in optimizers]
    for name, value in _with_prefix(_OPTIMIZER, tensors).items():
        number, index, slot = name.split(".", 2)
        try:
            parameter = parameters[int(number)][int(index)]
        except IndexError:
            raise InputError(f"{path} was written with another optimizer") from None
        saved[int(number)].setdefault(int(index), {})[slot] = _laid_out_as(parameter, value)
    for optimizer, state in zip(optimizers, saved, strict=True):
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    if ema is not None and _EMA_STEPS in tensors:
        ema.restore(_with_prefix(_EMA, tensors), int(tensors[_EMA_STEPS]))
    elif ema is not None:  # the phase begins
        ema.restore(dict(network.named_parameters()), 0)


def load_trained(path: Path, network: nn.Module) -> None:
    """Load the weights of a checkpoint into a network: the EMA if there is one."""
    tensors, _ = _read(path)
    weights = _with_prefix(_EMA, tensors) or _with_prefix(_NETWORK, tensors)
    _load_into(path, network, weights)


def _with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    named = [(name, value) for name, value in tensors.items() if name.startswith(prefix)]
    return {name.removeprefix(prefix): value for name, value in named}


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    # safetensors stores row-major data; loading into channels-last weights converts it back.
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    # Fused optimizers walk through a weight and its moments in the same memory order.
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter.detach()).copy_(value)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise InputError(f"no such checkpoint: {path}")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged: {error}") from None


def _load_into(path: Path, network: nn.Module, weights: dict[str, Tensor]) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{path} has the weights of another network: {reason}") from None
