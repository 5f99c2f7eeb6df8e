"""``autodenoise recipes``."""

from __future__ import annotations

import typer

__all__ = ["recipes"]

_LINE = "{:<25} {:<8} {:>10} {:>9}  {}"


def recipes() -> None:
    """List the built-in recipes."""
    from autodenoise import runs
    from autodenoise.data import dataset as data
    from autodenoise.nets import parameter_count
    from autodenoise.recipes import builtin_names, load

    typer.echo(_LINE.format("recipe", "data", "parameters", "epochs", "source"))
    for name in builtin_names():
        recipe = load(name)
        epochs = " + ".join(str(phase.epochs) for phase in recipe.phase.values())
        count = parameter_count(runs.network(recipe, data.shape(recipe.data)))
        typer.echo(_LINE.format(name, recipe.data.source, f"{count:,}", epochs, recipe.source))
