"""A batch of training or validation images."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Batch"]


class Batch(NamedTuple):
    """Up to three versions of the same samples, each (B, C, H, W). At least one is present.

    Attributes
    ----------
    clean
        Clean images; None where the dataset has none.
    noisy
        Noisy images; None where noise is still to be drawn on `clean`.
    again
        Second noisy versions with independent noise; None where there is only one.
    """

    clean: Tensor | None = None
    noisy: Tensor | None = None
    again: Tensor | None = None

    @property
    def size(self) -> int:
        """Number of samples."""
        return len(self._any)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of each image."""
        channels, height, width = self._any.shape[1:]
        return channels, height, width

    def map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """Apply a function to every version that is present."""
        return Batch(*(None if images is None else function(images) for images in self))

    @property
    def _any(self) -> Tensor:
        return next(images for images in self if images is not None)
