from __future__ import annotations

import math
from typing import Any, Literal

import pytest
import torch

from autodenoise import nets, runs
from autodenoise.errors import UsageError
from autodenoise.nets.layers import ConvTranspose, clip_kernel_columns


def network(name: str, seed: int = 0, **arguments: Any) -> nets.Autoencoder:
    return nets.build(name, arguments, torch.Generator().manual_seed(seed))


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
    side = 32 if name in ("swift", "unet") else 28
    batch = torch.rand(3, 1, side, side)
    answer = whole(batch)
    torch.testing.assert_close(whole.decoder(whole.encoder(batch)), answer)
    image = torch.sigmoid(answer) if whole.answers == "logits" else answer
    torch.testing.assert_close(image, whole.denoise(batch))


@pytest.mark.parametrize("name", list(nets.NETWORKS))
def test_every_network_trains_in_bfloat16(name: str) -> None:
    whole = network(name).train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    side = 32 if name in ("swift", "unet") else 28
    batch = torch.rand(3, 1, side, side, generator=torch.Generator().manual_seed(1))
    exact = whole.denoise(batch).detach()
    with torch.autocast("cpu", torch.bfloat16):
        answer = whole.denoise(batch)
    answer.float().square().mean().backward()
    # Seven bits of mantissa.
    assert (answer - exact).abs().max() < 0.05 * exact.abs().max()
    assert all(weight.grad is not None for weight in whole.parameters())


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
def test_code_has_the_shape_of_the_tutorial(name: str, shape: tuple[int, ...]) -> None:
    assert network(name).encoder(torch.zeros(2, 1, 28, 28)).shape == (2, *shape)


def test_swift_is_no_larger_than_the_tutorials_network() -> None:
    assert nets.parameter_count(network("swift")) <= 28_353


@pytest.mark.parametrize("name", ["conv", "maxnorm", "bottleneck"])
@pytest.mark.parametrize("seed", [0, 1])
def test_pixels_beyond_the_halo_do_not_change_the_output(name: str, seed: int) -> None:
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


@pytest.mark.parametrize(("preset", "deep"), [("fast", 0), ("balanced", 0), ("fast", 16)])
def test_pixels_beyond_the_halo_do_not_change_the_residual_unet_output(
    preset: str, deep: int
) -> None:
    # In doubles: what is far away counts for little.
    whole = network("unet", preset=preset, deep=deep).double()
    halo = nets.halo(whole)
    assert halo is not None
    with torch.no_grad():
        for weight in whole.parameters():
            weight.uniform_(-1, 1, generator=torch.Generator().manual_seed(2))
    # A high strip, then a wide one, with each row of a size multiple changed.
    step = whole.multiple
    assert step == (16 if deep else 8)
    middle = step * (halo // step + 2)
    tall = torch.rand(1, 1, 2 * middle, step, generator=torch.Generator().manual_seed(1)).double()
    reached = 0
    for image, axis in ((tall, 2), (tall.transpose(2, 3), 3)):
        before = whole(image)
        for offset in range(middle, middle + step):
            changed = image.clone()
            changed.select(axis, offset)[0, 0, 3] += 1
            moved = (whole(changed) != before).nonzero()[:, axis]
            reached = max(reached, int((moved - offset).abs().max()))
    assert reached == halo


@pytest.mark.parametrize(
    ("preset", "millions"), [("fast", 0.42), ("balanced", 1.92), ("best", 5.9)]
)
def test_residual_unets_have_the_documented_sizes(preset: str, millions: float) -> None:
    whole = network("unet", channels=3, preset=preset)
    assert nets.parameter_count(whole) / 1e6 == pytest.approx(millions, abs=0.03)
    assert all("bias" not in name for name, _ in whole.named_parameters())


def test_residual_unet_is_homogeneous_and_starts_near_the_identity() -> None:
    whole = network("unet")
    image = torch.rand(1, 1, 32, 40)
    torch.testing.assert_close(whole(3 * image), 3 * whole(image))
    difference = (whole(image) - image).abs().mean()
    assert 1e-3 < difference < 0.5


@pytest.mark.parametrize(
    ("size", "most"), [("fast", 25_000), ("balanced", 105_000), ("best", 350_000)]
)
@pytest.mark.parametrize("images", ["color", "gray"])
def test_photo_networks_stay_within_their_multiply_adds(size: str, most: int, images: str) -> None:
    summary = runs.describe(f"photo-{size}-{images}").summary
    assert 0.9 * most < summary.multiply_adds / math.prod(summary.layers[0].shape[1:]) <= most


def test_negative_deep_raises() -> None:
    with pytest.raises(UsageError, match="deep is -4; expected feature maps, or 0 for none"):
        network("unet", deep=-4)


def test_unknown_preset_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown preset 'balance'; did you mean 'balanced'"):
        network("unet", preset="balance")


def test_fixed_size_networks_have_no_halo() -> None:
    assert nets.halo(network("blur")) is None


def test_max_norm_scales_long_columns_only() -> None:
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
def test_fast_transposed_convolution_equals_torch(stride: Literal[1, 2]) -> None:
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
