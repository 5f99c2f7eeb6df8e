"""Pairs by name: which picture of one folder belongs to which of another."""

from __future__ import annotations

from collections import defaultdict
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Matched", "match", "stem"]


class Matched(NamedTuple):
    """How the names of two folders go together.

    Attributes
    ----------
    pairs
        One name of each, in the first folder's order.
    alone
        Of each folder, the names that have none in the other.
    rivals
        Of each folder, the names that could belong to several of the other, or that several share.
    """

    pairs: tuple[tuple[str, str], ...]
    alone: tuple[tuple[str, ...], tuple[str, ...]]
    rivals: tuple[tuple[str, ...], tuple[str, ...]]


def match(ones: Iterable[str], others: Iterable[str]) -> Matched:
    """Pair the names that are alike up to their endings; case counts.

    Parameters
    ----------
    ones, others
        Paths from the folder that they are in, such as ``day/one.png``.
    """
    here, there = _by_stem(ones), _by_stem(others)
    shared = [key for key in here if key in there]
    single = [key for key in shared if len(here[key]) == len(there[key]) == 1]
    several = [key for key in shared if len(here[key]) > 1 or len(there[key]) > 1]

    def names(table: dict[str, list[str]], keys: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for key in keys for name in table[key])

    return Matched(
        tuple((here[key][0], there[key][0]) for key in single),
        (
            names(here, (key for key in here if key not in there)),
            names(there, (key for key in there if key not in here)),
        ),
        (names(here, several), names(there, several)),
    )


def stem(name: str) -> str:
    """Give a path without the ending of its file."""
    return PurePath(name).with_suffix("").as_posix()


def _by_stem(names: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[stem(name)].append(name)
    return found
