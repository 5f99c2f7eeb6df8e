"""Detection of out-of-distribution images by reconstruction error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import roc_auc_score

from autodenoise.evaluation.scores import run_denoiser
from autodenoise.metrics import bce, bce_floor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autodenoise.evaluation.scores import Denoiser

__all__ = ["Outliers", "auc", "reconstruction_error"]


@dataclass(frozen=True)
class Outliers:
    """How well reconstruction errors separate outliers from the images of a run.

    `auc` is the area under the ROC curve, the probability that an outlier has the larger error of a
    pair; `brightness_auc` is the same for the mean gray value, a baseline without a network.
    `against` is the dataset of the outliers.
    """

    against: str
    images: int
    outliers: int
    auc: float
    brightness_auc: float


def reconstruction_error(denoiser: Denoiser, images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the excess cross-entropy of each image's reconstruction, in nats.

    This is the training loss minus its minimum, the entropy of the image.

    Parameters
    ----------
    denoiser
        The autoencoder.
    images
        (N, H, W, C) in [0, 1].
    """
    output = run_denoiser(denoiser, images)
    return bce(images, output) - bce_floor(images)


def auc(inside: NDArray[np.floating], outside: NDArray[np.floating]) -> float:
    """Return the area under the ROC curve of scores that should be larger for `outside`."""
    truth = np.concatenate([np.zeros(len(inside)), np.ones(len(outside))])
    return float(roc_auc_score(truth, np.concatenate([inside, outside])))
