"""Training: from a recipe to a run folder with a model file."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from autodenoise import nets, recipes, runtime
from autodenoise.data import dataset as datasets
from autodenoise.data.crops import Batch, Crops, as_float
from autodenoise.data.streaming import crops_of
from autodenoise.errors import Interrupted, MissingExtra, OutputError, UsageError, extra_of
from autodenoise.export.from_onnx import initialize_from
from autodenoise.export.to_onnx import export
from autodenoise.files import make_folder, quoted, write_text
from autodenoise.locks import LockedFile
from autodenoise.noise import Compose
from autodenoise.runs.callbacks import CallbackList
from autodenoise.runs.estimation import estimate_quality, noise_warnings
from autodenoise.runs.networks import check_sides, fingerprint, network
from autodenoise.runs.report import write as write_report
from autodenoise.runs.run import ENVIRONMENT_NAME, RECIPE_NAME, Run
from autodenoise.runs.training_noise import training_noise
from autodenoise.runtime.card import as_name
from autodenoise.training.checkpoint import load_weights, save_weights
from autodenoise.training.distributed import SINGLE_PROCESS, World
from autodenoise.training.loop import BEST_NAME, fit
from autodenoise.training.randomness import generator
from autodenoise.training.state import Training
from autodenoise.training.validation import draw_repeats

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autodenoise.data.download import OnBytes
    from autodenoise.recipes import OwnData, Recipe
    from autodenoise.training.state import TrainingCallback

__all__ = [
    "TENSORBOARD_NAME",
    "PreparedRun",
    "choose_device",
    "reopen",
    "resolve",
    "resume",
    "start",
    "train",
]


TENSORBOARD_NAME = "tensorboard"
# A copy of the start weights: the original may change or move later.
_START_NAME = "start.safetensors"
_TRIAL_IMAGES = 256


def train(
    recipe: str | Path | Recipe | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    own_data: OwnData | None = None,
    settings: Iterable[str] = (),
    epochs: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    device: str | None = None,
    tensorboard: bool = False,
    report: TrainingCallback | None = None,
    on_bytes: OnBytes | None = None,
    world: World = SINGLE_PROCESS,
) -> Run:
    """Train a recipe, or a model for the user's own images.

    Parameters
    ----------
    recipe
        The name of a built-in recipe, the path of a ``.toml`` file, or a `Recipe`. By default the
        built-in recipe for `own_data`.
    out
        The run folder to create, by default ``runs/`` and the name of the recipe. It must be empty
        or not exist.
    own_data
        The user's own images to train on; not with a `Recipe` object.
    settings, epochs, minutes, seed
        Changes to the recipe, see `autodenoise.recipes.load`; not with a `Recipe` object.
    device
        ``"cpu"`` or ``"cuda"``; by default CUDA if available.
    tensorboard
        Write curves, images and hyperparameters for TensorBoard, to ``tensorboard/`` in the run
        folder.
    report, on_bytes
        Callbacks for the progress of training and of downloads.
    world
        The processes that train together, from `autodenoise.training.distributed.join_world`. Only
        the main one writes and reports.

    Returns
    -------
    Run
        The finished run, with its model file.

    Raises
    ------
    UsageError
        The recipe or a setting is invalid.
    InputError
        The data are missing or damaged.
    OutputError
        The folder is in use or cannot be written.
    Interrupted
        SIGINT or SIGTERM was received; `resume` continues.
    TrainingDiverged
        The loss became NaN or infinite.
    """
    resolved = resolve(
        recipe, settings, own_data=own_data, epochs=epochs, minutes=minutes, seed=seed
    )
    folder = Path("runs") / resolved.name if out is None else Path(out)
    in_use = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if world.is_main and in_use:
        advice = (
            f"resume it with: autodenoise train --resume {quoted(folder)}; or "
            if (folder / RECIPE_NAME).exists()
            else ""
        )
        raise OutputError(f"{folder} exists already; {advice}choose another folder with --out")
    if tensorboard:
        _find_tensorboard()
    prepared = start(resolved, folder, device, on_bytes, world)
    return _finish(prepared, report, tensorboard=tensorboard)


def resume(
    folder: str | os.PathLike[str],
    *,
    device: str | None = None,
    tensorboard: bool = False,
    report: TrainingCallback | None = None,
    on_bytes: OnBytes | None = None,
    world: World = SINGLE_PROCESS,
) -> Run:
    """Resume a run from its last checkpoint; export a finished one again.

    The parameters and errors are those of `train`. A run that began on the CPU stays there by
    default, so that the result is bit for bit that of an uninterrupted run. A run that began with
    `tensorboard` continues with it.
    """
    path = Path(folder)
    tensorboard = tensorboard or (path / TENSORBOARD_NAME).is_dir()
    if tensorboard:
        _find_tensorboard()
    prepared = reopen(path, device, on_bytes, world)
    return _finish(prepared, report, tensorboard=tensorboard)


class PreparedRun(NamedTuple):
    """A run that is ready to train."""

    run: Run
    training: Training
    splits: datasets.Splits


def start(
    recipe: Recipe,
    folder: Path,
    device: str | None,
    on_bytes: OnBytes | None,
    world: World = SINGLE_PROCESS,
) -> PreparedRun:
    """Create the run folder of a recipe, unless it cannot be trained."""
    chosen = choose_device(device, world)
    with world.local_main_first():
        splits = datasets.load(recipe.data, on_bytes)
    training = _build(recipe, splits, chosen, world)
    started_from = ""
    if recipe.start:
        card = initialize_from(runtime.find_model(recipe.start), training.network)
        # Leave out a long history, since a card has one line for all of it.
        started_from = card.name + (f" ({card.compute})" if 0 < len(card.compute) < 700 else "")
    prepared = PreparedRun(Run(folder, recipe), training, splits)
    # Wait until all processes are ready, before anything is written.
    world.barrier()
    if not world.is_main:
        return prepared
    make_folder(folder)
    if (folder / RECIPE_NAME).exists():
        raise OutputError(
            f"another process has begun to train in {folder}; choose another folder with --out"
        )
    if recipe.start:
        save_weights(folder / _START_NAME, training.network)
    write_text(folder / RECIPE_NAME, recipes.dump(recipe))
    added = {"begun_from": started_from, "division": splits.digest}
    environment = _environment(training) | {key: value for key, value in added.items() if value}
    write_text(folder / ENVIRONMENT_NAME, json.dumps(environment, indent=2) + "\n")
    return prepared


def reopen(
    folder: Path, device: str | None, on_bytes: OnBytes | None, world: World = SINGLE_PROCESS
) -> PreparedRun:
    """Open a run to resume it."""
    run = Run.open(folder)
    if device is None and run.environment().get("device") == "cpu":
        device = "cpu"
    with world.local_main_first():
        splits = run.data(on_bytes)
    training = _build(run.recipe, splits, choose_device(device, world), world)
    if run.recipe.start:
        load_weights(run.folder / _START_NAME, training.network)
    return PreparedRun(run, training, splits)


def resolve(
    recipe: str | Path | Recipe | None,
    settings: Iterable[str] = (),
    *,
    own_data: OwnData | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
) -> Recipe:
    """Load a recipe with changed settings; return a `Recipe` unchanged."""
    if not isinstance(recipe, recipes.Recipe):
        return recipes.load(
            recipe, settings, own=own_data, epochs=epochs, minutes=minutes, seed=seed
        )
    if settings or any(value is not None for value in (own_data, epochs, minutes, seed)):
        raise UsageError(
            "own_data, settings, epochs, minutes and seed apply to recipes loaded by name; change "
            "a Recipe object with dataclasses.replace"
        )
    return recipe


def choose_device(name: str | None, world: World = SINGLE_PROCESS) -> torch.device:
    """Return a device by name, by default CUDA if available.

    Each process on a machine gets a CUDA device of its own.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise UsageError(f"device is '{name}'; expected cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device is available; use --device cpu")
    if name == "cuda" and world.size > 1:
        if world.local_rank >= torch.cuda.device_count():
            raise UsageError(
                f"this machine has {torch.cuda.device_count()} CUDA device(s); start at most that "
                "many processes on it, or use --device cpu"
            )
        torch.cuda.set_device(world.local_rank)
    return torch.device(name)


