from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import correlate2d

from autodenoise.noise_estimation.autocorrelation import (
    REACH,
    Autocorrelation,
    Direction,
    of_flat_areas,
    of_residual,
    of_shots,
)
from tests.helpers.scenes import Images, along_rows, photos, smooth_scenes, white


def smoothed(shape: tuple[int, ...]) -> Images:
    noise = np.asarray(gaussian_filter(white(shape), (0, 0.7, 0.7, 0)))
    scaled: Images = (noise / noise.std()).astype(np.float32)
    return scaled


def turned(noise: Images) -> Images:
    return noise.transpose(0, 2, 1, 3)


KINDS: list[tuple[str, Direction | None]] = [
    ("white", None),
    ("rows", "rows"),
    ("columns", "columns"),
    ("lines", "rows"),
    ("smoothed", "all"),
]


def lines(shape: tuple[int, ...]) -> Images:
    both = white((*shape[:2], 1, shape[3]), 3) + white(shape)
    scaled: Images = (np.sqrt(0.5) * both).astype(np.float32)
    return scaled


def draw(kind: str, shape: tuple[int, ...]) -> Images:
    match kind:
        case "rows":
            return along_rows(shape, 0.4)
        case "columns":
            return turned(along_rows(shape, 0.2))
        case "lines":
            return lines(shape)
        case "smoothed":
            return smoothed(shape)
    return white(shape)


def judged(found: Autocorrelation | None) -> tuple[Direction | None, bool]:
    assert found is not None
    return found.direction, found.certain


@pytest.mark.parametrize("sigma", [10, 25])
@pytest.mark.parametrize(("kind", "direction"), KINDS)
def test_noise_on_photos(real_data: Path, kind: str, direction: Direction, sigma: int) -> None:
    clean = photos(real_data, 20)
    noisy = clean + sigma / 255 * draw(kind, clean.shape)
    assert judged(of_flat_areas(noisy)) == (direction, True)


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize(("kind", "direction"), KINDS)
def test_noise_that_depends_on_brightness(kind: str, direction: Direction, clip: bool) -> None:
    clean = smooth_scenes(8)
    noisy = clean + np.sqrt(clean / 60 + 0.02**2) * draw(kind, clean.shape)
    if clip:
        noisy = np.round(255 * noisy.clip(0, 1)) / 255
    found = of_flat_areas(noisy.astype(np.float32))
    assert found is not None
    assert found.direction == direction


@pytest.mark.parametrize(("kind", "direction"), KINDS)
def test_shots(kind: str, direction: Direction) -> None:
    clean = smooth_scenes(4, 96)
    first = clean + 0.1 * draw(kind, clean.shape)
    assert judged(of_shots(first, clean)) == (direction, True)


def test_map_equals_the_autocorrelation() -> None:
    noise = along_rows((3, 40, 50, 1), 0.5)
    found = of_shots(noise, np.zeros_like(noise))
    assert found is not None
    lags = np.array(found.map)
    planes = (noise - noise.mean((1, 2), keepdims=True))[..., 0].astype(np.float64)
    products = sum(correlate2d(plane, plane) for plane in planes)
    counts = correlate2d(np.ones((40, 50)), np.ones((40, 50)))
    means = products / counts
    middle = means[39 - REACH : 40 + REACH, 49 - REACH : 50 + REACH] / means[39, 49]
    np.testing.assert_allclose(lags, middle, atol=1e-4)
    # An autoregressive process forgets by half from pixel to pixel.
    np.testing.assert_allclose(lags[REACH, REACH:][:4], 0.5 ** np.arange(4), atol=0.06)
    with pytest.warns(DeprecationWarning, match="use description"):
        assert found.verdict == found.description
    assert found.description == f"is correlated along rows ({found.correlation:.2f} at 1 px)"
    assert (found.down, found.across) == (0, 1)


def test_texture_makes_the_result_uncertain() -> None:
    # Squares of texture of all strengths, everywhere, and faint white noise.
    random = np.random.default_rng(0)
    grain = gaussian_filter(random.standard_normal((1, 256, 256, 1)), (0, 1, 1, 0))
    strength = np.kron(random.uniform(0.05, 0.5, (1, 16, 16, 1)), np.ones((1, 16, 16, 1)))
    textured = 0.5 + strength * grain + 0.01 * white(grain.shape)
    found = of_flat_areas(textured.astype(np.float32))
    assert found is not None
    assert found.direction == "all"
    assert not found.certain
    assert found.description.endswith("unless that is image texture")


def test_correlated_residual_is_detected() -> None:
    clean = smooth_scenes(4, 96)
    noisy = clean + 0.1 * white(clean.shape)
    averaged = gaussian_filter(noisy, (0, 0.5, 0.5, 0))
    found = of_residual(noisy, averaged)
    assert found is not None
    assert min(map(min, found.map)) < -0.15
    assert found.direction is None
    # A strong blur takes edges with it.
    found = of_residual(noisy, gaussian_filter(noisy, (0, 6, 6, 0)))
    assert found is not None
    assert found.direction == "all"
    assert found.correlation > 0.1


def test_too_few_patches_return_none() -> None:
    assert of_flat_areas(white((5, 28, 28, 1))) is None
    assert of_flat_areas(np.zeros((2, 64, 64, 1), np.float32)) is None
    same = white((2, 16, 16, 1))
    assert of_shots(same, same) is None
    assert of_residual(white((9, 6, 40, 1)), np.zeros((9, 6, 40, 1), np.float32)) is None
