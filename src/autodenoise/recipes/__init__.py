"""Recipes: TOML files that say what to train, on which data and how; and the built-in ones.

`load` reads a recipe into a frozen `Recipe`, `dump` writes one, `builtin_names` lists the built-in
ones, and `OwnData` stands for a user's files without a recipe.
"""

from autodenoise.recipes.own_data import OwnData
from autodenoise.recipes.reader import (
    FigureName,
    Network,
    Recipe,
    builtin_names,
    dump,
    load,
    settings_of,
    with_values,
)

__all__ = [
    "FigureName",
    "Network",
    "OwnData",
    "Recipe",
    "builtin_names",
    "dump",
    "load",
    "settings_of",
    "with_values",
]
