from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from autodenoise import nets
from autodenoise.data.crops import Batch, ImageCrops
from autodenoise.data.spec import Supervision
from autodenoise.nets.tutorials import BottleneckAutoencoder
from autodenoise.training.gradients import Gradients
from autodenoise.training.loop import fit
from autodenoise.training.losses import mean_squared_error
from autodenoise.training.optimizers import Muon
from autodenoise.training.phases import Phase
from autodenoise.training.schedules import Cosine
from autodenoise.training.state import Training
from tests.training.test_loop import Heard, training, weights

LEARNT: list[tuple[str, Supervision]] = [
    ("supervised", "clean"),
    ("noise2noise", "repeats"),
    ("noise2void", "noisy-only"),
    ("neighbor2neighbor", "noisy-only"),
]


def from_crops(objective: str, supervision: Supervision, accumulate: int = 1) -> Training:
    """Crops so small that not all of them have as many hidden pixels."""
    random = torch.Generator().manual_seed(5)
    versions = 3 if supervision == "repeats" else 1
    scenes = [torch.rand(versions, 1, 19, 22, generator=random) for _ in range(10)]
    phase = Phase(
        epochs=2,
        batch_size=7,
        accumulate=accumulate,
        objective=objective,
        loss="mse",
        optimizer=Muon(),
        schedule=Cosine(),
        clip=0.1,
        ema=0.9,
    )
    watched = torch.rand(3, 1, 8, 8, generator=random)
    return training(
        {"denoise": phase},
        train=ImageCrops(scenes, 8, supervision=supervision),
        validation=Batch(watched if supervision == "clean" else None, watched, watched.flip(0)),
        samples=3 * len(scenes),
    )


@pytest.mark.parametrize(("objective", "supervision"), LEARNT)
def test_a_batch_in_parts_is_learnt_from_as_one_in_a_piece(
    tmp_path: Path, objective: str, supervision: Supervision
) -> None:
    ends: list[dict[str, Tensor]] = []
    curves: list[float] = []
    for accumulate in (1, 3):
        folder = tmp_path / str(accumulate)
        folder.mkdir()
        # Each epoch ends with a batch of two images, which are fewer than the parts.
        rows = fit(from_crops(objective, supervision, accumulate), folder, Heard())
        curves += [value for row in rows for value in (row.loss, row.val_loss)]
        ends.append(weights(folder))
    assert curves[4:] == pytest.approx(curves[:4], rel=1e-5)
    for name, value in ends[0].items():
        torch.testing.assert_close(ends[1][name], value, rtol=0, atol=5e-6)


@pytest.mark.parametrize("objective", ["supervised", "neighbor2neighbor"])
def test_the_network_sees_one_part_at_a_time(objective: str) -> None:
    seen: list[int] = []

    class Watched(BottleneckAutoencoder):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(len(x))
            return super().forward(x)

    phase = Phase(epochs=1, objective=objective, loss="mse", accumulate=4)
    given = training({"a": phase}, network=Watched(width=4))
    images = torch.rand(10, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    Gradients(given, phase).compute(Batch(images), torch.Generator().manual_seed(1))
    passes = 2 if objective == "neighbor2neighbor" else 1
    assert sorted(seen) == sorted([2, 2, 3, 3] * passes)


def test_gradients_are_those_of_the_mean_over_hidden_pixels() -> None:
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