def _build(recipe: Recipe, splits: datasets.Splits, device: torch.device, world: World) -> Training:
    data, noise = recipe.data, Compose(training_noise(recipe, splits))
    for name, phase in recipe.phase.items():
        if phase.batch_size < world.size:
            raise UsageError(
                f"phase.{name}.batch_size is {phase.batch_size}, too small for {world.size} "
                "processes; start fewer processes or use a larger batch_size"
            )
    untrained = network(recipe, splits.shape, splits.normalization)
    # Apply the noise before a folder is created, so that errors show early. The number of images
    # is large enough that a mixture draws each of its parts.
    few = splits.train.images[:1, :, :16, :16].expand(_TRIAL_IMAGES, -1, -1, -1)
    noise(as_float(few), generator(recipe.seed, "rehearsal"))
    train: torch.Tensor | Crops = splits.train.images
    check_sides(recipe, untrained, splits.shape)
    if data.crop is not None:
        images, supervision = splits.train.full_images, data.supervision
        if data.shots is not None:
            images = tuple(draw_repeats(noise, images, data.shots, recipe.seed))
            supervision = "noisy-only" if data.shots == 1 else "repeats"
        train = crops_of(
            images,
            data.crop,
            shrink=data.shrink,
            shuffle_channels=data.shuffle_channels,
            supervision=supervision,
            device=device,
        )
    validation = splits.validation
    return Training(
        network=untrained,
        phases=recipe.phase,
        noise=noise,
        train=train,
        validation=Batch(
            validation.images if data.supervision in ("clean", "paired") else None,
            validation.noisy,
            validation.again,
        ),
        validation_split="test" if validation is splits.test else "validation",
        noisy_validation=recipe.validation == "noisy",
        samples=data.samples or data.copies * len(train),
        seed=recipe.seed,
        device=device,
        recipe_text=fingerprint(recipe),
        notes=(*splits.notes, *noise_warnings(recipe, splits)),
        world=world,
    )


