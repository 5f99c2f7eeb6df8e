from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from autodenoise import nets
from autodenoise.nets.summary import NetworkSummary, format_shape, summarize
from autodenoise.plots.figure import save
from autodenoise.plots.network_diagram import diagram

# Every network with its defaults, and some of unusual size.
NETWORKS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in nets.NETWORKS),
    ("conv", {"width": 512}),
    ("dense", {"widths": (2,)}),
]


def summary(name: str, arguments: dict[str, Any] | None = None) -> NetworkSummary:
    built = nets.build(name, arguments or {}, torch.Generator().manual_seed(0))
    side = 32 if name == "unet" else 28
    return summarize(built, (1, side, side))


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def slabs(figure: Figure) -> list[FancyBboxPatch]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]


def arrows(figure: Figure) -> list[FancyArrowPatch]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]


@pytest.mark.parametrize(("name", "arguments"), NETWORKS)
def test_every_layer_is_labeled_with_its_shape(name: str, arguments: dict[str, Any]) -> None:
    found = summary(name, arguments)
    written = texts(diagram(found, "A title"))
    assert written[-3] == "A title"
    for layer in found.layers:
        place = written.index(layer.operation)
        assert written[place + 1].split(" · ")[0] == format_shape(layer.shape)
        # Equal layers are labeled in order.
        del written[place : place + 2]


@pytest.mark.parametrize(("name", "arguments"), NETWORKS)
def test_texts_and_slabs_stay_inside_and_do_not_overlap(
    name: str, arguments: dict[str, Any]
) -> None:
    figure = diagram(summary(name, arguments), "A title that is longer than most, " * 3)
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    renderer = canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    boxes += [slab.get_window_extent(renderer) for slab in slabs(figure)]
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    for box in boxes:
        assert figure.bbox.x0 < box.x0 < box.x1 < figure.bbox.x1
        assert figure.bbox.y0 < box.y0 < box.y1 < figure.bbox.y1


def test_slab_width_shows_map_size_and_thickness_shows_map_count() -> None:
    found = summary("bottleneck")
    drawn = slabs(diagram(found, ""))
    for layer, slab in zip(found.layers, drawn, strict=True):
        assert slab.get_width() / drawn[0].get_width() == pytest.approx(layer.shape[1] / 28)
        thick = {1: drawn[0], 32: drawn[1]}[layer.shape[0]].get_height()
        assert slab.get_height() == pytest.approx(thick)
    assert drawn[1].get_height() > drawn[0].get_height()


def test_input_and_output_are_level_and_code_is_lowest() -> None:
    for name in nets.NETWORKS:
        found = summary(name)
        middles = [slab.get_y() + slab.get_height() / 2 for slab in slabs(diagram(found, ""))]
        assert middles[0] == pytest.approx(middles[-1]) == pytest.approx(max(middles))
        assert middles.index(min(middles)) == found.code[-1]


def test_each_link_has_an_arrow_and_skips_are_dashed() -> None:
    for name in nets.NETWORKS:
        found = summary(name)
        drawn = arrows(diagram(found, ""))
        assert len(drawn) == sum(len(layer.inputs) for layer in found.layers)
        dashed = [arrow for arrow in drawn if arrow.get_linestyle() != "-"]
        assert len(dashed) == len(found.code) - 1


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_equal_diagrams_are_saved_as_equal_bytes(ending: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(diagram(summary("swift"), "Twice"), tmp_path / f"{name}.{ending}")
    content = (tmp_path / f"a.{ending}").read_bytes()
    assert content == (tmp_path / f"b.{ending}").read_bytes()
    if ending == "svg":
        assert b">ConvTranspose 2x2 stride 2<" in content
