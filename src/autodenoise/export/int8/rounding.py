"""A convolution's weights as whole numbers, such that what it answers changes least."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from onnx import helper
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray
    from onnx import NodeProto

    Floats = NDArray[np.float32]

__all__ = ["attributes", "moments", "up_or_down"]

_SWEEPS = 20


def attributes(node: NodeProto) -> dict[str, Any]:
    """Give what a node is told, by name."""
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def moments(node: NodeProto, kernel: Sequence[int], images: Floats) -> Floats:
    """Give the second moments of what a convolution multiplies with its weights.

    Parameters
    ----------
    node
        A convolution without groups.
    kernel
        The two sides of its weights.
    images
        What it is given, (B, C, H, W).

    Returns
    -------
    Floats
        Sums of products, (D, D), where D goes through channels, rows and columns as weights do.
    """
    told = attributes(node)
    top, left, bottom, right = told.get("pads", (0, 0, 0, 0))
    padded = functional.pad(torch.from_numpy(images), (left, right, top, bottom))
    dilation, stride = (tuple(told.get(name, (1, 1))) for name in ("dilations", "strides"))
    columns = functional.unfold(padded, tuple(kernel), dilation=dilation, stride=stride)
    columns = columns.transpose(0, 1).flatten(1)
    found: Floats = (columns @ columns.T).numpy()
    return found


def up_or_down(values: Floats, products: Floats) -> Floats:
    """Round each of some weights to one of its two whole neighbours.

    Starting from the nearest, one weight after the other goes to the neighbour that is better
    beside the others as they are then, until none would change. The errors of weights that see much
    the same, as those of neighbouring pixels do, so make good for each other.

    Parameters
    ----------
    values
        (N, D), for N answers.
    products
        Second moments of what they are multiplied with, (D, D).

    References
    ----------
    Nagel, Amjad, van Baalen, Louizos, Blankevoort, "Up or down? Adaptive rounding for post-training
    quantization", ICML 2020, Equation 13; here by descent along the coordinates.
    """
    below = np.floor(values)
    above = values - below
    errors = values - np.rint(values)
    weight = np.diagonal(products)
    for _ in range(_SWEEPS):
        before = errors.copy()
        for place, own in enumerate(weight):
            others = errors @ products[:, place] - own * errors[:, place]
            rise = own * (1 - 2 * above[:, place]) < 2 * others
            errors[:, place] = above[:, place] - rise
        if np.array_equal(errors, before):
            break
    rounded: Floats = np.rint(values - errors)
    return rounded