def _find_tensorboard() -> None:
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingExtra("tensorboard", extra_of("tensorboard"))


def _finish(prepared: PreparedRun, report: TrainingCallback | None, *, tensorboard: bool) -> Run:
    run, is_first = prepared.run, prepared.training.world.is_main
    reports = [report] if report is not None and is_first else []
    with contextlib.ExitStack() as files:
        if is_first:
            # Two processes that write the same checkpoints would undo each other's steps.
            files.enter_context(LockedFile(run.folder / ".lock"))
        try:
            if tensorboard and is_first:
                from autodenoise.runs.tensorboard import Tracking, hyperparameters

                tracking = Tracking(run.folder / TENSORBOARD_NAME, hyperparameters(run.recipe))
                reports.append(files.enter_context(tracking))
            fit(prepared.training, run.folder, CallbackList(*reports))
        except Interrupted:
            # The model so far can be scored and used.
            _write_outputs(prepared)
            raise
        _write_outputs(prepared)
    return run


def _write_outputs(prepared: PreparedRun) -> None:
    """Write the model file, the quality estimate and the report."""
    world = prepared.training.world
    if world.is_main:
        splits, train = prepared.splits, prepared.training.train
        _export(prepared)
        estimate_quality(prepared.run, splits)
        if isinstance(train, Crops):
            splits = splits._replace(notes=(*splits.notes, *train.notes))
        write_report(prepared.run, splits)
    # torchrun takes a process that exits early for a failed one.
    world.barrier()


def _export(prepared: PreparedRun) -> None:
    run, training, splits = prepared
    intensity_range = splits.intensity_range
    network, recipe, rows = training.network, run.recipe, run.rows
    if recipe.keep == "best" and (run.folder / BEST_NAME).exists():
        load_weights(run.folder / BEST_NAME, network)
        rows = sorted(
            (row for row in rows if row.phase == rows[-1].phase), key=lambda r: -r.val_loss
        )
    channels, height, width = training.validation.shape
    card = runtime.Card(
        name=recipe.name,
        network=recipe.network.name,
        arguments=network.arguments,
        channels=channels,
        size=None if network.multiple else (height, width),
        size_multiple=network.multiple or 1,
        halo=nets.halo(network),
        range=None if intensity_range is None else (intensity_range.low, intensity_range.high),
        parameters=nets.parameter_count(network),
        noise=[dataclasses.asdict(part) for part in training_noise(recipe, splits)],
        # Only the name: model files are shared, and paths are private.
        data=as_name(Path(recipe.data.source).name),
        scores={"loss": rows[-1].loss, "val_loss": rows[-1].val_loss} if rows else {},
        compute=_compute(run, training),
        limits=" ".join(recipe.limits.split()),
        source=" ".join(recipe.source.split()),
        license=" ".join(recipe.license.split()),
        version=metadata.version("autodenoise"),
    )
    export(network, card, run.folder / runtime.MODEL_NAME)


def _compute(run: Run, training: Training) -> str:
    """Describe the compute that training has used so far."""
    rows, environment = run.rows, run.environment()
    _, height, width = training.validation.shape
    pixels = 0.0
    for name, phase in run.recipe.phase.items():
        side = phase.crop or run.recipe.data.crop
        area = height * width if side is None else side**2
        pixels += area * sum(r.images_per_second * r.seconds for r in rows if r.phase == name)
    minutes = sum(row.seconds for row in rows) / 60
    machine = f"{environment.get('device', 'cpu')}, {environment.get('threads', '?')} thread(s)"
    if "processes" in environment:
        machine = f"{environment['processes']} processes, each on {machine}"
    start = f", begun from {environment['begun_from']}" if "begun_from" in environment else ""
    return f"{minutes:.0f} minutes on {machine}, {pixels:.3g} pixels{start}"


def _environment(training: Training) -> dict[str, str | int]:
    packages = ("autodenoise", "torch", "numpy", "onnxruntime")
    device, count = training.device, training.world.size
    return {
        **{name: metadata.version(name) for name in packages},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        **({"processes": count} if count > 1 else {}),
    }
