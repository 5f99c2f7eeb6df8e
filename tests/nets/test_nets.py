from __future__ import annotations

from typing import Literal

import pytest
import torch

from autodenoise import nets
from autodenoise.nets.layers import ConvTranspose, clip_kernel_columns


def network(name: str, seed: int = 0) -> nets.Autoencoder:
    return nets.build(name, {}, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", list(nets.NETWORKS))
def test_weights_come_from_the_generator_alone(name: str) -> None:
    before = torch.get_rng_state()
    one, same, other = network(name), network(name), network(name, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    pairs = list(zip(one.parameters(), same.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert any(not torch.equal(a, c) for a, _, c in pairs)


@pytest.mark.parametrize("name", list(nets.NETWORKS))
def test_encoder_and_decoder_make_the_network(name: str) -> None:
    whole = network(name)
    batch = torch.rand(3, 1, 32, 32) if name == "swift" else torch.rand(3, 1, 28, 28)
    code = whole.encoder(batch)
    torch.testing.assert_close(whole.decoder(code), whole(batch))
    torch.testing.assert_close(torch.sigmoid(whole(batch)), whole.denoise(batch))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("conv", (32, 7, 7)),
        ("dense", (64,)),
        ("blur", (8, 4, 4)),
        ("bottleneck", (32, 7, 7)),
        ("deep-bottleneck", (4, 2, 2)),
    ],
)
def test_the_code_has_the_tutorials_shape(name: str, shape: tuple[int, ...]) -> None:
    assert network(name).encoder(torch.zeros(2, 1, 28, 28)).shape == (2, *shape)


def test_swift_is_no_larger_than_the_tutorials_network() -> None:
    assert nets.parameter_count(network("swift")) <= 28_353


@pytest.mark.parametrize("name", ["conv", "maxnorm", "bottleneck"])
@pytest.mark.parametrize("seed", [0, 1])
def test_nothing_beyond_the_halo_changes_an_output(name: str, seed: int) -> None:
    whole = network(name, seed)
    halo, multiple = nets.halo(whole), whole.multiple
    assert halo is not None
    assert multiple is not None
    side = 16 * multiple
    image = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(seed))
    reached = 0
    for offset in range(side // 2, side // 2 + multiple):
        changed = image.clone()
        changed[0, 0, offset, offset] += 100
        moved = (whole(changed) - whole(image))[0, 0].abs() > 1e-4
        reached = max(reached, int((moved.nonzero() - offset).abs().max()))
    # Random weights cannot reach further; they may hide a little of what could.
    assert reached <= halo <= reached + 2


def test_networks_of_one_size_have_no_halo() -> None:
    assert nets.halo(network("blur")) is None


def test_max_norm_bounds_the_columns_and_leaves_short_ones_alone() -> None:
    whole = network("maxnorm")
    first = whole.encoder.get_submodule("0")
    weight = first.get_parameter("weight")
    with torch.no_grad():
        weight[0] = 5.0
        weight[1] = 0.25
    clip_kernel_columns(whole, 2.0)
    norms = weight.square().sum(2).sqrt()
    torch.testing.assert_close(norms[0], torch.full_like(norms[0], 2.0))
    torch.testing.assert_close(weight[1], torch.full_like(weight[1], 0.25))


@pytest.mark.parametrize("stride", [1, 2])
def test_the_fast_transposed_convolution_equals_torchs(stride: Literal[1, 2]) -> None:
    layer = ConvTranspose(5, 4, stride=stride)
    results = []
    for training in (True, False):
        layer.train(training).zero_grad()
        x = torch.rand(3, 5, 6, 7, generator=torch.Generator().manual_seed(0)).requires_grad_()
        y = layer(x)
        y.square().sum().backward()
        gradients = [weight.grad for weight in (layer.weight, layer.bias, x) if weight is not None]
        results.append([y, *[gradient for gradient in gradients if gradient is not None]])
    assert len(results[0]) == 4
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain)
