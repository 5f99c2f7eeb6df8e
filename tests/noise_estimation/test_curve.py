from __future__ import annotations

import numpy as np
import pytest

from autodenoise.images import IntensityRange
from autodenoise.noise_estimation.curve import fit_line, merge_points, standard_deviations
from autodenoise.noise_estimation.statistics import Points


def points(
    gain: float, floor: float, count: int = 30, error: float = 0.02, seed: int = 0
) -> Points:
    random = np.random.default_rng(seed)
    means = np.linspace(0.05, 0.95, count)
    exact = gain * means + floor
    variances = exact * (1 + error * random.normal(size=count))
    return Points(means, variances, error * variances, np.full(count, 2 / error**2))


def test_standard_errors_match_the_spread_of_repeated_fits() -> None:
    lines = [fit_line(points(2.0, -0.05, seed=seed)) for seed in range(200)]
    found = np.array([(line.gain, line.floor) for line in lines if line is not None])
    errors = np.array([(line.gain_error, line.floor_error) for line in lines if line is not None])
    np.testing.assert_allclose(found.mean(0), (2.0, -0.05), rtol=0.01)
    ratio = errors.mean(0) / found.std(0)
    # Errors include the limited accuracy of any variance.
    assert ((ratio > 0.85) & (ratio < 1.5)).all()


def test_fit_is_robust_against_outliers() -> None:
    measured = points(2.0, 0.1)
    measured.variances[[3, 20]] *= 3
    line = fit_line(measured)
    assert line is not None
    assert line.gain == pytest.approx(2.0, rel=0.03)
    plain = np.polyfit(measured.means, measured.variances, 1)
    assert abs(plain[0] - 2.0) > 5 * abs(line.gain - 2.0)


def test_deviation_measures_curvature() -> None:
    straight, bent = points(2.0, 0.1), points(2.0, 0.1)
    bent.variances[:] *= 1 + 0.3 * np.sin(6 * bent.means)
    near, far = fit_line(straight), fit_line(bent)
    assert near is not None
    assert far is not None
    assert near.deviation < 0.02
    assert far.deviation == pytest.approx(0.2, abs=0.05)
    assert near.r_squared > far.r_squared


def test_line_converts_to_samples() -> None:
    line = fit_line(points(0.004, 1e-4))
    assert line is not None
    there = line.in_samples(IntensityRange(100, 1100))
    for mean in (0.1, 0.7):
        assert there.variance(100 + 1000 * mean) == pytest.approx(1e6 * line.variance(mean))
        assert there.error(100 + 1000 * mean) == pytest.approx(1e6 * line.error(mean))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_points_return_none(count: int) -> None:
    assert fit_line(points(2.0, 0.1, count)) is None


def test_points_are_merged_until_precise() -> None:
    rough = points(2.0, 0.1, 400, error=0.2)
    whole = merge_points([rough])
    assert 5 < len(whole.means) < 41
    assert (whole.errors[:-1] <= 0.05 * whole.variances[:-1]).all()
    assert whole.counts.sum() == pytest.approx(rough.counts.sum())
    line = fit_line(whole)
    assert line is not None
    assert line.gain == pytest.approx(2.0, rel=0.1)
    sigma = standard_deviations(whole, np.array([0.0, 0.5, 2.0]))
    assert sigma[1] ** 2 == pytest.approx(1.1, rel=0.05)
    assert sigma[2] ** 2 == pytest.approx(whole.variances[-1])
