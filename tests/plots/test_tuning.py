from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from autodenoise.plots import figure as figures
from autodenoise.plots.tuning import Axis, importances, parallel_coordinates

RATE = Axis("learning_rate", (1e-4, 1e-3, 1e-2), 1e-4, 1e-2, log=True)
KIND = Axis("kind", (0, 1, 1), 0, 1, choices=("adam", "muon"))


def texts(figure: Figure) -> list[str]:
    drawn = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    return [text.get_text() for text in drawn]


def test_heights_and_ticks_match_the_scale_of_the_axis() -> None:
    assert [RATE.height(value) for value in RATE.values] == pytest.approx([0, 0.5, 1])
    assert Axis("x", (), 8, 64).height(22) == pytest.approx(0.25)
    assert KIND.height(1) == 1
    assert Axis("one", (3,), 3, 3).height(3) == 0.5
    assert [text for _, text in RATE.ticks()] == ["0.0001", "0.001", "0.01"]
    assert KIND.ticks() == [(0, "adam"), (1, "muon")]


def test_best_trial_is_highlighted_and_stopped_trial_is_dashed() -> None:
    figure = parallel_coordinates([RATE, KIND], [0.3, 0.1, None])
    lines = list(figure.axes[0].lines)
    best = max(lines, key=lambda line: line.get_linewidth())
    heights = np.asarray(best.get_ydata())
    np.testing.assert_allclose(heights, [0.5, 1, 0])
    other = min(lines, key=lambda line: line.get_linewidth())
    assert to_rgb(best.get_color())[0] > 2 * to_rgb(best.get_color())[2]
    assert best.get_linewidth() > other.get_linewidth()
    dashed = [line for line in lines if line.is_dashed()]
    assert len(dashed) == 1
    np.testing.assert_allclose(np.asarray(dashed[0].get_ydata()), [1, 1])
    drawn_texts = texts(figure)
    assert "2 trials, lowest validation loss 0.1000" in drawn_texts
    assert any("1 given up" in text for text in drawn_texts)
    assert {"learning_rate", "kind", "adam", "muon", "val_loss"} <= set(drawn_texts)


@pytest.mark.parametrize(
    ("axes", "losses"),
    [
        ([Axis("epochs", (3,), 1, 5)], [0.5]),
        ([Axis("epochs", (3, 4), 1, 5)], [0.5, 0.5]),
        ([Axis("epochs", (3, 4), 1, 5)], [0.5, 50.0]),
        ([Axis("widths", (0, 1), 0, 1, choices=("[1024, 512, 256, 128]", "[8]"))] * 6, [0.5, None]),
    ],
)
def test_drawing_stays_inside_the_figure(
    axes: list[Axis], losses: list[float | None], tmp_path: Path
) -> None:
    figures.save(parallel_coordinates(axes, losses), tmp_path / "a.png")
    shares = {"reconstruct.optimizer.learning_rate": 1.0, "width": 0.0}
    figures.save(importances(shares), tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        pixels = np.asarray(Image.open(tmp_path / name).convert("L"))
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert (border == 255).all()
        assert (pixels < 128).any()


def test_bar_length_is_proportional_to_share() -> None:
    figure = importances({"learning_rate": 0.75, "width": 0.25})
    long, short = (bar.get_extents().width for bar in figure.axes[0].patches)
    assert long == pytest.approx(3 * short)
    assert {"75%", "25%", "learning_rate", "width"} <= set(texts(figure))
