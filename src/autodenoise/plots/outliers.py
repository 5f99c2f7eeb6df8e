"""Histogram of the reconstruction errors of two kinds of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autodenoise.plots import figure as figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["outlier_histogram"]


def outlier_histogram(
    inside: NDArray[np.float64], outside: NDArray[np.float64], names: tuple[str, str], title: str
) -> Figure:
    """Draw the distribution of reconstruction errors, in nats, on a logarithmic scale.

    `inside` are errors of images like the training images, `outside` those of outliers; `names`
    are the labels of both.
    """
    figure = figures.blank(6.2, 3.4)
    axes = figure.add_axes((0.1, 0.16, 0.86, 0.7))
    everything = np.concatenate([inside, outside])
    positive = everything[everything > 0]
    least = float(positive.min()) if len(positive) else 1e-6
    most = max(float(everything.max()), 2 * least)
    bins = np.geomspace(least, most, 61).tolist()
    for name, values, color in zip(
        names, (inside, outside), (figures.TEAL, figures.ORANGE), strict=True
    ):
        share = np.full(len(values), 100 / len(values))
        axes.hist(
            np.clip(values, least, most), bins, weights=share, color=color, alpha=0.65, label=name
        )
    axes.set_xscale("log")
    axes.legend(frameon=False, fontsize=8, labelcolor=figures.INK)
    figures.style_axes(axes, "excess cross-entropy, nats", "% of the images")
    figures.write_title(figure, title)
    return figure
