from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb

from autodenoise.noise_estimation.figures import draw_noise_profile
from autodenoise.noise_estimation.profile import measure
from autodenoise.plots.figure import TEAL
from tests.helpers.cameras import VIEW, SyntheticCamera, save


def test_noise_profile_shows_variances_in_samples_and_autocorrelation(tmp_path: Path) -> None:
    kernel = ((0.0, 0.0, 0.0), (0.5, 1.0, 0.0), (0.0, 0.0, 0.0))
    save(tmp_path, SyntheticCamera(5.0, 90.0, 500.0, kernel=kernel).shoot(VIEW[:200, :200], 3))
    profile = measure(tmp_path)
    figure = draw_noise_profile(profile, "a $title")
    curve, lags, bar = figure.axes
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
    squares = [patch for patch in lags.patches if patch.get_gid()]
    signs = [1 if patch.get_facecolor()[:3] == to_rgb(TEAL) else -1 for patch in squares]
    full = bar.get_ylim()[1]
    values = full * np.array(
        [s * (p.get_alpha() or 0) for s, p in zip(signs, squares, strict=True)]
    )
    values = values.reshape(11, 11)
    np.testing.assert_allclose(values, values[::-1, ::-1], atol=1e-6)
    assert abs(values[5, 6] - 0.4) < 0.03
    assert abs(values[6, 5]) < 0.03
    assert squares[5 * 11 + 6].get_gid() == f"tooltip: 1 right: {values[5, 6]:.2f}"
