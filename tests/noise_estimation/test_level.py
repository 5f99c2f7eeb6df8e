from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.fft import dctn
from skimage.restoration import estimate_sigma

from autodenoise.noise_estimation import level as noise_level
from tests.helpers.scenes import photos, smooth_scenes, white


@pytest.mark.parametrize("sigma", [10, 25, 50])
def test_white_noise_is_measured_within_three_percent(sigma: int) -> None:
    clean = smooth_scenes()
    noisy = clean + sigma / 255 * white(clean.shape)
    level = noise_level.from_images(noisy)
    assert level is not None
    assert np.sqrt(level.variance(clean).mean()) == pytest.approx(sigma / 255, rel=0.03)
    # The standard error is small as well.
    assert level.deviation / level.variance(clean).mean() < 0.06


@pytest.mark.parametrize("sigma", [10, 25, 50])
def test_noise_level_of_photos_is_closer_than_wavelet_estimate(real_data: Path, sigma: int) -> None:
    clean = photos(real_data, 20)
    noisy = clean + sigma / 255 * white(clean.shape)
    level = noise_level.from_images(noisy)
    assert level is not None
    found = np.sqrt(level.variance(clean).mean())
    assert found == pytest.approx(sigma / 255, rel=0.05)
    wavelets = np.mean([estimate_sigma(image[..., 0]) for image in noisy])
    assert abs(found - sigma / 255) < abs(wavelets - sigma / 255)


@pytest.mark.parametrize("peak", [30, 200])
def test_photon_noise_is_measured_at_each_intensity(peak: int) -> None:
    clean = smooth_scenes()
    random = np.random.default_rng(0)
    noisy = random.poisson(peak * clean) / peak + random.normal(0, 0.02, clean.shape)
    for level in (
        noise_level.from_images(noisy.astype(np.float32)),
        noise_level.from_shots(
            noisy.astype(np.float32),
            (random.poisson(peak * clean) / peak + random.normal(0, 0.02, clean.shape)).astype(
                np.float32
            ),
        ),
    ):
        assert level is not None
        means = np.array(level.channels[0].means)
        expected = means / peak + 0.02**2
        np.testing.assert_allclose(level.channels[0].variances, expected, rtol=0.15)
        mean = level.variance(clean).mean()
        assert mean == pytest.approx((clean / peak + 0.02**2).mean(), rel=0.05)


def test_two_shots_measure_striped_noise() -> None:
    clean = smooth_scenes()
    stripes = white((*clean.shape[:2], 1, 1), 1), white((*clean.shape[:2], 1, 1), 2)
    first, again = (clean + 0.1 * stripe * np.ones_like(clean) for stripe in stripes)
    level = noise_level.from_shots(first, again)
    truth = (np.square(stripes[0] - stripes[1]) / 2).mean() * 0.1**2
    assert level.variance(clean).mean() == pytest.approx(truth, rel=0.02)
    assert level.deviation == 0


def test_channels_have_separate_levels_and_correlation() -> None:
    clean = smooth_scenes().repeat(3, axis=3)
    common = white((*clean.shape[:3], 1))
    own = white(clean.shape, 1)
    noisy = clean + np.array([0.05, 0.1, 0.15], np.float32) * (0.8 * common + 0.6 * own)
    level = noise_level.from_images(noisy.astype(np.float32))
    assert level is not None
    sigmas = np.sqrt(level.variance(clean).mean((0, 1, 2)))
    np.testing.assert_allclose(sigmas, [0.05, 0.1, 0.15], rtol=0.05)
    assert level.correlation[0] == pytest.approx([1, 0.64, 0.64], abs=0.05)
    # Drawn noise has the same level and correlation.
    drawn = level.draw(clean, np.random.default_rng(0))
    assert np.sqrt(np.square(drawn).mean((0, 1, 2))) == pytest.approx(sigmas, rel=0.02)
    together = np.asarray(np.corrcoef(drawn.reshape(-1, 3).T))
    assert together[0] == pytest.approx([1, 0.64, 0.64], abs=0.05)


def test_clipped_noise_is_measured_after_clipping() -> None:
    clean = smooth_scenes()
    noisy = np.clip(clean + 50 / 255 * white(clean.shape), 0, 1)
    noisy[:, :40] = 0
    level = noise_level.from_images(noisy)
    assert level is not None
    rest = clean[:, 40:]
    truth = np.var(noisy[:, 40:] - rest)
    assert level.variance(rest).mean() == pytest.approx(truth, rel=0.06)


@pytest.mark.parametrize("shape", [(4, 7, 40, 1), (1, 16, 16, 1)])
def test_too_few_or_too_small_images_return_none(shape: tuple[int, ...]) -> None:
    assert noise_level.from_images(white(shape)) is None


def test_constant_images_return_none() -> None:
    assert noise_level.from_images(np.zeros((9, 64, 64, 1), np.float32)) is None


def test_low_energy_matches_scipy_dct() -> None:
    blocks = white((5, 8, 8))
    spectra = dctn(blocks, axes=(1, 2), norm="ortho")
    frequency = np.arange(8)[:, None] + np.arange(8)
    low = np.square(spectra[:, (frequency > 0) & (frequency < 9)]).mean(1)
    np.testing.assert_allclose(noise_level.low_energy(blocks), low, rtol=1e-5)
