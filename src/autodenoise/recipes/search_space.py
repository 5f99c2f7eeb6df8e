"""What a search varies in a recipe: a range or a list of choices for each setting."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from autodenoise.errors import UsageError

__all__ = ["Choices", "Range", "Space", "check", "flatten", "label", "short_names"]


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, inclusive.

    Attributes
    ----------
    low
        The smallest number.
    high
        The largest. If both, and `step` if given, are integers, only integers are tried.
    step
        Try only `low`, `low` + `step` and so on.
    log
        Sample on a logarithmic scale, for example for learning rates.
    """

    low: int | float
    high: int | float
    step: int | float | None = None
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether only integers are tried."""
        return all(isinstance(n, int) for n in (self.low, self.high, self.step or 1))

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int if self.whole else float):
            return False
        on_grid = self.step is None or not _beyond_steps(self, value)
        return self.low <= value <= self.high and on_grid


Choices = tuple[Any, ...]
"""Values of a setting: numbers, strings, booleans, or lists of them."""

Space = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")],
    Discriminator(lambda value: "range" if isinstance(value, dict | Range) else "choices"),
]
"""The values that a search tries for a setting."""


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the ranges and choices of a ``[search]`` table by dotted key.

    TOML reads ``phase.denoise.epochs = [1, 2]`` as nested tables, and the quoted key as one key.
    Both are accepted. Raises `UsageError` if a value is neither a range nor a list.
    """
    spaces: dict[str, Any] = {}
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, list) or (isinstance(value, dict) and _RANGE_KEYS & value.keys()):
            spaces[key] = value
        elif isinstance(value, dict):
            spaces |= flatten(value, f"{key}.")
        else:
            raise UsageError(
                f"search.{key} is {value!r}; expected a range such as {{ low = 8, high = 64 }} "
                "or a list of choices"
            )
    return spaces


_RANGE_KEYS = set(Range.__dataclass_fields__)


def check(key: str, space: Range | Choices) -> None:
    """Raise `UsageError` unless a range is valid, and choices are non-empty and distinct."""
    fault = _fault_of_range(space) if isinstance(space, Range) else _fault_of_choices(space)
    if fault is not None:
        raise UsageError(f"search.{key}: {fault}")


def _fault_of_range(space: Range) -> str | None:
    low, high, step = space.low, space.high, space.step
    if not all(math.isfinite(number) for number in (low, high, step or 0)):
        return "expected a range between two finite numbers"
    if low >= high:
        return f"low is {low} and high is {high}; expected low below high"
    if space.log and low <= 0:
        return f"low is {low}; expected above 0, since log is set"
    if space.log and step is not None:
        return "step and log are both set; expected one of them"
    if step is not None and step <= 0:
        return f"step is {step}; expected a number above 0"
    if step is not None and (rest := _beyond_steps(space, high)):
        return f"steps of {step} from {low} do not reach high = {high}, but {float(high) - rest:g}"
    return None


def _beyond_steps(space: Range, value: float) -> float:
    """Return how far a value is above the step below it, in exact decimals."""
    low, step = Decimal(str(space.low)), Decimal(str(space.step))
    return float((Decimal(str(value)) - low) % step)


def _fault_of_choices(choices: Choices) -> str | None:
    if not choices:
        return "an empty list; expected at least one choice"
    for index, choice in enumerate(choices):
        parts = choice if isinstance(choice, list) else [choice]
        if not all(isinstance(part, bool | int | float | str) for part in parts):
            return f"{choice!r} cannot be a choice; expected numbers, strings or lists of them"
        if choice in choices[:index]:
            return f"the choice {choice!r} appears twice"
    return None


def label(choice: Any) -> bool | int | float | str:
    """Return a choice as one number or string."""
    return json.dumps(choice) if isinstance(choice, list | tuple) else choice


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """Return each dotted key with the shortest unique ending."""
    paths = [key.split(".") for key in keys]
    names = {}
    for path in paths:
        # "kind" alone does not say of what.
        length = 2 if path[-1] in ("kind", "name") else 1
        while length < len(path) and sum(path[-length:] == other[-length:] for other in paths) > 1:
            length += 1
        names[".".join(path)] = ".".join(path[-length:])
    return names
