"""The sides of what passes through a network, for one size of image or for all at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

__all__ = ["FixedOnly", "Map", "Row", "Shape", "Side", "Uneven", "Window", "numbers"]


class FixedOnly(Exception):
    """A layer works on one size alone."""


class Uneven(Exception):
    """A layer would treat images differently whose sides are multiples of what was tried.

    Attributes
    ----------
    factor
        Multiples of so many times that are needed.
    """

    def __init__(self, factor: int) -> None:
        super().__init__(factor)
        self.factor = factor


class Window(NamedTuple):
    """How a kernel goes along a side.

    Attributes
    ----------
    length, stride, dilation
        Its own.
    same
        Whether Keras's padding is ``same``, or ``valid``.
    """

    length: int
    stride: int
    dilation: int
    same: bool

    @property
    def reach(self) -> int:
        """From its first value to its last."""
        return (self.length - 1) * self.dilation + 1


@dataclass(frozen=True)
class Side:
    """A number of rows or columns: ``step * k + rest`` for images of any k multiples.

    All images have the same padding then, and all shapes are of this kind again, so long as each
    stride divides the step. A size that is fixed has no step.
    """

    step: int
    rest: int

    def at(self, k: int) -> int:
        """Give it for one image."""
        return self.step * k + self.rest

    def under(self, window: Window) -> tuple[Side, int, int]:
        """Give how often a window finds room, and the padding before and behind.

        Raises
        ------
        Uneven
            That depends on the image.
        """
        if self.step % window.stride:
            raise Uneven(window.stride // math.gcd(self.step, window.stride))
        step = self.step // window.stride
        if not window.same:
            return Side(step, (self.rest - window.reach) // window.stride + 1), 0, 0
        # As TensorFlow has it: the odd one of the padding lies behind.
        over = self.rest % window.stride or window.stride
        padding = max(window.reach - over, 0)
        return Side(step, -(-self.rest // window.stride)), padding // 2, padding - padding // 2

    def spread(self, window: Window) -> tuple[Side, int, int, int]:
        """Give the side that a transposed convolution makes, with its crops and what is added.

        It is the transpose of the convolution that goes the other way, which pads what is cropped
        here. Where kernels leave gaps, zeros are added behind.
        """
        length, stride = window.length, window.stride
        crop = max(length - stride, 0) if window.same else 0
        more = max(stride - length, 0)
        side = Side(stride * self.step, stride * (self.rest - 1) + length - crop + more)
        return side, crop // 2, crop - crop // 2, more

    def times(self, factor: int) -> Side:
        """Give the side of an enlargement."""
        return Side(factor * self.step, factor * self.rest)

    def plus(self, count: int) -> Side:
        """Give a longer side, or a shorter one."""
        return replace(self, rest=self.rest + count)


class Map(NamedTuple):
    """The shape of a map of features, or of an image.

    Attributes
    ----------
    height, width, channels
        As they are.
    bare
        Whether Keras has it without an axis for the one channel.
    """

    height: Side
    width: Side
    channels: int
    bare: bool = False

    def fixed(self) -> tuple[int, int, int]:
        """Give it as numbers.

        Raises
        ------
        FixedOnly
            The size is not fixed.
        """
        if self.height.step or self.width.step:
            raise FixedOnly
        return self.height.rest, self.width.rest, self.channels


class Row(NamedTuple):
    """The shape of a row of values."""

    length: int


Shape = Map | Row


def numbers(shape: Shape, k: int) -> int:
    """Count the values that there are in one image."""
    if isinstance(shape, Row):
        return shape.length
    return max(shape.height.at(k), 0) * max(shape.width.at(k), 0) * shape.channels
