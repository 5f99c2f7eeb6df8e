"""Build the network of a recipe or a run, untrained or trained."""

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
from autodenoise.training.checkpoint import load_trained, load_weights
from autodenoise.training.loop import BEST_NAME, CHECKPOINT_NAME, weights_name
from autodenoise.training.randomness import generator

if TYPE_CHECKING:
    from dataclasses import Field

    from autodenoise.nets import Autoencoder
    from autodenoise.recipes import Recipe
    from autodenoise.runs.run import Run

__all__ = ["check_sides", "fingerprint", "network", "trained"]


def network(
    recipe: Recipe, shape: tuple[int, int, int], normalization: tuple[float, float] = (0.0, 1.0)
) -> Autoencoder:
    """Build the untrained network of a recipe, for images of a shape (C, H, W) and value range."""
    channels, height, width = shape
    # Defaults from the data; the recipe may override them.
    accepted = signature(nets.NETWORKS[recipe.network.name]).parameters
    inferred = {"channels": channels, "size": (height, width)}
    if normalization != (0, 1):
        if "black" not in accepted:
            raise UsageError(
                f"the network {recipe.network.name} expects images from 0 to 1; remove normalize "
                "from [data], or use unet"
            )
        inferred |= dict(zip(("black", "white"), normalization, strict=True))
    arguments = {key: value for key, value in inferred.items() if key in accepted}
    arguments.update(recipe.network.arguments)
    try:
        built = nets.build(
            recipe.network.name, arguments, generator(recipe.seed, "initial weights")
        )
    except (ArithmeticError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"the network {recipe.network.name} cannot be built with {arguments}: {error}"
        ) from None
    image = torch.zeros(1, *shape)
    try:
        with torch.no_grad():
            fits = built(image).shape == image.shape
    except RuntimeError:
        fits = False
    if not fits:
        sides = f"; its sides must be multiples of {built.multiple}" if built.multiple else ""
        advice = "train on larger images"
        if recipe.data.crop is None:
            advice = "resize the images with [data] size = [height, width]"
        raise UsageError(
            f"the network {recipe.network.name} does not accept images of {width}x{height} pixels "
            f"and {channels} channel(s){sides}. Choose another network, or {advice}"
        )
    return built


@torch.no_grad()
def check_sides(recipe: Recipe, untrained: Autoencoder, shape: tuple[int, int, int]) -> None:
    """Raise UsageError if a network does not accept the images or crops of its recipe."""
    name, multiple = recipe.network.name, untrained.multiple
    # neighbor2neighbor trains on images of half the size.
    halved = any(phase.objective == "neighbor2neighbor" for phase in recipe.phase.values())
    if recipe.data.crop is None:
        channels, height, width = shape
        try:
            if halved:
                untrained(torch.zeros(1, channels, height // 2, width // 2))
        except RuntimeError:
            raise UsageError(
                f"the network {name} accepts only images of {width}x{height} pixels, but "
                "neighbor2neighbor trains on images of half the size; choose another objective"
            ) from None
        return
    if multiple is None:
        raise UsageError(
            f"the network {name} accepts images of one size only; remove crop from [data]"
        )
    sides = {f"phase.{key}.crop": phase.crop for key, phase in recipe.phase.items()}
    multiple *= 2 if halved else 1
    for key, side in {"data.crop": recipe.data.crop, **sides}.items():
        if side is not None and side % multiple:
            raise UsageError(
                f"{key} is {side}; the network {name} needs a multiple of {multiple}, such as "
                f"{max(multiple, side - side % multiple)}"
            )


def fingerprint(recipe: Recipe) -> str:
    """Return a fingerprint of the settings that determine training, to check before resuming.

    It omits default values, so that runs can be resumed when there are new keys, and paths, since
    images may have been moved.
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
    """Return the values that differ from their default, and all kinds, as JSON types."""
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
    normalization: tuple[float, float] = (0.0, 1.0),
) -> Autoencoder:
    """Return the trained network of a run, with the weights of its model file.

    With `phase`, which must not be the last, the weights are those at the end of this phase.
    """
    built = network(run.recipe, shape, normalization)
    if phase is not None:
        load_weights(run.folder / weights_name(phase), built)
    elif run.recipe.keep == "best":
        load_weights(run.folder / BEST_NAME, built)
    else:
        load_trained(run.folder / CHECKPOINT_NAME, built)
    return built.eval()
