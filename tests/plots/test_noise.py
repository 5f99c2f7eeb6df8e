from __future__ import annotations

from pathlib import Path

import numpy as np

from autodenoise.noise_estimation.profile import measure
from autodenoise.plots.noise import noise_figure
from tests.helpers.cameras import VIEW, SyntheticCamera, save


def test_the_figure_shows_variances_in_samples_and_the_curve(tmp_path: Path) -> None:
    kernel = ((0.0, 0.0, 0.0), (0.5, 1.0, 0.0), (0.0, 0.0, 0.0))
    save(tmp_path, SyntheticCamera(5.0, 90.0, 500.0, kernel=kernel).shoot(VIEW[:200, :200], 3))
    profile = measure(tmp_path)
    figure = noise_figure(profile, "a $title")
    curve, lags, _ = figure.axes
    assert [text.get_text() for text in figure.texts] == [
        "a $title",
        f"{profile.reason[0].upper()}{profile.reason[1:]}.",
    ]
    legend = curve.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["red", "green", "blue"]
    for drawn in curve.lines:
        means, variances = (np.asarray(values, float) for values in drawn.get_data())
        np.testing.assert_allclose(variances, 5 * (means - 500) + 90**2, rtol=0.15, atol=3000)
    (shown,) = lags.images
    values = np.array(shown.get_array(), np.float64)
    assert values.shape == (11, 11)
    assert np.isnan(values[5, 5])
    np.testing.assert_allclose(values, values[::-1, ::-1], atol=1e-6)
    assert abs(values[5, 6] - 0.4) < 0.03
    assert abs(values[6, 5]) < 0.03
