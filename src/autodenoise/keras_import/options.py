"""The options of one layer, each checked as it is asked for; none may be left over."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from autodenoise.errors import InputError
from autodenoise.files import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autodenoise.keras_import.graph import Call

__all__ = ["LONGEST_KERNEL", "LONGEST_STRIDE", "Options"]

LONGEST_KERNEL: Final = 64
LONGEST_STRIDE: Final = 16
"""As `runtime.checking` lets a model file have them."""

_OF_TRAINING = frozenset(
    {
        *("activity_regularizer", "autocast", "batch_input_shape", "batch_shape", "input_shape"),
        *("l1", "l2", "momentum", "name", "noise_shape", "rate", "renorm_clipping"),
        *("renorm_momentum", "seed", "stddev", "synchronized", "trainable", "fused"),
    }
)
_ENDINGS_OF_TRAINING = ("_constraint", "_initializer", "_regularizer")
"""What does nothing to a network at work."""

_DTYPES = ("float32", "mixed_float16", "mixed_bfloat16")
"""Policies whose weights are float32."""


class Options:
    """The options of a call.

    Attributes
    ----------
    call
        The layer.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self._left = {
            key: value
            for key, value in call.config.items()
            if key not in _OF_TRAINING and not key.endswith(_ENDINGS_OF_TRAINING)
        }
        dtype = self._left.pop("dtype", None)
        if isinstance(dtype, dict):
            policy = dtype.get("config")
            dtype = policy.get("name") if isinstance(policy, dict) else dtype
        if dtype is not None and dtype not in _DTYPES:
            raise self.refused("dtype", dtype, " or ".join(_DTYPES))

    def take(self, key: str, default: Any = None) -> Any:
        """Give an option as it is."""
        value = self._left.pop(key, None)
        if isinstance(value, dict) and value.get("class_name") == "__numpy__":
            # How Keras writes an array.
            inside = value.get("config")
            value = inside.get("value") if isinstance(inside, dict) else value
        return default if value is None else value

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """Give a whole number within a range."""
        value = self.take(key, default)
        if type(value) is not int or not low <= value <= high:
            raise self.refused(key, value, f"a whole number from {low:,} to {high:,}")
        return value

    def pair(self, key: str, high: int, default: Sequence[int] | None = None) -> tuple[int, int]:
        """Give two whole numbers from 1 up: for rows and columns, or one for both."""
        value = self.take(key, default)
        both = [value, value] if type(value) is int else value
        match both:
            case [int(rows), int(columns)] | (int(rows), int(columns)):
                if 1 <= rows <= high and 1 <= columns <= high:
                    return rows, columns
        raise self.refused(key, value, f"two whole numbers from 1 to {high:,}")

    def ends(self, key: str, high: int) -> tuple[int, int, int, int]:
        """Give how many rows and columns at each end: top, bottom, left, right."""
        value = self.take(key)
        match value:
            case [[int(top), int(bottom)], [int(left), int(right)]]:
                if all(0 <= end <= high for end in (top, bottom, left, right)):
                    return top, bottom, left, right
        raise self.refused(key, value, f"two pairs of whole numbers from 0 to {high:,}")

    def number(self, key: str, default: float) -> float:
        """Give a number."""
        return self.as_number(key, self.take(key, default))

    def as_number(self, key: str, value: Any) -> float:
        """Check that what came with an option is a number."""
        if type(value) not in (int, float) or not math.isfinite(value):
            raise self.refused(key, value, "a number")
        return float(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """Give yes or no."""
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise self.refused(key, value, "true or false")
        return value

    def word(self, key: str, known: Sequence[str], default: str) -> str:
        """Give one of some words."""
        value = self.take(key, default)
        if value not in known:
            raise self.refused(key, value, " or ".join(known))
        return str(value)

    def channels_last(self) -> None:
        """Check that the channels come last."""
        self.word("data_format", ["channels_last"], "channels_last")

    def finish(self) -> None:
        """Check that nothing is left that was not asked for.

        Raises
        ------
        InputError
            There is something, and it is set.
        """
        for key, value in self._left.items():
            if value not in (None, False):
                raise self.refused(key, value, "nothing, as this option is not supported")

    def refused(self, key: str, value: Any, expected: str) -> InputError:
        """Make the error for an option."""
        shown = printable(str(value))
        shown = shown if len(shown) <= 80 else f"{shown[:80]}..."
        return InputError(f"{self.call.title} has {printable(key)} = {shown}; expected {expected}")
