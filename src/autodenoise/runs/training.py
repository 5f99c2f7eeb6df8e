"""Training: from a recipe to a run folder with a model file."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from autodenoise import nets, recipes, runtime
from autodenoise.errors import Interrupted, OutputError, UsageError
from autodenoise.files import make_folder, write_text
from autodenoise.learning import data as datasets
from autodenoise.learning.checkpoint import load_state, load_weights, restore
from autodenoise.learning.export import export
from autodenoise.learning.loop import (
    BEST_NAME,
    CHECKPOINT_NAME,
    Report,
    Training,
    fit,
    weights_name,
)
from autodenoise.learning.randomness import generator
from autodenoise.noise import Compose
from autodenoise.runs.report import write as write_report
from autodenoise.runs.run import ENVIRONMENT_NAME, RECIPE_NAME, Run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autodenoise.learning.download import OnBytes
    from autodenoise.learning.history import Row
    from autodenoise.learning.loop import Status
    from autodenoise.nets import Autoencoder
    from autodenoise.recipes import Recipe

__all__ = ["network", "resume", "train", "trained"]


class _Silent:
    """A report that nobody hears."""

    def step(self, status: Status) -> None:
        """Say nothing."""

    def epoch(self, row: Row) -> None:
        """Say nothing."""


def train(
    recipe: str | Path | Recipe,
    out: str | os.PathLike[str] | None = None,
    *,
    settings: Iterable[str] = (),
    epochs: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    report: Report | None = None,
    on_bytes: OnBytes | None = None,
) -> Run:
    """Train what a recipe says.

    Parameters
    ----------
    recipe
        A built-in name, the path of a ``.toml`` file, or a `Recipe`.
    out
        The run folder to make; by default ``runs/`` and the recipe's name. Must not exist, or be
        empty.
    settings, epochs, seed
        Changes to the recipe, see `autodenoise.recipes.load`; not with a `Recipe` object.
    device
        ``"cpu"`` or ``"cuda"``; by default CUDA where there is a device.
    report, on_bytes
        Hear how training and downloads go.

    Returns
    -------
    Run
        The finished run, with its model file.

    Raises
    ------
    UsageError
        The recipe or a setting cannot mean anything.
    InputError
        The data are missing or damaged.
    OutputError
        The folder is in use or cannot be written.
    Interrupted
        SIGINT or SIGTERM came; `resume` goes on.
    TrainingDiverged
        The loss is no longer a number.
    """
    if isinstance(recipe, recipes.Recipe):
        if settings or epochs is not None or seed is not None:
            raise UsageError(
                "settings, epochs and seed change a recipe as it is read; change a Recipe object "
                "with dataclasses.replace"
            )
        resolved = recipe
    else:
        resolved = recipes.load(recipe, settings, epochs=epochs, seed=seed)
    folder = Path("runs") / resolved.name if out is None else Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        advice = (
            f"go on with it by: autodenoise train --resume {folder}; or choose another with --out"
            if (folder / RECIPE_NAME).exists()
            else "choose another with --out"
        )
        raise OutputError(f"{folder} exists already; {advice}")
    chosen = _device(device)
    splits = datasets.load(resolved.data, on_bytes)
    training = _build(resolved, splits, chosen)
    make_folder(folder)
    write_text(folder / RECIPE_NAME, recipes.dump(resolved))
    write_text(folder / ENVIRONMENT_NAME, json.dumps(_environment(chosen), indent=2) + "\n")
    return _finish(Run(folder, resolved), training, splits, report)


def resume(
    folder: str | os.PathLike[str],
    *,
    device: str | None = None,
    report: Report | None = None,
    on_bytes: OnBytes | None = None,
) -> Run:
    """Go on with a run that was stopped or killed; a finished one is exported again.

    Parameters and errors are those of `train`, but that a run begun on the CPU stays there by
    default: only so does it end bit for bit as if it had not been stopped.
    """
    run = Run.open(folder)
    if device is None and run.environment().get("device") == "cpu":
        device = "cpu"
    splits = run.data(on_bytes)
    return _finish(run, _build(run.recipe, splits, _device(device)), splits, report)


def _device(name: str | None) -> torch.device:
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise UsageError(f"device is '{name}'; expected cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device can be used here; train on --device cpu")
    return torch.device(name)


def _build(recipe: Recipe, splits: datasets.Splits, device: torch.device) -> Training:
    images = splits.train.images
    untrained = network(recipe, splits.shape)
    # Whatever corrupting an image cannot do shows before a folder is made.
    Compose(recipe.noise)(datasets.as_float(images[:1]), generator(recipe.seed, "rehearsal"))
    same = splits.validation is splits.test
    return Training(
        network=untrained,
        phases=recipe.phase,
        noise=Compose(recipe.noise),
        train=images,
        validation=splits.validation.images,
        validation_part="test" if same else "validation",
        noisy_validation=recipe.validation == "noisy",
        copies=recipe.data.copies,
        seed=recipe.seed,
        device=device,
    )


def network(recipe: Recipe, shape: tuple[int, int, int]) -> Autoencoder:
    """Make a recipe's untrained network for images of a shape.

    Parameters
    ----------
    recipe
        Says which network, and seeds its weights.
    shape
        (channels, height, width).

    Raises
    ------
    UsageError
        The network cannot be made with these arguments, or cannot work on such images.
    """
    channels, height, width = shape
    # What the data decide, unless the recipe says otherwise.
    accepted = inspect.signature(nets.NETWORKS[recipe.network.name]).parameters
    inferred = {"channels": channels, "size": (height, width)}
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
        raise UsageError(
            f"the network {recipe.network.name} cannot work on images of {width}x{height} pixels "
            f"and {channels} channel(s){sides}. Choose another network, or bring the images to a "
            "size with [data] size = [height, width]"
        )
    return built


def _finish(run: Run, training: Training, splits: datasets.Splits, report: Report | None) -> Run:
    try:
        fit(training, run.folder, report or _Silent())
    except Interrupted:
        # What was learnt so far can be scored and used.
        _hand_over(run, training, splits)
        raise
    _hand_over(run, training, splits)
    return run


def _hand_over(run: Run, training: Training, splits: datasets.Splits) -> None:
    """Make what a run leaves for others: its model file and its report."""
    _export(run, training)
    write_report(run, splits)


def _export(run: Run, training: Training) -> None:
    network, recipe, rows = training.network, run.recipe, run.rows
    if recipe.keep == "best" and (run.folder / BEST_NAME).exists():
        load_weights(run.folder / BEST_NAME, network)
        rows = sorted(
            (row for row in rows if row.phase == rows[-1].phase), key=lambda r: -r.val_loss
        )
    fixed = network.multiple is None
    card = runtime.Card(
        name=recipe.name,
        network=recipe.network.name,
        arguments=network.arguments,
        channels=training.train.shape[1],
        size=tuple(training.train.shape[2:]) if fixed else None,  # type: ignore[arg-type]
        size_multiple=network.multiple or 1,
        halo=nets.halo(network),
        parameters=nets.parameter_count(network),
        noise=[dataclasses.asdict(part) for part in recipe.noise],
        # The name alone: a model file is passed on, and its maker's folders are nobody's business.
        data=Path(recipe.data.source).name,
        scores={"loss": rows[-1].loss, "val_loss": rows[-1].val_loss} if rows else {},
        source=recipe.source,
        licence=recipe.licence,
        version=metadata.version("autodenoise"),
    )
    export(network, card, run.folder / runtime.MODEL_NAME)


def _environment(device: torch.device) -> dict[str, str | int]:
    packages = ("autodenoise", "torch", "numpy", "onnxruntime")
    return {
        **{name: metadata.version(name) for name in packages},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
    }


def trained(run: Run, shape: tuple[int, int, int], phase: str | None = None) -> Autoencoder:
    """Make the network that a run has trained: what its model file holds, alive.

    Parameters
    ----------
    run
        The run.
    shape
        (channels, height, width) of its images.
    phase
        As it was at the end of this phase, which is not the last; by default as it is now.

    Raises
    ------
    InputError
        The weights are missing or damaged.
    """
    made = network(run.recipe, shape)
    if phase is not None:
        load_weights(run.folder / weights_name(phase), made)
    elif run.recipe.keep == "best":
        load_weights(run.folder / BEST_NAME, made)
    else:
        checkpoint = run.folder / CHECKPOINT_NAME
        restore(checkpoint, load_state(checkpoint)[1], made, None)
    return made.eval()
