"""Plot codes in the plane to show which images a network encodes alike."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from autodenoise.plots import figure as figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["code_map", "project_codes"]

# Larger sets are subsampled at random.
_MAX_CODES = 2000
_MIN_TSNE_CODES = 10
# Between two thumbnails, as a share of the side of the map.
_MIN_DISTANCE = 0.055
_SIDE = 7.0  # inches


def project_codes(codes: NDArray[np.float32]) -> tuple[NDArray[np.float32], str]:
    """Project codes (N, ...) onto the plane, (N, 2) in [0, 1], and return the method for a title.

    Codes of two numbers are used as they are. Fewer than ten codes are projected onto their first
    two principal components. All others are embedded by t-SNE (van der Maaten and Hinton, JMLR
    2008), which preserves neighborhoods but not distances.
    """
    flat = codes.reshape(len(codes), -1)
    if flat.shape[1] == 2:
        plane, method = flat, "as they are"
    elif len(flat) < _MIN_TSNE_CODES or flat.shape[1] < 2:
        padded = np.pad(flat, ((0, max(0, 2 - len(flat))), (0, max(0, 2 - flat.shape[1]))))
        plane, method = PCA(2).fit_transform(padded)[: len(flat)], "principal components"
    else:
        perplexity = min(30.0, (len(flat) - 1) / 3)
        plane = TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(flat)
        method = "t-SNE"
    low, high = plane.min(0), plane.max(0)
    spread = np.where(high > low, high - low, 1)
    return ((plane - low) / spread).astype(np.float32), method


def code_map(
    codes: NDArray[np.float32],
    images: NDArray[np.float32],
    labels: NDArray[np.int64] | None,
    classes: Sequence[str],
    name: str,
) -> Figure:
    """Draw a dot for each code (N, ...), colored by class, and thumbnails of some images.

    The images are (N, H, W, C) in [0, 1]. `labels` and `classes` are None and empty without
    classes.
    """
    count = f"{len(codes):,}"
    if len(codes) > _MAX_CODES:
        count = f"{_MAX_CODES:,} of {count}"
        rows = np.sort(np.random.default_rng(0).permutation(len(codes))[:_MAX_CODES])
        codes, images = codes[rows], images[rows]
        labels = None if labels is None else labels[rows]
    plane, method = project_codes(codes)
    figure = figures.blank(_SIDE + (1.1 if labels is not None else 0), _SIDE + 0.5)
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0.02, 0.02, (_SIDE - 0.1) / width, (_SIDE - 0.1) / height))
    axes.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))
    axes.set_axis_off()
    if labels is None:
        axes.scatter(plane[:, 0], plane[:, 1], s=9, color=figures.TEAL, linewidths=0)
    else:
        palette = colormaps["tab10" if len(classes) <= 10 else "turbo"]
        for label in np.unique(labels):
            shade = label if len(classes) <= 10 else label / (len(classes) - 1)
            points = plane[labels == label]
            text = classes[label] if label < len(classes) else str(label)
            axes.scatter(
                points[:, 0], points[:, 1], s=9, color=palette(shade), linewidths=0, label=text
            )
        axes.legend(
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            frameon=False,
            fontsize=9,
            markerscale=2.5,
            labelcolor=figures.INK,
        )
    for row in _distant_points(plane):
        image = np.clip(images[row], 0, 1)
        shown = image if image.shape[2] == 3 else image[..., 0]
        zoom = 0.26 * 72 / max(shown.shape[:2])
        box = OffsetImage(shown, zoom=zoom, cmap="gray", norm=None, interpolation="nearest")
        axes.add_artist(AnnotationBbox(box, tuple(plane[row]), frameon=False, pad=0))
    figures.write_title(figure, f"{name}: {count} codes, {method}")
    return figure


def _distant_points(plane: NDArray[np.float32]) -> list[int]:
    """Return the rows of points that are far from all points chosen before them."""
    chosen: list[int] = []
    for row, point in enumerate(plane):
        if all(math.dist(point, plane[other]) > _MIN_DISTANCE for other in chosen):
            chosen.append(row)
    return chosen
