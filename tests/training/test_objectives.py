from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from autodenoise import nets
from autodenoise.data.crops import Batch, ImageCrops
from autodenoise.errors import UsageError
from autodenoise.noise import Gaussian, Jpeg, Noise, Poisson
from autodenoise.training.loop import fit
from autodenoise.training.losses import mean_squared_error
from autodenoise.training.objectives import (
    OBJECTIVES,
    Neighbor2Neighbor,
    Noise2Noise,
    Noise2Void,
    Recorrupted,
    Supervised,
)
from autodenoise.training.objectives.neighbor2neighbor import draw_pairs, subsample
from autodenoise.training.objectives.noise2void import (
    draw_blind_spots,
    replace_blind_spots,
    spot_mask,
)
from autodenoise.training.optimizers import Muon
from autodenoise.training.phases import Phase
from autodenoise.training.schedules import Cosine
from autodenoise.training.state import Training
from autodenoise.training.validation import draw_repeats
from tests.helpers.training_runs import RecordingCallback


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def places(count: int, channels: int, height: int, width: int) -> Tensor:
    """Return images whose values are the index of each pixel, in every channel."""
    ramp = torch.arange(height * width, dtype=torch.float32).view(1, 1, height, width)
    return ramp.expand(count, channels, -1, -1).clone()


def test_noise_is_drawn_in_float32_under_autocast() -> None:
    clean = torch.rand(2, 1, 32, 32, generator=draw(1))
    network = nets.build("conv", {"channels": 1}, draw(2))
    with torch.autocast("cpu", torch.bfloat16):
        task = Supervised(Jpeg(60.0))(network, Batch(clean), draw(3))
        assert network(task.input).dtype == torch.bfloat16
    assert torch.equal(task.input, Jpeg(60.0)(clean, draw(3)))
    assert task.target is clean


def test_noise2noise_uses_repeats_or_draws_them() -> None:
    network = nets.build("conv", {"channels": 1}, draw(0))
    clean, one, other = torch.rand(3, 2, 1, 16, 16, generator=draw(1))
    objective = Noise2Noise(Gaussian(0.1))
    assert objective(network, Batch(None, one, other), draw(2)) == (one, other, None)
    given, target, where = objective(network, Batch(clean), draw(2))
    assert where is None
    assert (given - clean).std() == pytest.approx(0.1, rel=0.15)
    correlation = np.corrcoef((given - clean).ravel(), (target - clean).ravel())[0, 1]
    assert abs(correlation) < 0.15


@pytest.mark.parametrize("noise", [Gaussian(0.1), Poisson(60.0)])
def test_recorrupted_noises_are_uncorrelated(noise: Noise) -> None:
    network = nets.build("conv", {"channels": 1}, draw(0))
    clean = torch.full((4, 1, 200, 200), 0.6)
    noisy = noise(clean, draw(1))
    given, target, _ = Recorrupted(noise)(network, Batch(noisy=noisy), draw(2))
    variance = float((noisy - clean).var())
    one, other = given - clean, target - clean
    assert float(one.mean()) == pytest.approx(0, abs=0.002)
    assert float(one.var()) == pytest.approx(1.25 * variance, rel=0.02)
    assert float(other.var()) == pytest.approx(5 * variance, rel=0.02)
    assert abs(np.corrcoef(one.numpy().ravel(), other.numpy().ravel())[0, 1]) < 0.01


