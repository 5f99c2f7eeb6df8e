from __future__ import annotations

import keras
import numpy as np
import pytest
import torch

from autodenoise import nets
from autodenoise.data.crops import Batch
from autodenoise.noise import Gaussian
from autodenoise.training.losses import binary_cross_entropy
from autodenoise.training.objectives import Supervised
from autodenoise.training.optimizers import Adadelta, Adam
from tests.helpers.keras_networks import KERAS, copy_into, largest_difference, maxnorm

# The tutorial's limit of 2 is seldom touched in five steps; this one always is.
TIGHT = 0.25


def twins(name: str, tight: bool = False) -> tuple[keras.Model, nets.Autoencoder]:
    model = maxnorm(TIGHT) if tight else KERAS[name][0]()
    arguments = {"max_norm": TIGHT} if tight else {}
    network = nets.build(name, arguments, torch.Generator().manual_seed(5))
    # Biases that start at zero would hide a bias in the wrong place.
    with torch.no_grad():
        for index, parameter in enumerate(network.parameters()):
            if parameter.ndim == 1:
                parameter.normal_(0, 0.1, generator=torch.Generator().manual_seed(index))
    copy_into(model, network)
    return model, network


def images(count: int) -> torch.Tensor:
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", list(KERAS))
def test_output_and_parameter_count_equal_keras(name: str) -> None:
    model, network = twins(name)
    assert nets.parameter_count(network) == model.count_params() == KERAS[name][1]
    batch = images(7)
    theirs = model(batch.permute(0, 2, 3, 1).numpy()).detach().numpy()
    ours = network.denoise(batch).permute(0, 2, 3, 1).detach().numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("side", [20, 32])
@pytest.mark.parametrize("name", ["conv", "bottleneck", "maxnorm"])
def test_output_equals_keras_at_other_sizes(name: str, side: int) -> None:
    _, network = twins(name)
    trained = KERAS[name][0]()
    anywhere = keras.Sequential([keras.layers.Input((side, side, 1)), *trained.layers])
    copy_into(anywhere, network)
    batch = torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(2))
    theirs = anywhere(batch.permute(0, 2, 3, 1).numpy()).detach().numpy()
    ours = network.denoise(batch).permute(0, 2, 3, 1).detach().numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "ours", "theirs"),
    [
        ("conv", Adam(), lambda: keras.optimizers.Adam()),
        ("dense", Adam(), lambda: keras.optimizers.Adam()),
        ("maxnorm", Adam(), lambda: keras.optimizers.Adam()),
        ("tight maxnorm", Adam(), lambda: keras.optimizers.Adam()),
        ("deep-bottleneck", Adam(), lambda: keras.optimizers.Adam()),
        (
            "blur",
            Adadelta(),
            lambda: keras.optimizers.Adadelta(learning_rate=1.0, rho=0.95, epsilon=1e-7),
        ),
    ],
)
def test_five_steps_equal_keras(name, ours, theirs) -> None:  # type: ignore[no-untyped-def]
    model, network = twins(name.removeprefix("tight "), name.startswith("tight"))
    model.compile(optimizer=theirs(), loss="binary_crossentropy")
    optimizers = ours.build(network)
    objective = Supervised(Gaussian(0.4))
    generator = torch.Generator().manual_seed(3)
    # Digits are mostly black, which leaves many gradients near Adam's epsilon.
    clean = (images(40) - 0.6).clamp(min=0)
    for step in range(5):
        part = clean[step * 8 : step * 8 + 8]
        noisy = Gaussian(0.4)(part, generator)
        loss = model.train_on_batch(
            noisy.permute(0, 2, 3, 1).numpy(), part.permute(0, 2, 3, 1).numpy()
        )
        own = binary_cross_entropy(network, *objective(network, Batch(part, noisy), generator))
        for optimizer in optimizers:
            optimizer.zero_grad()
        own.backward()
        for optimizer in optimizers:
            optimizer.step()
        network.constrain()
        assert own.item() == pytest.approx(float(loss), abs=1e-4)
        # train_on_batch gives the running mean of the losses since compile
        model.reset_metrics()
    assert largest_difference(model, network) < 1e-4


@pytest.mark.parametrize("name", list(KERAS))
def test_initial_weight_ranges_equal_keras(name: str) -> None:
    model = KERAS[name][0]()
    network = nets.build(name, {}, torch.Generator().manual_seed(0))
    kernels = [weight for weight in network.parameters() if weight.ndim > 1]
    theirs = [weight for weight in model.get_weights() if weight.ndim > 1]
    for own, other in zip(kernels, theirs, strict=True):
        # Both are uniform around 0, so the limit tells the fan-in and fan-out that were taken.
        assert float(own.detach().abs().max()) == pytest.approx(np.abs(other).max(), rel=0.15)
    for bias in network.parameters():
        if bias.ndim == 1:
            assert not bias.any()
