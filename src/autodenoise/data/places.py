"""Where data sets lie on a machine."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

__all__ = ["DATA_VARIABLE", "cache", "data_folders", "find_set"]

DATA_VARIABLE = "AUTODENOISE_DATA"
"""The environment variable that names the folder looked into first."""


def cache() -> Path:
    """Give the folder for data sets in the user's cache, which need not exist yet."""
    return platformdirs.user_cache_path("autodenoise") / "data"


def data_folders() -> list[Path]:
    """List the folders that may hold data sets, in the order in which they are looked into."""
    shared = os.environ.get(DATA_VARIABLE)
    return [*([Path(shared)] if shared else []), cache()]


def find_set(name: str) -> Path | None:
    """Find the folder of a data set that has to be put there by hand; None if it is nowhere."""
    places = (folder / name for folder in data_folders())
    return next((place for place in places if place.is_dir()), None)
