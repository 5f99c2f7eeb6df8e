"""Recipe keys that had other names in earlier versions.

Recipes with old keys still load, with a warning. Checkpoints of old runs still match their recipe,
because fingerprints are computed with the old keys.
"""

from __future__ import annotations

import tomllib
import warnings
from typing import Any

__all__ = [
    "RENAMED",
    "RENAMED_VALUES",
    "new_key",
    "same_settings",
    "with_new_keys",
    "with_old_keys",
]

RENAMED = {
    "licence": "license",
    "data.holds": "data.supervision",
    "data.normalise": "data.normalize",
    "data.grey": "data.gray",
    "phase.*.average": "phase.*.ema",
}
"""Old to new dotted keys, which differ in their last part. ``*`` is any name; lists have no part of
their own."""

_DESCRIPTIVE = ("title", "source", "about", "limits", "license", "printed", "figures")

RENAMED_VALUES = {"data.supervision": {"pairs": "paired", "noisy": "noisy-only"}}
"""By the new dotted key: old to new values."""


def with_new_keys(table: dict[str, Any], where: str | None = None) -> dict[str, Any]:
    """Return a recipe's table with old keys and values replaced by new ones.

    If there is a `where`, each of them causes a warning that begins with it.
    """
    for old, new in RENAMED.items():
        path, name = old.split("."), new.split(".")[-1]
        changed = _renamed(table, path, name)
        if isinstance(changed.get("search"), dict):
            # Its keys are the same paths, as nested tables or dotted.
            searched = _renamed(changed["search"], path, name)
            changed["search"] = {new_key(key): value for key, value in searched.items()}
        if where is not None and changed != table:
            _warn(where, old, new)
        table = changed
    for key, values in RENAMED_VALUES.items():
        changed = _with_values(table, key.split("."), values)
        if where is not None and changed != table:
            listed = ", ".join(f"{old} is now {new}" for old, new in values.items())
            message = f"{where}: the values of {key} have new names ({listed})"
            warnings.warn(f"{message}; the old ones will stop working", DeprecationWarning, 3)
        table = changed
    return table


def with_old_keys(table: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe's table with all new keys and values replaced by old ones."""
    for key, values in RENAMED_VALUES.items():
        table = _with_values(table, key.split("."), {new: old for old, new in values.items()})
    for old, new in RENAMED.items():
        table = _renamed(table, new.split("."), old.split(".")[-1])
    return table


def same_settings(one: str, other: str) -> bool:
    """Return whether the TOML of two recipes trains the same, whatever its title and description.

    Old keys count as their new ones. The order of phases counts.
    """
    first, second = (with_new_keys(tomllib.loads(text)) for text in (one, other))
    for table in (first, second):
        for key in _DESCRIPTIVE:
            table.pop(key, None)
    return first == second and list(first.get("phase", ())) == list(second.get("phase", ()))


def new_key(key: str, where: str | None = None) -> str:
    """Return the new name of one dotted key, such as ``phase.denoise.average``.

    If there is a `where`, an old key causes a warning that begins with it.
    """
    parts = key.split(".")
    named = [part for part in parts if not part.isdigit()]
    for old, new in RENAMED.items():
        pattern = old.split(".")
        if len(named) == len(pattern) and all(
            wanted in ("*", part) for wanted, part in zip(pattern, named, strict=True)
        ):
            if where is not None:
                _warn(where, old, new)
            return ".".join([*parts[:-1], new.split(".")[-1]])
    return key


def _renamed(node: Any, path: list[str], name: str) -> Any:
    """Rename the last key of a path in nested tables and lists, keeping the order of keys."""
    if isinstance(node, list):
        return [_renamed(entry, path, name) for entry in node]
    if not isinstance(node, dict):
        return node
    first, *rest = path
    if rest:
        return {
            key: _renamed(value, rest, name) if first in ("*", key) else value
            for key, value in node.items()
        }
    if name in node:
        return node
    return {name if key == first else key: value for key, value in node.items()}


def _with_values(node: Any, path: list[str], values: dict[str, str]) -> Any:
    """Replace the value at the end of a path in nested tables and lists."""
    if isinstance(node, list):
        return [_with_values(entry, path, values) for entry in node]
    if not path:
        return values.get(node, node) if isinstance(node, str) else node
    if not isinstance(node, dict):
        return node
    first, *rest = path
    return {
        key: _with_values(value, rest, values) if first in ("*", key) else value
        for key, value in node.items()
    }


def _warn(where: str, old: str, new: str) -> None:
    message = f"{where}: the key {old} is now called {new}; the old name will stop working"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
