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
    """A recipe and its network, layer by layer, at the size of its images.

    Image sides must be multiples of `multiple`; None if only the trained size works. `halo` is the
    radius of the receptive field in pixels; None if it is the whole image.
    """

    recipe: Recipe
    summary: NetworkSummary
    multiple: int | None
    halo: int | None

    def diagram(self) -> Figure:
        """Draw the network."""
        return diagram(self.summary, f"{self.recipe.name}: the network {self.recipe.network.name}")

    def save_diagram(self, target: Path) -> None:
        """Draw the network into a new file, in the format of its suffix."""
        if target.exists():
            raise OutputError(f"{target} exists already; choose another name")
        figures.save(self.diagram(), target)


def describe(recipe: str | Path | Recipe, *, on_bytes: OnBytes | None = None) -> Description:
    """Describe a recipe and its network; `recipe` may also be a run folder.

    A built-in name takes precedence over a folder with the same name. The size of the images, on
    which the layers depend, is read from the data unless the dataset is a named one.
    """
    if not isinstance(recipe, Recipe):
        is_run = recipe not in recipes.builtin_names() and Path(recipe).is_dir()
        recipe = Run.open(recipe).recipe if is_run else recipes.load(recipe)
    shape = datasets.shape(recipe.data, on_bytes)
    built = network(recipe, shape)
    return Description(recipe, summarize(built, shape), built.multiple, nets.halo(built))