# --- Neighbor2Neighbor ----------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.integers(2, 21), st.integers(2, 21), st.integers(1, 3), st.integers(0, 99))
def test_subsample_takes_two_adjacent_pixels_of_each_cell(
    height: int, width: int, channels: int, seed: int
) -> None:
    images = places(2, channels, height, width)
    one, other = subsample(images, draw_pairs(images, draw(seed)))
    assert one.shape == other.shape == (2, channels, height // 2, width // 2)
    squares = torch.cartesian_prod(torch.arange(height // 2), torch.arange(width // 2))
    for taken in (one, other):
        assert (taken == taken[:, :1]).all()  # all channels of a pixel together
        rows, columns = (taken[:, 0] // width).flatten(1), (taken[:, 0] % width).flatten(1)
        assert (rows // 2 == squares[:, 0]).all()
        assert (columns // 2 == squares[:, 1]).all()
    apart = (one - other).abs()
    assert ((apart == 1) | (apart == width)).all()


def test_all_eight_pairs_are_equally_likely() -> None:
    images = places(1, 1, 2, 2).expand(8000, -1, -1, -1)
    one, other = subsample(images, draw_pairs(images, draw(0)))
    pairs = (4 * one + other).flatten().long()
    counts = torch.bincount(pairs, minlength=16)
    assert (counts > 0).sum() == 8
    assert counts[counts > 0].min() > 850
    assert counts.max() < 1150


def test_neighbor2neighbor_has_the_gradient_of_equation_12() -> None:
    network = nets.build("unet", {"channels": 1}, draw(0))
    noisy = torch.rand(2, 1, 32, 32, generator=draw(1))
    task = Neighbor2Neighbor(Gaussian(0.0), weight=2.0)(network, Batch(noisy=noisy), draw(2))
    (3 * mean_squared_error(network, *task)).backward()
    weights = list(network.parameters())
    ours = [weight.grad.clone() for weight in weights if weight.grad is not None]

    cells = draw_pairs(noisy, draw(2))
    first, second = subsample(noisy, cells)
    with torch.no_grad():
        first_of_whole, second_of_whole = subsample(network(noisy), cells)
    difference = network(first) - second
    regularizer = difference - (first_of_whole - second_of_whole)
    loss = difference.square().mean() + 2.0 * regularizer.square().mean()
    expected_gradients = torch.autograd.grad(loss, weights)
    assert len(ours) == len(expected_gradients)
    for own, expected in zip(ours, expected_gradients, strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-6)


def test_neighbor2neighbor_crops_to_sizes_that_the_network_accepts() -> None:
    network = nets.build("unet", {"channels": 1}, draw(0))
    noisy = torch.rand(1, 1, 40, 72, generator=draw(1))
    task = Neighbor2Neighbor(Gaussian(0.0))(network, Batch(noisy=noisy), draw(2))
    assert task.input.shape == task.target.shape == (1, 1, 16, 32)


# --- Noise2Void -----------------------------------------------------------------------------------


@settings(max_examples=30)
@given(
    st.integers(3, 40),
    st.integers(3, 40),
    st.sampled_from(["random", "median"]),
    st.sampled_from([None, "rows", "columns"]),
    st.integers(0, 99),
)
def test_only_blind_spots_and_their_lines_are_replaced(
    height: int, width: int, fill: Any, lines: Any, seed: int
) -> None:
    noisy = torch.rand(2, 2, height, width, generator=draw(seed))
    before = noisy.clone()
    spots = draw_blind_spots(noisy, draw(seed))
    hidden = replace_blind_spots(noisy, spots, fill, lines, draw(seed))
    where = spot_mask(noisy, spots)
    assert torch.equal(noisy, before)
    assert where.shape == noisy.shape
    allowed = where
    if lines is not None:
        window = (1, 11) if lines == "rows" else (11, 1)
        pool = torch.nn.MaxPool2d(window, stride=1, padding=(window[0] // 2, window[1] // 2))
        allowed = pool(where.float()) > 0
    assert torch.equal(hidden[~allowed], noisy[~allowed])
    changed = (hidden != noisy) & where
    # A value drawn from nearby is another number than the one that it replaces.
    assert changed.sum() >= (where.sum() * (0.9 if fill == "random" else 0.7)).floor()


def test_one_pixel_in_36_is_hidden() -> None:
    noisy = torch.rand(8, 1, 96, 96, generator=draw(0))
    where = spot_mask(noisy, draw_blind_spots(noisy, draw(1)))
    assert where.float().mean() == pytest.approx(1 / 36, rel=0.02)
    assert (where.sum((1, 2, 3)) == where[0].sum()).all()  # so parts of a batch weigh alike


def test_median_is_that_of_the_24_surrounding_pixels() -> None:
    noisy = torch.rand(1, 1, 40, 30, generator=draw(0))
    spots = draw_blind_spots(noisy, draw(1))
    hidden = replace_blind_spots(noisy, spots, "median", None, draw(2))
    ring = np.ones((5, 5), bool)
    ring[2, 2] = False
    # torch's median of an even number is the lower of the two in the middle.
    expected = ndimage.rank_filter(noisy[0, 0].numpy(), 11, footprint=ring, mode="mirror")
    where = spot_mask(noisy, spots)[0, 0].numpy()
    where[[0, 1, -2, -1]] = where[:, [0, 1, -2, -1]] = False  # fewer than 24 lie around these
    np.testing.assert_array_equal(hidden[0, 0].numpy()[where], expected[where])


@pytest.mark.parametrize(("lines", "axis"), [("rows", 0), ("columns", 1)])
@pytest.mark.parametrize("fill", ["random", "median"])
def test_lines_are_replaced_from_outside_the_line(lines: Any, axis: int, fill: Any) -> None:
    noisy = places(1, 1, 60, 60)
    spots = draw_blind_spots(noisy, draw(1))
    hidden = replace_blind_spots(noisy, spots, fill, lines, draw(2))
    rows, columns = spots[0].unbind(1)
    taken = hidden[0, 0, rows, columns].long()
    came_from = (taken // 60, taken % 60)[axis]
    assert (came_from != (rows, columns)[axis]).all()


def test_noise2void_loss_counts_only_hidden_pixels() -> None:
    network = nets.build("unet", {"residual": False}, draw(0))
    noisy = torch.rand(2, 1, 32, 32, generator=draw(1))
    given, target, where = Noise2Void(Gaussian(0.0), "median")(network, Batch(noisy=noisy), draw(2))
    assert where is not None
    assert target is noisy
    loss = mean_squared_error(network, given, target, where)
    expected = (network(given) - noisy)[where].square().mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    elsewhere = torch.where(where, target, target + 5)
    assert mean_squared_error(network, given, elsewhere, where).item() == loss.item()


# --- training -------------------------------------------------------------------------------------


def smooth(count: int, side: int, seed: int) -> Tensor:
    values = torch.rand(count, 1, side // 8, side // 8, generator=draw(seed))
    return torch.nn.functional.interpolate(values, (side, side), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize(
    ("objective", "shots", "most"),
    [
        ("supervised", None, 0.3),
        ("noise2noise", 2, 0.3),
        ("recorrupted", 1, 0.4),
        ("neighbor2neighbor", 1, 0.65),
        ("noise2void", 1, 0.45),
        ("noise2void2", 1, 0.35),
    ],
)
def test_each_objective_learns_to_denoise(
    tmp_path: Path, objective: str, shots: int | None, most: float
) -> None:
    """After 120 steps, at most this share of the noise's energy is left on other images."""
    noise = Gaussian(0.1)
    samples = list(smooth(12, 64, 0)[:, None])
    if shots is not None:
        samples = list(draw_repeats(noise, samples, shots, 1))
    crops = ImageCrops(
        samples,
        32,
        supervision="clean" if shots is None else "noisy-only" if shots == 1 else "repeats",
    )
    blind = objective.startswith("noise2void")
    phase = Phase(
        epochs=1,
        batch_size=8,
        objective=objective,
        loss="mse",
        optimizer=Muon(0.006, 2e-3),
        schedule=Cosine(),
    )
    training = Training(
        network=nets.build("unet", {"residual": not blind}, draw(5)),
        phases={"denoise": phase},
        noise=noise,
        train=crops,
        validation=Batch(smooth(6, 64, 9)),
        validation_split="validation",
        noisy_validation=True,
        samples=80 * len(crops),
        seed=0,
        device=torch.device("cpu"),
    )
    (row,) = fit(training, tmp_path, RecordingCallback())
    assert row.val_loss < most * 0.1**2


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_objectives_describe_themselves_in_one_sentence(name: str) -> None:
    sentence = Phase(epochs=1, objective=name).build_objective(Gaussian(0.1)).describe()
    assert sentence.startswith("Learns to ")
    assert sentence.count(".") == 1
    assert sentence.endswith(".")


def test_unknown_objectives_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'noise2noise'"):
        Phase(epochs=1, objective="noise2noize")
