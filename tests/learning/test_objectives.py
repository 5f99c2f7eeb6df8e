from __future__ import annotations

import torch
from torch import Tensor

from autodenoise import nets
from autodenoise.learning.objectives import Batch, Supervised
from autodenoise.nets import Autoencoder
from autodenoise.noise import Jpeg


def test_noise_is_drawn_in_full_precision_whatever_the_network_computes_in() -> None:
    clean = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    seen = []

    def loss(network: Autoencoder, noisy: Tensor, clean: Tensor) -> Tensor:
        seen.append(noisy)
        assert network(noisy).dtype == torch.bfloat16
        return noisy.sub(clean).sum()

    network = nets.build("conv", {"channels": 1}, torch.Generator().manual_seed(2))
    objective = Supervised(Jpeg(60.0), loss)
    with torch.autocast("cpu", torch.bfloat16):
        objective(network, Batch(clean), torch.Generator().manual_seed(3))
    expected = Jpeg(60.0)(clean, torch.Generator().manual_seed(3))
    assert torch.equal(seen[0], expected)
