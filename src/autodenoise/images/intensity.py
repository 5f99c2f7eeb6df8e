"""Intensity ranges: the one place where sample values and dtypes convert to [0, 1] and back."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autodenoise.errors import InputError, UsageError

__all__ = ["IntensityRange", "from_float", "to_float"]


@dataclass(frozen=True)
class IntensityRange:
    """The sample values of black and white.

    Attributes
    ----------
    low, high
        In units of the samples: 0 and 255 for 8 bits, 0 and 65535 for 16 bits, 0 and 1 for floats.

    Raises
    ------
    UsageError
        `low` is not below `high`, one is not finite, or their difference overflows float32.

    Examples
    --------
    >>> import numpy as np
    >>> twelve_bits = IntensityRange(0, 4095)
    >>> twelve_bits.to_float(np.array([0, 4095], np.uint16))
    array([0., 1.], dtype=float32)
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        limits, half = np.finfo(np.float32), self.high / 2 - self.low / 2
        if not (np.isfinite(half) and limits.tiny < half < limits.max):
            raise UsageError(
                "expected an intensity range from black to white, as in 0 4095; "
                f"got {self.low:g} {self.high:g}"
            )

    @classmethod
    def for_dtype(cls, dtype: np.dtype[Any]) -> IntensityRange | None:
        """Return the full range of uint8 or uint16; None for dtypes that do not imply a range."""
        if dtype in (np.uint8, np.uint16):
            return cls(0, np.iinfo(dtype).max)
        return None

    @classmethod
    def of(cls, dtype: np.dtype[Any]) -> IntensityRange | None:
        """Return `for_dtype`; the name is deprecated."""
        message = "IntensityRange.of is now IntensityRange.for_dtype; the old name will be removed"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return cls.for_dtype(dtype)

    def to_float(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """Map `low` to 0 and `high` to 1, without clipping."""
        exact = np.float64 if samples.dtype.itemsize > 2 else np.float32
        wide: NDArray[np.floating] = samples.astype(exact)
        if self.low:
            wide = wide - self.low
        return (wide / (self.high - self.low)).astype(np.float32, copy=False)

    def from_float(self, image: NDArray[np.floating], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Invert `to_float`: clip to [0, 1], scale, and round for integer dtypes."""
        exact = np.float64 if dtype.itemsize > 2 else np.float32
        values: NDArray[np.floating] = np.clip(image, 0, 1).astype(exact)
        values = values * (self.high - self.low) + self.low
        if dtype.kind in "iu":
            # The range may exceed that of the dtype.
            bounds = np.iinfo(dtype)
            values = np.clip(np.rint(values), bounds.min, bounds.max)
        return values.astype(dtype)


def to_float(pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    """Scale samples to [0, 1] by their dtype.

    Parameters
    ----------
    pixels
        uint8, uint16, or floats that are in [0, 1] already.

    Raises
    ------
    InputError
        The dtype is another, or floats lie outside [0, 1], so their range is unknown.
    """
    intensity_range = IntensityRange.for_dtype(pixels.dtype)
    if intensity_range is not None:
        return intensity_range.to_float(pixels)
    if not np.issubdtype(pixels.dtype, np.floating):
        raise InputError(f"expected uint8, uint16 or float samples, got {pixels.dtype}")
    low, high = float(np.min(pixels, initial=0)), float(np.max(pixels, initial=0))
    if not (low >= 0 and high <= 1):
        raise InputError(
            f"expected float samples in [0, 1], got values from {low:g} to {high:g}; "
            "scale them first"
        )
    return pixels.astype(np.float32)


def from_float(image: NDArray[np.floating], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Invert `to_float`: clip to [0, 1], scale and round for integer dtypes."""
    intensity_range = IntensityRange.for_dtype(dtype)
    if intensity_range is None:
        return image.astype(dtype)
    return intensity_range.from_float(image, dtype)
