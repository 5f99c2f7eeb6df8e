"""``autodenoise train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autodenoise.cli.options import Device, Epochs, Seed, Settings

if TYPE_CHECKING:
    from autodenoise.data.spec import Supervision

__all__ = ["train"]


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="The name of a built-in recipe (see autodenoise recipes) or a .toml file.",
            show_default=False,
        ),
    ] = None,
    clean: Annotated[
        Path | None,
        typer.Option(help="Train on a folder of clean images, with noise added (see --noise)."),
    ] = None,
    pairs: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="NOISY CLEAN", help="Train on two folders: images with the same name are pairs."
        ),
    ] = None,
    repeats: Annotated[
        Path | None,
        typer.Option(help="Train on several noisy shots of each scene: one subfolder per scene."),
    ] = None,
    noisy: Annotated[
        Path | None, typer.Option(help="Train on noisy images alone: a folder, or one file.")
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(
            help="The noise to add to clean images, or that noisy images have: gaussian:25, "
            "gaussian:0-55, poisson:30, or a noise profile (see autodenoise noise-profile)."
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Resume this run from its last checkpoint.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Start from the weights of a shipped model, a model file or a run folder.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder to create.", show_default="runs/RECIPE")
    ] = None,
    settings: Settings = None,
    epochs: Epochs = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Train for this time instead of a number of epochs; the learning rate schedule "
            "follows the clock."
        ),
    ] = None,
    seed: Seed = None,
    device: Device = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write curves and images for TensorBoard.")
    ] = False,
) -> None:
    """Train a denoising autoencoder.

    Train a recipe, or on your own images: --clean, --pairs, --repeats or --noisy. Ctrl-C stops the
    training and keeps its checkpoint and model file.
    """
    import json

    from rich.console import Console

    from autodenoise import runs
    from autodenoise.cli.progress import Downloads, TrainingProgress
    from autodenoise.errors import UsageError
    from autodenoise.files import quoted
    from autodenoise.noise_estimation import summary
    from autodenoise.noise_estimation.estimate import QualityEstimate
    from autodenoise.recipes import OwnData
    from autodenoise.runs import report, results
    from autodenoise.training.distributed import join_world

    images: dict[Supervision, object] = {
        "clean": clean,
        "paired": pairs,
        "repeats": repeats,
        "noisy-only": noisy,
    }
    given: list[Supervision] = [kind for kind, paths in images.items() if paths is not None]
    source, targets = pairs or (clean or repeats or noisy, None)
    # Around the checks of the arguments too, so that only the first process reports an error.
    with join_world() as world:
        changes = (recipe, noise, start, out, settings, epochs, minutes, seed, source)
        if resume is not None and any(change is not None for change in changes):
            raise UsageError(
                "--resume continues with the recipe, data and folder of the run; remove all "
                "options but --device and --tensorboard"
            )
        if len(given) > 1:
            raise UsageError("use only one of --clean, --pairs, --repeats and --noisy")
        if source is None and noise is not None:
            raise UsageError(
                "--noise belongs to --clean or --noisy; to change a recipe, use --set noise=..."
            )
        own_data = None
        if source is not None:
            own_data = OwnData(given[0], source, targets, noise=noise or "", start=start or "")
        console = Console(quiet=not world.is_main)
        with Downloads(console) as downloads, TrainingProgress(console) as progress:
            if resume is not None:
                run = runs.resume(
                    resume,
                    device=device,
                    tensorboard=tensorboard,
                    report=progress,
                    on_bytes=downloads,
                    world=world,
                )
            else:
                if start is not None and own_data is None:
                    # TOML does not allow the surrogate pairs that JSON writes by default.
                    settings = [*(settings or ()), f"start={json.dumps(start, ensure_ascii=False)}"]
                run = runs.train(
                    recipe,
                    out,
                    own_data=own_data,
                    settings=settings or (),
                    epochs=epochs,
                    minutes=minutes,
                    seed=seed,
                    device=device,
                    tensorboard=tensorboard,
                    report=progress,
                    on_bytes=downloads,
                    world=world,
                )
        if not world.is_main:
            return
        events = run.folder / runs.TENSORBOARD_NAME
        if events.is_dir():
            typer.echo(f"see the curves with:\n  tensorboard --logdir {quoted(events)}")
        estimate, _ = results.read(run.folder, results.ESTIMATE_NAME, QualityEstimate)
        if estimate is not None:
            typer.echo(summary.headline(estimate))
        typer.echo(
            f"the model file and {report.REPORT_NAME} are in {run.folder}; score the model with:"
        )
        typer.echo(f"  autodenoise evaluate {quoted(run.folder)}")
