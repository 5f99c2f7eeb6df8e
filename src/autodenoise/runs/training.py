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
from autodenoise.journal import Journal
from autodenoise.noise import Compose
from autodenoise.runs.estimation import assess, caution
from autodenoise.runs.listeners import Listeners
from autodenoise.runs.measured_noise import noise_of
from autodenoise.runs.networks import check_sides, network, origin
from autodenoise.runs.report import write as write_report
from autodenoise.runs.run import ENVIRONMENT_NAME, RECIPE_NAME, Run
from autodenoise.runtime.card import as_name
from autodenoise.training.checkpoint import (
    load_weights,
    save_weights,
)
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
    "Sitting",
    "choose_device",
    "reopen",
    "resolve",
    "resume",
    "start",
    "train",
]


TENSORBOARD_NAME = "tensorboard"
# What a run that does not start from random weights starts from, wherever that goes later.
_START_NAME = "start.safetensors"
_REHEARSED = 256


def train(
    recipe: str | Path | Recipe | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    own: OwnData | None = None,
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
    """Train what a recipe says, or what one's own pictures allow.

    Parameters
    ----------
    recipe
        A built-in name, the path of a ``.toml`` file, or a `Recipe`; None: the one for pictures
        like `own`.
    out
        The run folder to make; by default ``runs/`` and the recipe's name. Must not exist, or be
        empty.
    own
        Pictures to learn from; not with a `Recipe` object.
    settings, epochs, minutes, seed
        Changes to the recipe, see `autodenoise.recipes.load`; not with a `Recipe` object.
    device
        ``"cpu"`` or ``"cuda"``; by default CUDA where there is a device.
    tensorboard
        Write curves, pictures and hyperparameters for TensorBoard, in the run folder's
        ``tensorboard/``.
    report, on_bytes
        Hear how training and downloads go.
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
    resolved = resolve(recipe, settings, own=own, epochs=epochs, minutes=minutes, seed=seed)
    folder = Path("runs") / resolved.name if out is None else Path(out)
    in_use = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if world.is_main and in_use:
        advice = (
            f"go on with it by: autodenoise train --resume {quoted(folder)}; "
            "or choose another with --out"
            if (folder / RECIPE_NAME).exists()
            else "choose another with --out"
        )
        raise OutputError(f"{folder} exists already; {advice}")
    if tensorboard:
        _find_tensorboard()
    sitting = start(resolved, folder, device, on_bytes, world)
    return _finish(sitting, report, tensorboard=tensorboard)


def resume(
    folder: str | os.PathLike[str],
    *,
    device: str | None = None,
    tensorboard: bool = False,
    report: TrainingCallback | None = None,
    on_bytes: OnBytes | None = None,
    world: World = SINGLE_PROCESS,
) -> Run:
    """Go on with a run that was stopped or killed; a finished one is exported again.

    Parameters and errors are those of `train`, but that a run begun on the CPU stays there by
    default: only so does it end bit for bit as if it had not been stopped. One that was begun with
    `tensorboard` goes on with it.
    """
    path = Path(folder)
    tensorboard = tensorboard or (path / TENSORBOARD_NAME).is_dir()
    if tensorboard:
        _find_tensorboard()
    sitting = reopen(path, device, on_bytes, world)
    return _finish(sitting, report, tensorboard=tensorboard)


class Sitting(NamedTuple):
    """A run and what it takes to train it."""

    run: Run
    training: Training
    splits: datasets.Splits


def start(
    recipe: Recipe,
    folder: Path,
    device: str | None,
    on_bytes: OnBytes | None,
    world: World = SINGLE_PROCESS,
) -> Sitting:
    """Make the run folder of a recipe that is to be trained.

    Raises
    ------
    UsageError, InputError, OutputError
        As `train`; nothing is made of what cannot be trained.
    """
    chosen = choose_device(device, world)
    with world.local_main_first():
        splits = datasets.load(recipe.data, on_bytes)
    training = _build(recipe, splits, chosen, world)
    begun = ""
    if recipe.start:
        card = initialize_from(runtime.find(recipe.start), training.network)
        # A card has a line for it: of very many sittings the first are not told.
        begun = card.name + (f" ({card.compute})" if 0 < len(card.compute) < 700 else "")
    sitting = Sitting(Run(folder, recipe), training, splits)
    # Until the others can train it too.
    world.barrier()
    if not world.is_main:
        return sitting
    make_folder(folder)
    if (folder / RECIPE_NAME).exists():
        raise OutputError(f"another training has begun in {folder}; choose another with --out")
    if recipe.start:
        save_weights(folder / _START_NAME, training.network)
    write_text(folder / RECIPE_NAME, recipes.dump(recipe))
    environment = {**_environment(training), **({"begun_from": begun} if begun else {})}
    if splits.digest:
        environment["division"] = splits.digest
    write_text(folder / ENVIRONMENT_NAME, json.dumps(environment, indent=2) + "\n")
    return sitting


def reopen(
    folder: Path, device: str | None, on_bytes: OnBytes | None, world: World = SINGLE_PROCESS
) -> Sitting:
    """Open a run that is to be gone on with.

    Raises
    ------
    UsageError, InputError
        As `resume`.
    """
    run = Run.open(folder)
    if device is None and run.environment().get("device") == "cpu":
        device = "cpu"
    with world.local_main_first():
        splits = run.data(on_bytes)
    training = _build(run.recipe, splits, choose_device(device, world), world)
    if run.recipe.start:
        load_weights(run.folder / _START_NAME, training.network)
    return Sitting(run, training, splits)


def resolve(
    recipe: str | Path | Recipe | None,
    settings: Iterable[str] = (),
    *,
    own: OwnData | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
) -> Recipe:
    """Read a recipe with changes; a `Recipe` is taken as it is.

    Raises
    ------
    UsageError
        There are changes to a `Recipe`, or a name or value means nothing.
    InputError
        The file is missing or is not TOML.
    """
    if not isinstance(recipe, recipes.Recipe):
        return recipes.load(recipe, settings, own=own, epochs=epochs, minutes=minutes, seed=seed)
    if settings or any(value is not None for value in (own, epochs, minutes, seed)):
        raise UsageError(
            "own, settings, epochs, minutes and seed change a recipe as it is read; change a "
            "Recipe object with dataclasses.replace"
        )
    return recipe


def choose_device(name: str | None, world: World = SINGLE_PROCESS) -> torch.device:
    """Give the device of this name; without one CUDA's where there is any.

    Each of several processes on a machine gets a CUDA device of its own.

    Raises
    ------
    UsageError
        There is no such device.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise UsageError(f"device is '{name}'; expected cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device can be used here; train on --device cpu")
    if name == "cuda" and world.size > 1:
        if world.local_rank >= torch.cuda.device_count():
            raise UsageError(
                f"this machine has {torch.cuda.device_count()} CUDA device(s); start no more "
                "processes on it, or train on --device cpu"
            )
        torch.cuda.set_device(world.local_rank)
    return torch.device(name)


def _build(recipe: Recipe, splits: datasets.Splits, device: torch.device, world: World) -> Training:
    data, noise = recipe.data, Compose(noise_of(recipe, splits))
    for name, phase in recipe.phase.items():
        if phase.batch_size < world.size:
            raise UsageError(
                f"phase.{name}.batch_size is {phase.batch_size}, which {world.size} processes "
                "cannot share; start fewer, or take a larger one"
            )
    untrained = network(recipe, splits.shape, splits.normalization)
    # Whatever corrupting an image cannot do shows before a folder is made; with so many small ones,
    # each way of a mixture does.
    few = splits.train.images[:1, :, :16, :16].expand(_REHEARSED, -1, -1, -1)
    noise(as_float(few), generator(recipe.seed, "rehearsal"))
    same = splits.validation is splits.test
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
    watched = splits.validation
    return Training(
        network=untrained,
        phases=recipe.phase,
        noise=noise,
        train=train,
        validation=Batch(
            watched.images if data.supervision in ("clean", "paired") else None,
            watched.noisy,
            watched.again,
        ),
        validation_split="test" if same else "validation",
        noisy_validation=recipe.validation == "noisy",
        samples=data.samples or data.copies * len(train),
        seed=recipe.seed,
        device=device,
        recipe_text=origin(recipe),
        notes=(*splits.notes, *caution(recipe, splits)),
        world=world,
    )


def _find_tensorboard() -> None:
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingExtra("tensorboard", extra_of("tensorboard"))


def _finish(sitting: Sitting, report: TrainingCallback | None, *, tensorboard: bool) -> Run:
    run, is_first = sitting.run, sitting.training.world.is_main
    reports = [report] if report is not None and is_first else []
    with contextlib.ExitStack() as held:
        if is_first:
            # Two that write the same checkpoints would undo each other's steps.
            held.enter_context(Journal(run.folder / ".lock"))
        try:
            with contextlib.ExitStack() as files:
                if tensorboard and is_first:
                    from autodenoise.runs.tensorboard import Tracking, hyperparameters

                    tracking = Tracking(run.folder / TENSORBOARD_NAME, hyperparameters(run.recipe))
                    reports.append(files.enter_context(tracking))
                fit(sitting.training, run.folder, Listeners(*reports))
        except Interrupted:
            # What was learnt so far can be scored and used.
            _hand_over(sitting)
            raise
        _hand_over(sitting)
    return run


def _hand_over(sitting: Sitting) -> None:
    """Make what a run leaves for others: its model file, how good it is, and its report."""
    world = sitting.training.world
    if world.is_main:
        splits, train = sitting.splits, sitting.training.train
        _export(sitting)
        assess(sitting.run, splits)
        if isinstance(train, Crops):
            splits = splits._replace(notes=(*splits.notes, *train.notes))
        write_report(sitting.run, splits)
    # A process that leaves early is taken by torchrun for one that failed.
    world.barrier()


def _export(sitting: Sitting) -> None:
    run, training, scale = sitting.run, sitting.training, sitting.splits.intensity_range
    network, recipe, rows = training.network, run.recipe, run.rows
    if recipe.keep == "best" and (run.folder / BEST_NAME).exists():
        load_weights(run.folder / BEST_NAME, network)
        rows = sorted(
            (row for row in rows if row.phase == rows[-1].phase), key=lambda r: -r.val_loss
        )
    fixed = network.multiple is None
    channels, height, width = training.validation.shape
    card = runtime.Card(
        name=recipe.name,
        network=recipe.network.name,
        arguments=network.arguments,
        channels=channels,
        size=(height, width) if fixed else None,
        size_multiple=network.multiple or 1,
        halo=nets.halo(network),
        range=None if scale is None else (scale.low, scale.high),
        parameters=nets.parameter_count(network),
        noise=[dataclasses.asdict(part) for part in noise_of(recipe, sitting.splits)],
        # The name alone: a model file is passed on, and its maker's folders are nobody's business.
        data=as_name(Path(recipe.data.source).name),
        scores={"loss": rows[-1].loss, "val_loss": rows[-1].val_loss} if rows else {},
        compute=_compute(run, training),
        limits=" ".join(recipe.limits.split()),
        source=" ".join(recipe.source.split()),
        licence=" ".join(recipe.licence.split()),
        version=metadata.version("autodenoise"),
    )
    export(network, card, run.folder / runtime.MODEL_NAME)


def _compute(run: Run, training: Training) -> str:
    """Say what training has taken so far."""
    rows, told = run.rows, run.environment()
    _, height, width = training.validation.shape
    pixels = 0.0
    for name, phase in run.recipe.phase.items():
        side = phase.crop or run.recipe.data.crop
        area = height * width if side is None else side**2
        pixels += area * sum(r.images_per_second * r.seconds for r in rows if r.phase == name)
    minutes = sum(row.seconds for row in rows) / 60
    machine = f"{told.get('device', 'cpu')}, {told.get('threads', '?')} thread(s)"
    if "processes" in told:
        machine = f"{told['processes']} processes, each on {machine}"
    said = f"{minutes:.0f} minutes on {machine}, {pixels:.3g} pixels"
    return f"{said}, begun from {told['begun_from']}" if "begun_from" in told else said


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
