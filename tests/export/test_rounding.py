"""Adaptive rounding of weights."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from autodenoise.export.int8.rounding import round_adaptively, second_moments

if TYPE_CHECKING:
    from numpy.typing import NDArray


def correlated(size: int, draw: np.random.Generator) -> NDArray[np.float32]:
    """Give second moments of values of which most is shared, as of neighbouring pixels."""
    values = draw.normal(size=(50, size)) + 3 * draw.normal(size=(50, 1))
    products: NDArray[np.float32] = (values.T @ values).astype(np.float32)
    return products


def damage(errors: NDArray[np.float32], products: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give the sum of squares by which outputs change, (N,)."""
    exact = errors.astype(np.float64)
    changes: NDArray[np.float64] = np.einsum("nd,de,ne->n", exact, products, exact)
    return changes


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [
        ((3, 3), (1, 1), (1, 1), (1, 1)),
        ((2, 2), (2, 2), (0, 0), (1, 1)),
        ((3, 5), (1, 2), (2, 1), (2, 1)),
        ((1, 1), (1, 1), (0, 0), (1, 1)),
    ],
)
def test_second_moments_predict_the_squared_outputs(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 12, 9, generator=draw)
    weights = torch.randn(4, 3, *kernel, generator=draw)
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    for name, value in (("strides", stride), ("pads", padding * 2), ("dilations", dilation)):
        node.attribute.append(helper.make_attribute(name, value))
    found = second_moments(node, kernel, images.numpy())
    outputs = torch.nn.functional.conv2d(images, weights, None, stride, padding, dilation)
    by_channel = outputs.transpose(0, 1).flatten(1)
    rows = weights.flatten(1).numpy()
    expected = by_channel @ by_channel.T
    np.testing.assert_allclose(rows @ found @ rows.T, expected, rtol=1e-4, atol=1e-3)


@given(seed=st.integers(0, 10**6), size=st.integers(1, 40))
def test_no_change_of_a_single_weight_is_better(seed: int, size: int) -> None:
    draw = np.random.default_rng(seed)
    values = draw.uniform(-126, 126, (3, size)).astype(np.float32)
    products = correlated(size, draw)
    whole = round_adaptively(values, products)
    assert np.isin(whole - np.floor(values), (0, 1)).all()
    least = damage(values - whole, products)
    assert (least <= damage(values - np.rint(values), products) * (1 + 1e-5)).all()
    for place in range(size):
        other = whole.copy()
        other[:, place] = 2 * np.floor(values[:, place]) + 1 - whole[:, place]
        assert (least <= damage(values - other, products) * (1 + 1e-4)).all()


def test_rounding_is_close_to_the_optimum() -> None:
    draw = np.random.default_rng(0)
    values = draw.uniform(-126, 126, (20, 10)).astype(np.float32)
    products = correlated(10, draw)
    choices = np.array(list(product((0, 1), repeat=10)), np.float32)
    best = [damage(row - np.floor(row) - choices, products).min() for row in values]
    found = damage(values - round_adaptively(values, products), products)
    nearest = damage(values - np.rint(values), products)
    assert 4 * np.mean(best) < np.mean(nearest), "there is something to gain"
    assert np.mean(found) < 1.5 * np.mean(best)


def test_weights_with_uncorrelated_inputs_go_to_the_nearest_integer() -> None:
    values = np.random.default_rng(0).uniform(-126, 126, (4, 30)).astype(np.float32)
    np.testing.assert_array_equal(
        round_adaptively(values, np.eye(30, dtype=np.float32)), np.rint(values)
    )
