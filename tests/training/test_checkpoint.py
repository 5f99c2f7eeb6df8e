from __future__ import annotations

from pathlib import Path

import pytest
import torch

from autodenoise import nets
from autodenoise.errors import InputError
from autodenoise.training.checkpoint import (
    load_state,
    load_weights,
    restore,
    save_state,
    save_weights,
)
from autodenoise.training.optimizers import Adam, Muon
from autodenoise.training.state import TrainingState


def test_damaged_checkpoints_raise_input_error(tmp_path: Path) -> None:
    network = nets.build("conv", {}, torch.Generator().manual_seed(0))
    path = tmp_path / "checkpoint.safetensors"
    save_state(path, TrainingState(), network, Adam().build(network))
    whole = path.read_bytes()
    for damaged in (b"", whole[:100], whole[:-10], b"\0" * 100):
        path.write_bytes(damaged)
        with pytest.raises(InputError):
            load_state(path)
    both = Muon().build(network)
    network(torch.rand(2, 1, 28, 28)).square().mean().backward()
    for optimizer in both:
        optimizer.step()
    save_state(path, TrainingState(), network, both)
    _, tensors = load_state(path)
    with pytest.raises(InputError, match="another optimizer"):
        restore(path, tensors, network, Adam().build(network))
    save_weights(path, network)
    with pytest.raises(InputError, match="not a checkpoint"):
        load_state(path)
    other = nets.build("blur", {}, torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match="another network"):
        load_weights(path, other)
    with pytest.raises(InputError, match="no such checkpoint"):
        load_weights(tmp_path / "none", network)


def test_optimizer_state_survives_a_round_trip(tmp_path: Path) -> None:
    network = nets.build("conv", {}, torch.Generator().manual_seed(0))
    optimizers = Muon().build(network)
    network(torch.rand(2, 1, 28, 28)).square().mean().backward()
    for optimizer in optimizers:
        optimizer.step()
    path = tmp_path / "checkpoint.safetensors"
    save_state(path, TrainingState(phase=1, step=4, loss_sum=0.1), network, optimizers)
    state, tensors = load_state(path)
    assert (state.phase, state.step, state.loss_sum) == (1, 4, 0.1)
    fresh = nets.build("conv", {}, torch.Generator().manual_seed(1))
    again = Muon().build(fresh)
    restore(path, tensors, fresh, again)
    for one, other in zip(optimizers, again, strict=True):
        for a, b in zip(one.state.values(), other.state.values(), strict=True):
            assert a.keys() == b.keys()
            assert all(torch.equal(a[slot], b[slot]) for slot in a)
