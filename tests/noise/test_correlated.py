from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch

from autodenoise.noise import CorrelatedGaussian, Grain


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("smoothing", [0.0, 0.4, 0.8, 1.3])
def test_correlation_equals_scipys_kernel(smoothing: float) -> None:
    noise = CorrelatedGaussian(0.1, smoothing)(torch.zeros(60, 1, 80, 80), draw(1)).double()
    assert float(noise.std()) == pytest.approx(0.1, rel=0.02)
    point = np.zeros(31)
    point[15] = 1.0
    kernel = scipy.ndimage.gaussian_filter1d(point, smoothing, truncate=3) if smoothing else point
    expected = np.correlate(kernel, kernel, "full")[30:]
    for lag in (1, 2, 3):
        for one, other in (
            (noise[..., lag:], noise[..., :-lag]),
            (noise[..., lag:, :], noise[..., :-lag, :]),
        ):
            correlation = float((one * other).mean()) / 0.01
            assert correlation == pytest.approx(expected[lag] / expected[0], abs=0.02)


def test_noise_is_equal_at_the_border() -> None:
    noise = CorrelatedGaussian(0.1, 1.3)(torch.zeros(4000, 1, 8, 8), draw(2)).double()
    assert torch.allclose(noise.std(0), torch.tensor(0.1).double(), rtol=0.06)


@pytest.mark.parametrize("wanted", [0.0, 0.5, 1.0])
def test_channel_correlation(wanted: float) -> None:
    noise = CorrelatedGaussian(0.1, 0.8, wanted)(torch.zeros(40, 3, 60, 60), draw(3))
    found = np.corrcoef(noise.transpose(0, 1).flatten(1).numpy())
    expected = np.full((3, 3), wanted) + (1 - wanted) * np.eye(3)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_grain_is_band_limited_and_depends_on_intensity() -> None:
    deviations = []
    for level in (0.0, 0.1, 0.5, 1.0):
        noise = Grain(0.05, 0.8)(torch.full((40, 1, 64, 64), level), draw(4)) - level
        deviations.append(float(noise.std()))
    assert deviations == pytest.approx([0, 0.05 * 0.36, 0.05, 0], rel=0.03)
    grain = Grain(0.05, 0.8)(torch.full((40, 1, 64, 64), 0.5), draw(4)) - 0.5
    power = torch.fft.rfft2(grain.double()).abs().square().mean((0, 1))[0]
    # Along one frequency axis: next to none at the lowest, most in between, little at the highest.
    assert float(power[1]) < 0.1 * float(power.max())
    assert float(power[-1]) < 0.1 * float(power.max())
    assert 4 < int(power.argmax()) < 16
