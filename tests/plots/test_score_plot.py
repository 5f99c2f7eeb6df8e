from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from matplotlib.text import Annotation

from autodenoise.plots import figure as figures
from autodenoise.plots.score_plot import Point, quality_against_speed

CROWD = [
    Point("photo-fast", 2.4, 31.12, True),
    Point("photo-fast-int8", 2.6, 31.08, True),
    Point("photo-balanced", 2.2, 31.1, True),
    Point("bm3d", 0.01, 30.6, False),
    Point("nlm", 0.6, 28.4, False),
    Point("bilateral", 0.5, 28.35, False),
    Point("gaussian-blur", 31, 25.4, False),
    Point("somewhere/in/a/very/long/path/model.onnx", 30, 25.3, True),
]


def test_names_do_not_overlap() -> None:
    figure = quality_against_speed({"one": CROWD, "$other_": CROWD[:1]}, "Quality")
    figure.canvas.draw()
    first, second = figure.axes
    names = [child for child in first.get_children() if isinstance(child, Annotation)]
    assert [name.get_text() for name in names][:2] == ["photo-fast", "photo-fast-int8"]
    assert names[-1].get_text().endswith("long/path/model.onnx")
    # Measure the text without the line to its point.
    boxes = [name.get_window_extent().shrunk(0.98, 0.6) for name in names]
    for name in names:
        name.arrow_patch = None
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    page = figure.bbox
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 for box in boxes)
    assert second.get_title(loc="left") == "$other_"


@pytest.mark.parametrize("slowest", [0.001, 0.05, 2, 9])
def test_tick_labels_do_not_overlap(slowest: float) -> None:
    points = [Point("slow", slowest, 30, False), Point("fast", 20, 31, True)]
    figure = quality_against_speed({"one": points}, "Quality")
    figure.canvas.draw()
    (axes,) = figure.axes
    labels = [label for label in axes.get_xticklabels(which="both") if label.get_text()]
    low, high = axes.get_xlim()
    shown = [label for label in labels if low <= label.get_position()[0] <= high]
    assert len(shown) > 2
    boxes = [label.get_window_extent() for label in shown]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)


def test_equal_figures_are_saved_as_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        figures.save(quality_against_speed({"one": CROWD}, "Quality"), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
