"""Validation errors of a recipe as one line that says what was expected."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from autodenoise.data.spec import DataSpec
from autodenoise.errors import unknown_name
from autodenoise.noise import NOISES, MixturePart
from autodenoise.recipes.search_space import Range
from autodenoise.training.optimizers import OPTIMIZERS
from autodenoise.training.phases import Phase
from autodenoise.training.schedules import SCHEDULES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import ValidationError

__all__ = ["explain", "known_keys"]

_KINDS: dict[str, type] = {**NOISES, **OPTIMIZERS, **SCHEDULES}
_TABLES: dict[str, type] = {**_KINDS, "parts": MixturePart}


def explain(error: ValidationError, known: list[str], owner: str = "") -> str:
    """Return the first error as one line that says what was expected."""
    first = error.errors()[0]
    place = [owner, *first["loc"]] if owner else [*first["loc"]]
    # pydantic's location includes the kind of a noise or optimizer and the alternatives of a union;
    # the file's does not.
    steps = [
        str(step)
        for step in place
        if step not in {*_KINDS, "float", "range", "choices"} and not str(step).startswith("tuple[")
    ]
    key = ".".join(steps)
    match first["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            table = ".".join(steps[:-1]) or "the recipe"
            return str(unknown_name(f"key in {table}:", steps[-1], known))
        case "union_tag_invalid":
            return str(unknown_name(f"kind in {key}:", str(first["ctx"]["tag"]), _kinds(steps)))
        case "union_tag_not_found":
            return f"{key} needs a kind, one of: {', '.join(_kinds(steps))}"
        case "missing" | "missing_argument":
            return f"{key} is missing"
        case _:
            return f"{key} is {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}"


def _kinds(steps: list[str]) -> list[str]:
    tables: dict[str, Mapping[str, type]]
    tables = {"noise": NOISES, "optimizer": OPTIMIZERS, "schedule": SCHEDULES}
    return next((list(tables[step]) for step in reversed(steps) if step in tables), [])


def known_keys(error: ValidationError, whole: type) -> list[str]:
    """Return the keys of the table with the first error; `whole` is the recipe's type."""
    place = error.errors()[0]["loc"][:-1]
    kind = next((step for step in reversed(place) if step in _TABLES), None)
    owner: type
    if kind is not None:
        owner = _TABLES[str(kind)]
    elif place:
        owner = {"data": DataSpec, "search": Range}.get(str(place[0]), Phase)
    else:
        owner = whole
    return [entry.name for entry in dataclasses.fields(owner)]
