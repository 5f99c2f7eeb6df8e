from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import correlate

from autodenoise.errors import UsageError
from autodenoise.noise import Measured
from autodenoise.noise.measured import LagMap

WHITE: LagMap = ((1.0,),)
APART: LagMap = ((0.0,),)


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gray(level: float, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.full(shape, level)


def as_map(lags: NDArray[np.float64]) -> LagMap:
    return tuple(tuple(map(float, row)) for row in lags)


def correlations(filters: NDArray[np.float64]) -> tuple[LagMap, ...]:
    """Give the correlations of white noise that went through (channels, sources, h, w) filters."""
    channels = len(filters)
    norms = np.sqrt(np.square(filters).sum((1, 2, 3)))
    maps = []
    for one, other in itertools.combinations_with_replacement(range(channels), 2):
        products = [correlate(b, a) for a, b in zip(filters[one], filters[other], strict=True)]
        lags = sum(products) / (norms[one] * norms[other])
        if one == other:
            lags = (lags + lags[::-1, ::-1]) / 2
            lags[tuple(side // 2 for side in lags.shape)] = 1
        maps.append(as_map(np.clip(lags, -1, 1)))
    return tuple(maps)


@pytest.mark.parametrize("level", [-0.2, 0.0, 0.1, 0.35, 0.5, 0.8, 1.2])
def test_variance_is_interpolated_between_means(level: float) -> None:
    noise = Measured((0.1, 0.5, 0.9), ((0.02, 0.06, 0.03),), (WHITE,))
    drawn = noise(gray(level, (4, 1, 200, 200)), draw()).double() - level
    expected = np.interp(level, noise.means, np.square(noise.sigmas[0]))
    assert float(drawn.mean()) == pytest.approx(0, abs=1e-3)
    assert float(drawn.square().mean()) == pytest.approx(expected, rel=0.02)


def test_two_means_define_shot_and_read_noise_exactly() -> None:
    gain, read = 0.01, 0.02
    noise = Measured((0.0, 1.0), ((read, (gain + read**2) ** 0.5),), (WHITE,))
    for level in (0.0, 0.2, 0.7):
        drawn = noise(gray(level, (4, 1, 200, 200)), draw()) - level
        assert float(drawn.var()) == pytest.approx(gain * level + read**2, rel=0.02)


@settings(max_examples=15)
@given(
    channels=st.integers(1, 3),
    radius=st.integers(0, 2),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_correlations_hold_up_to_the_borders(
    channels: int, radius: int, height: int, width: int, seed: int
) -> None:
    side = 2 * radius + 1
    filters = np.random.default_rng(seed).normal(size=(channels, channels, side, side))
    maps = correlations(filters)
    noise = Measured((0.0,), ((0.1,),) * channels, maps)
    count = 6000
    drawn = noise(gray(0.5, (count, channels, height, width)), draw(seed)).double().numpy() - 0.5
    # Every pair of values of an image, whatever their places.
    values = drawn.reshape(count, -1) / 0.1
    found = values.T @ values / count
    rows, columns = np.mgrid[:height, :width]
    place = np.stack(
        [
            np.broadcast_to(axis, (channels, height, width)).ravel()
            for axis in (np.arange(channels)[:, None, None], rows, columns)
        ]
    )
    pairs = itertools.combinations_with_replacement(range(channels), 2)
    which = dict(zip(pairs, maps, strict=True))
    reach = len(maps[0]) // 2
    expected = np.zeros_like(found)
    for (i, (c, y, x)), (j, (d, v, u)) in itertools.product(enumerate(place.T), repeat=2):
        down, across = (v - y, u - x) if c <= d else (y - v, x - u)
        if max(abs(down), abs(across)) <= reach:
            expected[i, j] = which[min(c, d), max(c, d)][reach + down][reach + across]
    assert np.abs(found - expected).max() < 6 * np.sqrt(2 / count)


def test_independent_noise_equals_gaussian_noise() -> None:
    noise = Measured((0.0,), ((0.1,),), (WHITE,))
    clean = gray(0.5, (2, 3, 20, 20))
    drawn = (noise(clean, draw(3)) - clean) / 0.1
    torch.testing.assert_close(drawn, torch.empty_like(clean).normal_(generator=draw(3)))


def test_range_of_scales_is_drawn_for_each_image() -> None:
    noise = Measured((0.0,), ((0.1,),), (WHITE,), scale=(0.5, 2.0))
    strengths = (noise(gray(0.5, (300, 1, 40, 40)), draw()) - 0.5).flatten(1).std(1)
    assert 0.045 < float(strengths.min()) < 0.06
    assert 0.19 < float(strengths.max()) < 0.21
    assert float(strengths.mean()) == pytest.approx(0.125, rel=0.05)


def test_clips_if_clip_is_set() -> None:
    free, clipped = (
        Measured((0.0,), ((0.3,),), (WHITE,), clip=clip)(gray(0.9, (1, 1, 50, 50)), draw())
        for clip in (False, True)
    )
    assert float(free.max()) > 1
    assert torch.equal(clipped, free.clamp(0, 1))


def test_gray_image_gets_the_luma_of_three_channels() -> None:
    luma, sigmas = np.array([0.299, 0.587, 0.114]), np.array([0.1, 0.05, 0.2])
    alike = np.array([[1, 0.6, 0.3], [0.6, 1, 0.2], [0.3, 0.2, 1]])
    maps = tuple(((float(alike[pair]),),) for pair in zip(*np.triu_indices(3), strict=True))
    noise = Measured((0.0,), tuple((float(sigma),) for sigma in sigmas), maps)
    drawn = noise(gray(0.5, (4, 1, 200, 200)), draw()) - 0.5
    expected = (luma * sigmas) @ alike @ (luma * sigmas)
    assert float(drawn.var()) == pytest.approx(expected, rel=0.02)


def test_noise_of_one_channel_is_drawn_for_each_channel() -> None:
    lags = as_map(np.array([[0.0, 0.2, 0.0], [0.3, 1.0, 0.3], [0.0, 0.2, 0.0]]))
    drawn = Measured((0.0,), ((0.1,),), (lags,))(gray(0.5, (20, 3, 60, 60)), draw()) - 0.5
    found = np.corrcoef(drawn.transpose(0, 1).flatten(1).numpy())
    np.testing.assert_allclose(found, np.eye(3), atol=0.02)
    beside = float((drawn[..., 1:] * drawn[..., :-1]).mean()) / 0.01
    assert beside == pytest.approx(0.3, abs=0.02)
    with pytest.raises(UsageError, match="measured in 2 channels; the images have 3"):
        Measured((0.0,), ((0.1,),) * 2, (WHITE, APART, WHITE))(gray(0.5, (1, 3, 8, 8)), draw())


def test_impossible_correlations_preserve_the_strength() -> None:
    # No noise correlates by 0.9 with all four neighbours and not at all with the next.
    lags = as_map(np.array([[0.0, 0.9, 0.0], [0.9, 1.0, 0.9], [0.0, 0.9, 0.0]]))
    drawn = Measured((0.0,), ((0.1,),), (lags,))(gray(0.5, (20, 1, 80, 80)), draw()) - 0.5
    assert float(drawn.std()) == pytest.approx(0.1, rel=0.03)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Measured((), ((),), (WHITE,)), "expected increasing numbers"),
        (lambda: Measured((0.5, 0.5), ((0.1, 0.1),), (WHITE,)), "expected increasing numbers"),
        (lambda: Measured((float("nan"),), ((0.1,),), (WHITE,)), "expected increasing numbers"),
        (lambda: Measured((0.0, 1.0), ((0.1,),), (WHITE,)), "expected 2 numbers of at least 0"),
        (lambda: Measured((0.0,), ((-0.1,),), (WHITE,)), "expected 1 numbers of at least 0"),
        (lambda: Measured((0.0,), (), ()), "sigmas are empty"),
        (lambda: Measured((0.0,), ((0.1,),) * 2, (WHITE,)), "has 1 maps; expected 3"),
        (lambda: Measured((0.0,), ((0.1,),), (((1.0, 0.1),),)), "squares of one odd side"),
        (lambda: Measured((0.0,), ((0.1,),), (((0.9,),),)), "not 1 in the middle"),
        (
            lambda: Measured((0.0,), ((0.1,),) * 2, (WHITE, ((1.5,),), WHITE)),
            "not between -1 and 1",
        ),
        (lambda: Measured((0.0,), ((0.1,),), (WHITE,), scale=-1.0), "expected a number"),
    ],
)
def test_invalid_measurements_raise(make: Callable[[], Measured], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()
