"""What the numbers of a file or an array mean: the one place where units and dtypes convert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autodenoise.errors import InputError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["IntensityRange", "from_float", "to_float"]


@dataclass(frozen=True)
class IntensityRange:
    """The sample values that stand for black and for white.

    Attributes
    ----------
    low, high
        In the samples' own unit: 0 and 255 for 8 bits, 0 and 65535 for 16, 0 and 1 for floats.

    Raises
    ------
    UsageError
        `low` is not below `high`, or one is not finite, or both are too near or far for floats.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        known, far = np.finfo(np.float32), self.high / 2 - self.low / 2
        if not (np.isfinite(far) and known.tiny < far < known.max):
            raise UsageError(
                f"a range goes from black to white, as in 0 4095; got {self.low:g} {self.high:g}"
            )

    @classmethod
    def of(cls, dtype: np.dtype[Any]) -> IntensityRange | None:
        """Give the scale that a dtype has by itself; None where only the owner knows it."""
        if dtype in (np.uint8, np.uint16):
            return cls(0, np.iinfo(dtype).max)
        return None

    def to_float(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """Map `low` to 0 and `high` to 1; what lies outside stays outside."""
        wide: NDArray[np.floating] = samples.astype(
            np.float64 if samples.dtype.itemsize > 2 else np.float32
        )
        if self.low:
            wide = wide - self.low
        scaled: NDArray[np.float32] = (wide / (self.high - self.low)).astype(np.float32, copy=False)
        return scaled

    def from_float(self, image: NDArray[np.floating], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Undo `to_float`: clamp to [0, 1], scale, and round for integer dtypes."""
        exact = np.float64 if dtype.itemsize > 2 else np.float32
        values: NDArray[np.floating] = np.clip(image, 0, 1).astype(exact)
        values = values * (self.high - self.low) + self.low
        if dtype.kind in "iu":
            # A range may reach beyond the type.
            bounds = np.iinfo(dtype)
            values = np.clip(np.rint(values), bounds.min, bounds.max)
        result: NDArray[Any] = values.astype(dtype)
        return result


def to_float(pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    """Scale samples to [0, 1] by their dtype.

    Parameters
    ----------
    pixels
        uint8, uint16, or floating values that are in [0, 1] already.

    Raises
    ------
    InputError
        Another dtype, or floating values outside [0, 1], whose scale only their owner knows.
    """
    intensity_range = IntensityRange.of(pixels.dtype)
    if intensity_range is not None:
        return intensity_range.to_float(pixels)
    if not np.issubdtype(pixels.dtype, np.floating):
        raise InputError(f"expected uint8, uint16 or float samples, got {pixels.dtype}")
    low, high = float(np.min(pixels, initial=0)), float(np.max(pixels, initial=0))
    if not (low >= 0 and high <= 1):
        raise InputError(
            f"floating samples must be in [0, 1], these reach from {low:g} to {high:g}; "
            "scale them first"
        )
    return pixels.astype(np.float32)


def from_float(image: NDArray[np.floating], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Undo `to_float`: clamp to [0, 1], scale and round for integer dtypes."""
    intensity_range = IntensityRange.of(dtype)
    return (
        image.astype(dtype) if intensity_range is None else intensity_range.from_float(image, dtype)
    )
