"""Describe a recipe and its network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autodenoise import nets, recipes
from autodenoise.data import dataset as datasets
from autodenoise.errors import OutputError
from autodenoise.nets.summary import NetworkSummary, summarize
from autodenoise.plots import figure as figures
from autodenoise.plots.network_diagram import diagram
from autodenoise.recipes import Recipe
from autodenoise.runs.networks import network
from autodenoise.runs.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from autodenoise.data.download import OnBytes

__all__ = ["Description", "describe"]


@dataclass(frozen=True)
class Description:
    """A recipe and a summary of its network.

    Attributes
    ----------
    recipe
        The recipe.
    summary
        Its network, layer by layer, at the size of its images.
    multiple
        Image sides must be multiples of this; None if only the trained size works.
    halo
        The radius of the receptive field in pixels; None if it is the whole image.
    """

    recipe: Recipe
    summary: NetworkSummary
    multiple: int | None
    halo: int | None

    def diagram(self) -> Figure:
        """Draw the network."""
        return diagram(self.summary, f"{self.recipe.name}: the network {self.recipe.network.name}")

    def save_diagram(self, target: Path) -> None:
        """Draw the network into a new file, in the format of its suffix.

        Raises
        ------
        UsageError
            The suffix is unknown.
        OutputError
            The file exists already, or cannot be written.
        """
        if target.exists():
            raise OutputError(f"{target} exists already; choose another name")
        figures.save(self.diagram(), target)


def describe(recipe: str | Path | Recipe, *, on_bytes: OnBytes | None = None) -> Description:
    """Describe a recipe and its network.

    Parameters
    ----------
    recipe
        The name of a built-in recipe, the path of a ``.toml`` file or of a run folder, or a
        `Recipe`. A built-in name takes precedence over a folder with the same name.
    on_bytes
        Callback for the progress of downloads: the layers depend on the size of the images, which
        is read from the data unless the dataset is a named one.

    Raises
    ------
    UsageError
        The recipe is unknown or invalid.
    InputError
        The recipe or its data are missing or damaged.
    """
    resolved = recipe if isinstance(recipe, Recipe) else _find(recipe)
    shape = datasets.shape(resolved.data, on_bytes)
    built = network(resolved, shape)
    return Description(resolved, summarize(built, shape), built.multiple, nets.halo(built))


def _find(recipe: str | Path) -> Recipe:
    if recipe not in recipes.builtin_names() and Path(recipe).is_dir():
        return Run.open(recipe).recipe
    return recipes.load(recipe)
