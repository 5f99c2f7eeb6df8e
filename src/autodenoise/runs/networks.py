"""Networks as recipes and runs have them: made for images of a shape, untrained or trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch

from autodenoise import nets
from autodenoise.data.arrays import SOURCES
from autodenoise.errors import UsageError
from autodenoise.recipes.renamed import with_old_keys
from autodenoise.training.checkpoint import load_state, load_weights, restore_trained
from autodenoise.training.loop import BEST_NAME, CHECKPOINT_NAME, weights_name
from autodenoise.training.randomness import generator

if TYPE_CHECKING:
    from dataclasses import Field

    from autodenoise.nets import Autoencoder
    from autodenoise.recipes import Recipe
    from autodenoise.runs.run import Run

__all__ = ["check_sides", "network", "origin", "trained"]


def network(
    recipe: Recipe, shape: tuple[int, int, int], span: tuple[float, float] = (0.0, 1.0)
) -> Autoencoder:
    """Make a recipe's untrained network for images of a shape.

    Parameters
    ----------
    recipe
        Says which network, and seeds its weights.
    shape
        (channels, height, width).
    span
        What the images reach from and to, nominally.

    Raises
    ------
    UsageError
        The network cannot be made with these arguments, or cannot work on such images.
    """
    channels, height, width = shape
    # What the data decide, unless the recipe says otherwise.
    accepted = signature(nets.NETWORKS[recipe.network.name]).parameters
    inferred = {"channels": channels, "size": (height, width)}
    if span != (0, 1):
        if "black" not in accepted:
            raise UsageError(
                f"the network {recipe.network.name} takes images from 0 to 1 alone; leave "
                "normalize out of [data], or use unet"
            )
        inferred |= dict(zip(("black", "white"), span, strict=True))
    arguments = {key: value for key, value in inferred.items() if key in accepted}
    arguments.update(recipe.network.arguments)
    try:
        built = nets.build(
            recipe.network.name, arguments, generator(recipe.seed, "initial weights")
        )
    except (ArithmeticError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"the network {recipe.network.name} cannot be made with {arguments}: {error}"
        ) from None
    image = torch.zeros(1, *shape)
    try:
        with torch.no_grad():
            fits = built(image).shape == image.shape
    except RuntimeError:
        fits = False
    if not fits:
        sides = f"; its sides must be multiples of {built.multiple}" if built.multiple else ""
        advice = "learn from larger pictures"
        if recipe.data.crop is None:
            advice = "bring the images to a size with [data] size = [height, width]"
        raise UsageError(
            f"the network {recipe.network.name} cannot work on images of {width}x{height} pixels "
            f"and {channels} channel(s){sides}. Choose another network, or {advice}"
        )
    return built


@torch.no_grad()
def check_sides(recipe: Recipe, untrained: Autoencoder, shape: tuple[int, int, int]) -> None:
    """Check that a network can work on images or crops of the sides that a recipe feeds it.

    Raises
    ------
    UsageError
        It cannot.
    """
    name, multiple = recipe.network.name, untrained.multiple
    # It learns from images of half the sides.
    halved = any(phase.objective == "neighbor2neighbor" for phase in recipe.phase.values())
    if recipe.data.crop is None:
        channels, height, width = shape
        try:
            if halved:
                untrained(torch.zeros(1, channels, height // 2, width // 2))
        except RuntimeError:
            raise UsageError(
                f"the network {name} works on images of {height}x{width} alone, and "
                "neighbor2neighbor learns from images of half the sides; choose another objective"
            ) from None
        return
    if multiple is None:
        raise UsageError(
            f"the network {name} works on images of one size alone; leave crop out of [data]"
        )
    sides = {f"phase.{key}.crop": phase.crop for key, phase in recipe.phase.items()}
    multiple *= 2 if halved else 1
    for key, side in {"data.crop": recipe.data.crop, **sides}.items():
        if side is not None and side % multiple:
            raise UsageError(
                f"{key} is {side}; the network {name} takes multiples of {multiple}, such as "
                f"{max(multiple, side - side % multiple)}"
            )


def origin(recipe: Recipe) -> str:
    """Sum up what of a recipe decides how its training goes on. Pictures may have been moved.

    Defaults are left out, so that runs can be gone on with when there are new keys.
    """
    data, keywords = recipe.data, signature(nets.NETWORKS[recipe.network.name]).parameters
    if data.source not in SOURCES:
        data = replace(data, source="", targets="" if data.supervision != "paired" else "elsewhere")
    deciding = {
        "data": data,
        "network": recipe.network.name,
        "arguments": {
            key: value
            for key, value in recipe.network.arguments.items()
            if value != keywords[key].default
        },
        "noise": recipe.noise,
        "phase": recipe.phase,
        "seed": recipe.seed,
        "validation": recipe.validation,
    }
    return json.dumps(with_old_keys(_differing(deciding)), sort_keys=True)


def _differing(value: Any) -> Any:
    """Give what differs from its default, with the kinds, as JSON takes it."""
    if is_dataclass(value):
        value = {
            entry.name: getattr(value, entry.name)
            for entry in fields(value)
            if entry.name == "kind" or getattr(value, entry.name) != _default(entry)
        }
    if isinstance(value, Mapping):
        return {key: _differing(part) for key, part in value.items()}
    return [_differing(part) for part in value] if isinstance(value, tuple | list) else value


def _default(entry: Field[Any]) -> Any:
    return entry.default if entry.default_factory is MISSING else entry.default_factory()


def trained(
    run: Run,
    shape: tuple[int, int, int],
    phase: str | None = None,
    span: tuple[float, float] = (0.0, 1.0),
) -> Autoencoder:
    """Make the network that a run has trained: what its model file holds, alive.

    Parameters
    ----------
    run
        The run.
    shape
        (channels, height, width) of its images.
    phase
        As it was at the end of this phase, which is not the last; by default as it is now.
    span
        What its images reach from and to, nominally.

    Raises
    ------
    InputError
        The weights are missing or damaged.
    """
    made = network(run.recipe, shape, span)
    if phase is not None:
        load_weights(run.folder / weights_name(phase), made)
    elif run.recipe.keep == "best":
        load_weights(run.folder / BEST_NAME, made)
    else:
        checkpoint = run.folder / CHECKPOINT_NAME
        restore_trained(checkpoint, load_state(checkpoint)[1], made)
    return made.eval()
