from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from autodenoise import nets
from autodenoise.errors import UsageError
from autodenoise.training.optimizers import (
    OPTIMIZERS,
    Adadelta,
    AdamW,
    Muon,
    MuonOptimizer,
    set_learning_rate,
)
from autodenoise.training.schedules import Constant, Cosine, OneCycle


@pytest.mark.parametrize("shape", [(16, 40), (40, 16), (12, 3, 3, 3)])
def test_muon_steps_are_nearly_orthogonal(shape: tuple[int, ...]) -> None:
    weight = torch.nn.Parameter(torch.zeros(shape))
    # A gradient in which the strongest direction is a thousand times the weakest.
    rank = min(shape[0], math.prod(shape[1:]))
    left, _, right = torch.linalg.svd(
        torch.randn(shape, generator=torch.Generator().manual_seed(0)).flatten(1),
        full_matrices=False,
    )
    strengths = torch.logspace(0, -2, rank)
    weight.grad = (left * strengths @ right).view(shape)
    MuonOptimizer([weight], lr=1.0, weight_decay=0.0).step()
    step = weight.detach().flatten(1)
    scale = math.sqrt(max(1, step.shape[0] / step.shape[1]))
    lengths = torch.linalg.svdvals(step) / scale
    # The quintic iteration brings singular values into this band and not to 1 exactly.
    assert float(lengths.min()) > 0.5
    assert float(lengths.max()) < 1.3
    assert float((step * weight.grad.flatten(1)).sum()) < 0


def test_muon_trains_hidden_kernels_and_adamw_the_rest() -> None:
    network = nets.build("conv", {}, torch.Generator().manual_seed(0))
    hidden, rest = Muon().build(network)
    shapes = [tuple(weight.shape) for weight in hidden.param_groups[0]["params"]]
    assert shapes == [(32, 32, 3, 3)] * 3
    together = [*hidden.param_groups[0]["params"], *rest.param_groups[0]["params"]]
    assert {id(weight) for weight in together} == {id(weight) for weight in network.parameters()}


def test_muon_without_hidden_kernels_is_adamw() -> None:
    network = nets.build("dense", {"widths": (8,)}, torch.Generator().manual_seed(0))
    (alone,) = Muon().build(network)
    assert isinstance(alone, torch.optim.AdamW)


def test_adamw_equals_torchs() -> None:
    start = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    ours, theirs = torch.nn.Linear(4, 5), torch.nn.Linear(4, 5)
    for layer in (ours, theirs):
        layer.weight.data.copy_(start)
        layer.bias.data.zero_()
    (optimizer,) = AdamW(0.01, weight_decay=0.1).build(ours)
    reference = torch.optim.AdamW(theirs.parameters(), 0.01, weight_decay=0.1, foreach=False)
    for _ in range(3):
        for layer, chosen in ((ours, optimizer), (theirs, reference)):
            chosen.zero_grad()
            layer(torch.ones(2, 4)).square().sum().backward()
            chosen.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_rates_follow_the_schedule_from_the_peak_of_each_group() -> None:
    network = nets.build("conv", {}, torch.Generator().manual_seed(0))
    optimizers = Muon(learning_rate=0.02, adamw_learning_rate=0.006).build(network)
    for factor in (0.5, 0.25, Constant().factor(0.9)):
        set_learning_rate(optimizers, factor)
        rates = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
        assert rates == pytest.approx([0.02 * factor, 0.006 * factor])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Muon(weight_decay=-1),
        lambda: AdamW(weight_decay=-1),
        lambda: Adadelta(rho=2),
        lambda: OneCycle(warmup=1),
        lambda: Cosine(warmup=1),
        lambda: Cosine(floor=-0.1),
    ],
)
def test_invalid_options_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(UsageError, match="expected"):
        make()


@pytest.mark.parametrize("kind", list(OPTIMIZERS))
@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_invalid_learning_rates_are_refused(kind: str, rate: float) -> None:
    with pytest.raises(UsageError, match="learning_rate"):
        OPTIMIZERS[kind](learning_rate=rate)
