"""Single settings of a recipe, by dotted key."""

from __future__ import annotations

import tomllib
from typing import Any

from autodenoise.errors import UsageError, unknown_name
from autodenoise.recipes.renamed import with_new_keys

__all__ = ["by_path", "first_difference", "names_a_kind", "parse", "put"]


def parse(setting: str) -> tuple[str, Any]:
    """Split ``key=value`` as given to ``--set``; the value is TOML or a bare word."""
    key, sign, value = setting.partition("=")
    if not sign or not key.strip():
        raise UsageError(f"--set {setting}: expected key=value, such as noise.sigma=0.5")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def put(table: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Change one value of a table in place; error messages begin with `where`."""
    *path, last = key.split(".")
    place: Any = table
    for step in path:
        place = _enter(place, step, f"{where} {key}")
    if isinstance(place, list) and len(place) == 1 and not last.isdigit():
        place = place[0]
    if not isinstance(place, dict):
        raise UsageError(f"{where} {key}: '{last}' is inside a value that is not a table")
    if last == "kind" and place.get("kind") != value:
        # Another kind has other keys, so the present ones are dropped.
        place.clear()
    place[last] = value


def _enter(place: Any, step: str, where: str) -> Any:
    if isinstance(place, list):
        if step.isdigit() and int(step) < len(place):
            return place[int(step)]
        if len(place) == 1:
            return _enter(place[0], step, where)
        raise UsageError(f"{where}: there are {len(place)} entries; say which by its index, from 0")
    if not isinstance(place, dict) or step not in place:
        known = place if isinstance(place, dict) else {}
        raise unknown_name(f"key in {where}:", step, known)
    return place[step]


def by_path(value: Any, path: str = "") -> dict[str, Any]:
    """Return all values of a table by dotted key; a list of one table needs no index."""
    if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        if len(value) == 1:
            return by_path(value[0], path)
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {path: value}
    found: dict[str, Any] = {}
    for key, entry in value.items():
        found |= by_path(entry, f"{path}.{key}" if path else str(key))
    return found


def names_a_kind(key: str) -> bool:
    """Return whether a setting determines which other settings exist beside it."""
    return key.endswith(".kind") or key == "network.name"


def first_difference(there: str, here: str) -> str:
    """Return in which setting one recipe's TOML differs from another's, and how."""
    one, other = (by_path(with_new_keys(tomllib.loads(text))) for text in (there, here))
    key = next((key for key in {**one, **other} if one.get(key) != other.get(key)), None)
    if key is None:
        return ""
    return f" ({key} is {one.get(key, 'unset')!r} there, {other.get(key, 'unset')!r} here)"
