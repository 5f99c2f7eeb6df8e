"""Adaptive rounding: round a convolution's weights so that its output changes least."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import NodeProto, helper
from torch.nn import functional

__all__ = ["attributes", "round_adaptively", "second_moments"]

Floats = NDArray[np.float32]

_MAX_SWEEPS = 20


def attributes(node: NodeProto) -> dict[str, Any]:
    """Return the attributes of a node by name."""
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def second_moments(node: NodeProto, kernel: Sequence[int], images: Floats) -> Floats:
    """Return the second moments of what a convolution without groups multiplies with its weights.

    These are sums of products over its input, (B, C, H, W), as (D, D), where D runs over channels,
    rows and columns in the order of the weights.
    """
    options = attributes(node)
    top, left, bottom, right = options.get("pads", (0, 0, 0, 0))
    padded = functional.pad(torch.from_numpy(images), (left, right, top, bottom))
    dilation, stride = (tuple(options.get(name, (1, 1))) for name in ("dilations", "strides"))
    columns = functional.unfold(padded, tuple(kernel), dilation=dilation, stride=stride)
    columns = columns.transpose(0, 1).flatten(1)
    moments: Floats = (columns @ columns.T).numpy()
    return moments


def round_adaptively(values: Floats, moments: Floats) -> Floats:
    """Round each weight of (N, D), for N outputs, to one of its two neighboring integers.

    Starting from the nearest integers, one weight after another moves to the neighbor that is
    better given the others, until none moves. So errors of weights with correlated inputs, such as
    those of neighboring pixels, cancel each other. `moments` are the inputs' second ones, (D, D).

    References
    ----------
    Nagel, Amjad, van Baalen, Louizos, Blankevoort, "Up or down? Adaptive rounding for post-training
    quantization", ICML 2020, Equation 13; here by coordinate descent.
    """
    below = np.floor(values)
    above = values - below
    errors = values - np.rint(values)
    diagonal = np.diagonal(moments)
    for _ in range(_MAX_SWEEPS):
        before = errors.copy()
        for place, moment in enumerate(diagonal):
            others = errors @ moments[:, place] - moment * errors[:, place]
            up = moment * (1 - 2 * above[:, place]) < 2 * others
            errors[:, place] = above[:, place] - up
        if np.array_equal(errors, before):
            break
    rounded: Floats = np.rint(values - errors)
    return rounded
