from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from scipy.ndimage import fourier_shift
from skimage.data import astronaut
from skimage.registration import phase_cross_correlation

from autodenoise.data.registration import misalignment, shift_between
from autodenoise.data.repeats import find_series

Pixels = np.ndarray[Any, Any]
RANDOM = np.random.default_rng(0)
VIEW: Pixels = astronaut()[..., 1] / 255


def moved(image: Pixels, down: float, across: float) -> Pixels:
    shifted: Pixels = np.fft.ifft2(fourier_shift(np.fft.fft2(image), (down, across))).real
    return shifted[16:-16, 16:-16]


def noisy(image: Pixels, sigma: float) -> Pixels:
    drawn: Pixels = image + RANDOM.normal(0, sigma, image.shape)
    return drawn


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.5, 0.0), (-0.3, 0.2), (4.4, -9.7)])
@pytest.mark.parametrize("sigma", [0.01, 0.1])
def test_shift_is_measured_to_a_tenth_of_a_pixel(shift: tuple[float, float], sigma: float) -> None:
    first, other = noisy(moved(VIEW, 0, 0), sigma), noisy(moved(VIEW, *shift), sigma)
    measured = shift_between(first, other)
    assert measured is not None
    assert np.abs(np.subtract(measured[:2], shift)).max() <= 0.1
    # scikit-image's is of the opposite sign: what brings the other back.
    theirs = -phase_cross_correlation(first, other, upsample_factor=20, normalization=None)[0]
    assert np.abs(np.subtract(measured[:2], theirs)).max() <= 0.2


def test_no_shift_is_measured_in_pure_noise() -> None:
    shading = 0.5 - 0.2 * np.hypot(*np.mgrid[-1:1:256j, -1:1:256j])
    for _ in range(5):
        assert shift_between(*(RANDOM.normal(0, 0.1, (2, 128, 200)))) is None
    assert shift_between(np.ones((32, 32)), np.ones((32, 32))) is None
    assert shift_between(noisy(shading, 0.02), noisy(shading, 0.02)) is None


@pytest.mark.parametrize(("shift", "message"), [(0.5, "0.50 pixels"), (0.1, None)])
def test_shift_of_half_a_pixel_is_warned_about(
    tmp_path: Path, shift: float, message: str | None
) -> None:
    # The structure is at the right border of an image wider than the window.
    empty = np.full((480, 600), 0.5)
    shots = [np.hstack([empty, moved(VIEW, 0, across)]) for across in (0, 0, shift)]
    pixels = [np.clip(noisy(shot, 0.02) * 255, 0, 255).astype(np.uint8) for shot in shots]
    tifffile.imwrite(tmp_path / "a.tif", np.stack(pixels), photometric="minisblack")
    warning = misalignment(find_series(tmp_path).samples[0])
    if message is None:
        assert warning is None
    else:
        assert warning is not None
        assert "1 of 2 shots" in warning
        assert message in warning


def test_faint_fixed_pattern_is_not_a_shift(tmp_path: Path) -> None:
    shading = 0.5 - 0.1 * np.hypot(*np.mgrid[-1:1:256j, -1:1:256j])
    pattern = shading * (1 + RANDOM.normal(0, 0.003, shading.shape))
    shots = np.stack([noisy(pattern, 0.01) for _ in range(12)])
    tifffile.imwrite(tmp_path / "a.tif", shots.astype(np.float32), photometric="minisblack")
    assert misalignment(find_series(tmp_path).samples[0]) is None


def test_tiny_images_and_single_shots_are_not_compared(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 8, 8), np.uint8), photometric="minisblack")
    for apart in (False, True):
        assert misalignment(find_series(tmp_path, separate=apart).samples[0]) is None
