"""Shapes inside a network, for one image size or for all sizes at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

__all__ = [
    *("FeatureMap", "FixedSizeOnly", "NeedsMultiple", "Shape"),
    *("Side", "Vector", "KernelWindow", "value_count"),
]


class FixedSizeOnly(Exception):
    """A layer only works for one image size."""


class NeedsMultiple(Exception):
    """A layer treats images differently unless their sides are multiples of a larger number.

    The number tried so far has to be multiplied by `factor`.
    """

    def __init__(self, factor: int) -> None:
        super().__init__(factor)
        self.factor = factor


class KernelWindow(NamedTuple):
    """A kernel along one side; `same` is whether Keras's padding is ``same`` or ``valid``."""

    length: int
    stride: int
    dilation: int
    same: bool


@dataclass(frozen=True)
class Side:
    """A number of rows or columns: ``step * k + rest`` for images of k multiples.

    As long as each stride divides the step, all images get the same padding, and the shapes of all
    layers have this form again. A fixed size has step 0.
    """

    step: int
    rest: int

    def at(self, k: int) -> int:
        """Return the length for one image size."""
        return self.step * k + self.rest

    def convolved(self, window: KernelWindow) -> tuple[Side, int, int]:
        """Return the side after a convolution, and the padding before and after.

        Raises `NeedsMultiple` if they depend on the image size.
        """
        if self.step % window.stride:
            raise NeedsMultiple(window.stride // math.gcd(self.step, window.stride))
        step = self.step // window.stride
        extent = (window.length - 1) * window.dilation + 1
        if not window.same:
            return Side(step, (self.rest - extent) // window.stride + 1), 0, 0
        # As in TensorFlow: odd padding has the extra row at the end.
        over = self.rest % window.stride or window.stride
        padding = max(extent - over, 0)
        return Side(step, -(-self.rest // window.stride)), padding // 2, padding - padding // 2

    def transposed(self, window: KernelWindow) -> tuple[Side, int, int, int]:
        """Return the side after a transposed convolution, the crops, and the zeros to append.

        The operation is the transpose of a convolution, which pads what is cropped here. Zeros are
        appended if the stride exceeds the kernel.
        """
        length, stride = window.length, window.stride
        crop = max(length - stride, 0) if window.same else 0
        append = max(stride - length, 0)
        side = Side(stride * self.step, stride * (self.rest - 1) + length - crop + append)
        return side, crop // 2, crop - crop // 2, append

    def times(self, factor: int) -> Side:
        """Return the side, enlarged by a factor."""
        return Side(factor * self.step, factor * self.rest)

    def plus(self, count: int) -> Side:
        """Return the side with rows added; removed if `count` is negative."""
        return replace(self, rest=self.rest + count)


class FeatureMap(NamedTuple):
    """The shape of an image or a feature map, whose only channel may have no axis in Keras."""

    height: Side
    width: Side
    channels: int
    no_channel_axis: bool = False

    def fixed(self) -> tuple[int, int, int]:
        """Return height, width and channels as numbers; raise `FixedSizeOnly` if they vary."""
        if self.height.step or self.width.step:
            raise FixedSizeOnly
        return self.height.rest, self.width.rest, self.channels


class Vector(NamedTuple):
    """The shape of a vector."""

    length: int


Shape = FeatureMap | Vector


def value_count(shape: Shape, k: int) -> int:
    """Return the number of values for an image of k multiples."""
    if isinstance(shape, Vector):
        return shape.length
    return max(shape.height.at(k), 0) * max(shape.width.at(k), 0) * shape.channels
