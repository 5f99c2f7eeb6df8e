"""Detection of out-of-distribution images by reconstruction error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import roc_auc_score

from autodenoise.evaluation.scores import run_denoiser
from autodenoise.metrics import bce, bce_floor
from autodenoise.plots import figure as figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from autodenoise.evaluation.scores import Denoiser

__all__ = ["Outliers", "auc", "histogram", "reconstruction_error"]


@dataclass(frozen=True)
class Outliers:
    """How well reconstruction errors separate two kinds of images.

    Attributes
    ----------
    against
        The data set that the outliers are from.
    images, outliers
        How many of either kind were scored.
    auc
        The chance that an outlier has the larger error of a pair, the area under the ROC curve.
    brightness_auc
        The same for the mean grey value, which needs no network: what is above it was learnt.
    """

    against: str
    images: int
    outliers: int
    auc: float
    brightness_auc: float


def reconstruction_error(denoiser: Denoiser, images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the excess cross-entropy of each image's reconstruction, in nats.

    That is what training minimises, less the part that no network could avoid.

    Parameters
    ----------
    denoiser
        What reconstructs.
    images
        (N, H, W, C) in [0, 1].
    """
    output = run_denoiser(denoiser, images)
    return bce(images, output) - bce_floor(images)


def auc(inside: NDArray[np.floating], outside: NDArray[np.floating]) -> float:
    """Return the area under the ROC curve of scores that should be larger for `outside`."""
    truth = np.concatenate([np.zeros(len(inside)), np.ones(len(outside))])
    return float(roc_auc_score(truth, np.concatenate([inside, outside])))


def histogram(
    inside: NDArray[np.float64], outside: NDArray[np.float64], names: tuple[str, str], title: str
) -> Figure:
    """Draw how often each reconstruction error occurs, on a logarithmic scale.

    Parameters
    ----------
    inside, outside
        Errors of either kind of image, in nats.
    names, title
        What the two kinds are, and the whole.
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
