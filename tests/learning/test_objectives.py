from __future__ import annotations

import torch

from autodenoise import nets
from autodenoise.learning.objectives import Batch, Supervised
from autodenoise.noise import Jpeg


def test_noise_is_drawn_in_full_precision_whatever_the_network_computes_in() -> None:
    clean = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    network = nets.build("conv", {"channels": 1}, torch.Generator().manual_seed(2))
    objective = Supervised(Jpeg(60.0))
    with torch.autocast("cpu", torch.bfloat16):
        task = objective(network, Batch(clean), torch.Generator().manual_seed(3))
        assert network(task.given).dtype == torch.bfloat16
    expected = Jpeg(60.0)(clean, torch.Generator().manual_seed(3))
    assert torch.equal(task.given, expected)
    assert task.target is clean
