"""Runs: from a recipe to a folder with a model file, and from such a folder to scores.

A run folder holds::

    recipe.toml              the recipe in full
    environment.json         versions and machine
    metrics.csv              an epoch a line
    checkpoint.safetensors   where training stands
    best.safetensors         the weights of the lowest validation loss
    model.onnx               the model file, once training is over or was stopped
    evaluation.json          scores on the test images, and
    figures/denoised.png     a picture of some, once evaluated
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from autodenoise import nets, recipes, runtime
from autodenoise.errors import InputError, Interrupted, OutputError, UsageError
from autodenoise.evaluation import figures
from autodenoise.evaluation.scores import Evaluation, Scores
from autodenoise.evaluation.scores import evaluate as score
from autodenoise.files import make_folder, write_text
from autodenoise.images import to_float
from autodenoise.learning import data as datasets
from autodenoise.learning.checkpoint import load_weights
from autodenoise.learning.export import export
from autodenoise.learning.history import Row, read_metrics
from autodenoise.learning.loop import (
    BEST_NAME,
    METRICS_NAME,
    Report,
    Training,
    corrupt,
    fit,
)
from autodenoise.learning.randomness import generator
from autodenoise.noise import Compose

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autodenoise.learning.download import OnBytes
    from autodenoise.learning.loop import Status
    from autodenoise.recipes import Recipe

__all__ = [
    "EVALUATION_NAME",
    "FIGURE_NAME",
    "RECIPE_NAME",
    "Run",
    "evaluate",
    "resume",
    "size",
    "train",
]

RECIPE_NAME = "recipe.toml"
EVALUATION_NAME = "evaluation.json"
ENVIRONMENT_NAME = "environment.json"
FIGURE_NAME = "figures/denoised.png"


class _Silent:
    """A report that nobody hears."""

    def step(self, status: Status) -> None:
        """Say nothing."""

    def epoch(self, row: Row) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes
    ----------
    folder
        Where it is.
    recipe
        What was, or is being, trained.
    """

    folder: Path
    recipe: Recipe

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Run:
        """Open an existing run folder.

        Raises
        ------
        InputError
            It is none.
        """
        path = Path(folder)
        if not (path / RECIPE_NAME).is_file():
            raise InputError(f"{path} is no run folder: it has no {RECIPE_NAME}")
        return cls(path, recipes.load(path / RECIPE_NAME))

    @property
    def rows(self) -> list[Row]:
        """The epochs that are done."""
        metrics = self.folder / METRICS_NAME
        return read_metrics(metrics) if metrics.exists() else []

    def environment(self) -> dict[str, str | int]:
        """Read the versions and the machine that it was begun with; empty if nobody can tell."""
        try:
            told = json.loads((self.folder / ENVIRONMENT_NAME).read_text())
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def model(self) -> runtime.Model:
        """Load the model file."""
        return runtime.load(self.folder)


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
    return _finish(Run(folder, resolved), training, report)


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
    splits = datasets.load(run.recipe.data, on_bytes)
    return _finish(run, _build(run.recipe, splits, _device(device)), report)


def _device(name: str | None) -> torch.device:
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise UsageError(f"device is '{name}'; expected cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device can be used here; train on --device cpu")
    return torch.device(name)


def _build(recipe: Recipe, splits: datasets.Splits, device: torch.device) -> Training:
    channels, height, width = splits.train.shape[1:]
    # What the data decide, unless the recipe says otherwise.
    accepted = inspect.signature(nets.NETWORKS[recipe.network.name]).parameters
    inferred = {"channels": channels, "size": (height, width)}
    arguments = {key: value for key, value in inferred.items() if key in accepted}
    arguments.update(recipe.network.arguments)
    try:
        network = nets.build(
            recipe.network.name, arguments, generator(recipe.seed, "initial weights")
        )
    except (ArithmeticError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"the network {recipe.network.name} cannot be made with {arguments}: {error}"
        ) from None
    _check_fit(network, splits.train, recipe)
    # Whatever corrupting an image cannot do shows before a folder is made.
    Compose(recipe.noise)(datasets.as_float(splits.train[:1]), generator(recipe.seed, "rehearsal"))
    same = splits.validation is splits.test
    return Training(
        network=network,
        phases=recipe.phase,
        noise=Compose(recipe.noise),
        train=splits.train,
        validation=splits.validation,
        validation_part="test" if same else "validation",
        noisy_validation=recipe.validation == "noisy",
        copies=recipe.data.copies,
        seed=recipe.seed,
        device=device,
    )


@torch.no_grad()
def _check_fit(network: nets.Autoencoder, images: torch.Tensor, recipe: Recipe) -> None:
    shape = (1, *images.shape[1:])
    try:
        fits = network(torch.zeros(shape)).shape == shape
    except RuntimeError:
        fits = False
    if not fits:
        channels, height, width = shape[1:]
        sides = f"; its sides must be multiples of {network.multiple}" if network.multiple else ""
        raise UsageError(
            f"the network {recipe.network.name} cannot work on images of {width}x{height} pixels "
            f"and {channels} channel(s){sides}. Choose another network, or bring the images to a "
            "size with [data] size = [height, width]"
        )


def _finish(run: Run, training: Training, report: Report | None) -> Run:
    try:
        fit(training, run.folder, report or _Silent())
    except Interrupted:
        # What was learnt so far can be scored and used.
        _export(run, training)
        raise
    _export(run, training)
    return run


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


def size(recipe: Recipe) -> int:
    """Count the parameters of a recipe's network, with the arguments that it states."""
    network = nets.build(recipe.network.name, recipe.network.arguments, generator(0, "size"))
    return nets.parameter_count(network)


def evaluate(folder: str | os.PathLike[str], *, on_bytes: OnBytes | None = None) -> Evaluation:
    """Score a run's model file on its test images, and draw ten of them.

    The noise is the recipe's, drawn as validation drew it where both are the same images. The
    scores go to ``evaluation.json`` and the picture to ``figures/denoised.png`` in the folder.

    Raises
    ------
    InputError
        The folder is no run, its training is not over, or its data are missing.
    OutputError
        The folder cannot be written.
    """
    run = Run.open(folder)
    model = run.model()
    clean_pixels = datasets.load(run.recipe.data, on_bytes).test
    noise = Compose(run.recipe.noise)
    noisy = corrupt(noise, clean_pixels, run.recipe.seed, "test").permute(0, 2, 3, 1).numpy()
    clean = to_float(clean_pixels.permute(0, 2, 3, 1).numpy())
    evaluation, denoised = score(model, noisy, clean)
    make_folder((run.folder / FIGURE_NAME).parent)
    content = json.dumps(dataclasses.asdict(evaluation), indent=2, allow_nan=False) + "\n"
    write_text(run.folder / EVALUATION_NAME, content)
    before, after = evaluation.noisy, evaluation.denoised
    rows = {
        "clean": clean[:10],
        _label("noisy", before): noisy[:10],
        _label("denoised", after): denoised[:10],
    }
    title = f"{run.recipe.name}: the first test images"
    figures.save(figures.image_rows(rows, title), run.folder / FIGURE_NAME)
    return evaluation


def _label(name: str, scores: Scores) -> str:
    return name if scores.psnr is None else f"{name}\n{scores.psnr:.1f} dB"
