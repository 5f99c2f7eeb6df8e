from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from autodenoise import nets
from autodenoise.data.crops import Batch
from autodenoise.data.spec import Supervision
from autodenoise.nets.tutorials import BottleneckAutoencoder
from autodenoise.training.gradients import Gradients
from autodenoise.training.loop import fit
from autodenoise.training.losses import mean_squared_error
from autodenoise.training.phases import Phase
from tests.helpers.training_runs import (
    OBJECTIVES_AND_DATA,
    RecordingCallback,
    training,
    training_on_crops,
    weights,
)


@pytest.mark.parametrize(("objective", "supervision"), OBJECTIVES_AND_DATA)
def test_accumulated_batches_train_like_whole_ones(
    tmp_path: Path, objective: str, supervision: Supervision
) -> None:
    ends: list[dict[str, Tensor]] = []
    curves: list[float] = []
    for accumulate in (1, 3):
        folder = tmp_path / str(accumulate)
        folder.mkdir()
        # Each epoch ends with a batch of two images, which are fewer than the parts.
        rows = fit(
            training_on_crops(objective, supervision, accumulate), folder, RecordingCallback()
        )
        curves += [value for row in rows for value in (row.loss, row.val_loss)]
        ends.append(weights(folder))
    assert curves[4:] == pytest.approx(curves[:4], rel=1e-5)
    for name, value in ends[0].items():
        torch.testing.assert_close(ends[1][name], value, rtol=0, atol=5e-6)


@pytest.mark.parametrize("objective", ["supervised", "neighbor2neighbor"])
def test_network_sees_one_part_at_a_time(objective: str) -> None:
    seen: list[int] = []

    class Spy(BottleneckAutoencoder):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(len(x))
            return super().forward(x)

    phase = Phase(epochs=1, objective=objective, loss="mse", accumulate=4)
    given = training({"a": phase}, network=Spy(width=4))
    images = torch.rand(10, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    Gradients(given, phase).compute(Batch(images), torch.Generator().manual_seed(1))
    passes = 2 if objective == "neighbor2neighbor" else 1
    assert sorted(seen) == sorted([2, 2, 3, 3] * passes)


def test_gradients_are_those_of_the_mean_over_blind_spots() -> None:
    network = nets.build("bottleneck", {"width": 4}, torch.Generator().manual_seed(0))
    phase = Phase(epochs=1, objective="noise2void", loss="mse", accumulate=3)
    given = training({"a": phase}, network=network)
    noisy = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    gradients = Gradients(given, phase)
    loss = gradients.compute(Batch(noisy=noisy), torch.Generator().manual_seed(1))
    found = [parameter.grad for parameter in network.parameters()]
    task = gradients._objective(network, Batch(noisy=noisy), torch.Generator().manual_seed(1))
    assert task.mask is not None
    assert len(set(task.mask.sum((1, 2, 3)).tolist())) > 1
    whole = mean_squared_error(network, *task)
    torch.testing.assert_close(loss, whole.detach())
    expected = torch.autograd.grad(whole, list(network.parameters()))
    torch.testing.assert_close(found, list(expected))
