from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.axes import Axes

from autodenoise.plots.figure import inline_svg
from autodenoise.plots.loss_curves import LossCurve, draw_loss_curve


def curve(losses: list[float], printed: dict[int, float] | None = None) -> LossCurve:
    halved = [loss / 2 for loss in losses]
    return LossCurve("denoise", "binary cross-entropy", losses, halved, printed or {})


def drawn(losses: list[float], printed: dict[int, float] | None = None) -> Axes:
    figure = draw_loss_curve(curve(losses, printed))
    figure.canvas.draw()
    (axes,) = figure.axes
    return axes


def ticks(axis_labels: list[str]) -> list[float]:
    return [float(label.replace("\N{MINUS SIGN}", "-")) for label in axis_labels]


def test_lines_run_through_their_numbers() -> None:
    axes = drawn([0.4, 0.3, 0.2], {2: 0.25, 30: 0.1})
    loss, val_loss, printed = axes.lines
    np.testing.assert_array_equal(loss.get_xydata(), [[1, 0.4], [2, 0.3], [3, 0.2]])
    np.testing.assert_allclose(np.asarray(val_loss.get_ydata()), [0.2, 0.15, 0.1])
    # Epochs that are not reached yet stay out.
    np.testing.assert_array_equal(printed.get_xydata(), [[2, 0.25]])
    low, high = axes.get_xlim()
    assert low < 1 < 3 < high
    assert ticks([label.get_text() for label in axes.get_xticklabels()]) == [1, 2, 3]


@pytest.mark.parametrize("losses", [[0.5], [0.5, 0.5], [0.0], [7e-6, 3e-6], [3e4, 1e4]])
def test_any_losses_stay_inside_the_axes(losses: list[float]) -> None:
    axes = drawn(losses)
    low, high = axes.get_ylim()
    for line in axes.lines:
        assert np.all(
            (np.asarray(line.get_ydata()) >= low) & (np.asarray(line.get_ydata()) <= high)
        )
        assert line.get_marker() == "o"
    labels = [
        label.get_text()
        for label in axes.get_yticklabels()
        if low <= label.get_position()[1] <= high
    ]
    assert len(set(labels)) == len(labels) >= 2


def test_many_epochs_have_few_ticks_starting_at_one() -> None:
    axes = drawn([1 / epoch for epoch in range(1, 501)])
    labels = ticks([label.get_text() for label in axes.get_xticklabels()])
    assert labels[0] == 1
    assert labels == sorted(set(labels))
    assert 4 <= len(labels) <= 10
    assert axes.lines[0].get_marker() == ""
    # The first epoch's training loss may leave the axes; it must not flatten the rest.
    losses = np.asarray(axes.lines[0].get_ydata())
    assert losses[0] > axes.get_ylim()[1] >= losses[1:].max()


def test_inline_svg_is_reproducible_and_uses_the_colors_of_the_page() -> None:
    once, again = (inline_svg(draw_loss_curve(curve([0.4, 0.3], {1: 0.3})), "a") for _ in range(2))
    assert once == again
    assert once.startswith("<svg viewBox=")
    assert "<style" not in once
    assert not re.search("#[0-9a-f]{6}[^0-9a-f]", once)
    other = inline_svg(draw_loss_curve(curve([0.4, 0.3], {1: 0.3})), "b")
    ids = [set(re.findall(r' id="([^"]+)"', text)) for text in (once, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
