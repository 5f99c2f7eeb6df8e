"""``autodenoise train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from autodenoise.data.spec import Supervision
    from autodenoise.recipes import OwnData

__all__ = ["train"]


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(help="A built-in recipe's name (see: autodenoise recipes) or a .toml file."),
    ] = None,
    clean: Annotated[
        Path | None,
        typer.Option(help="Learn from these clean pictures, with noise put on them (see --noise)."),
    ] = None,
    pairs: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="NOISY CLEAN", help="Learn from two folders: pictures of one name are pairs."
        ),
    ] = None,
    repeats: Annotated[
        Path | None,
        typer.Option(help="Learn from several noisy shots of each scene: a folder for each."),
    ] = None,
    noisy: Annotated[
        Path | None,
        typer.Option(help="Learn from noisy pictures alone: a folder, or one file."),
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(
            help="What is put on clean pictures, or what noisy ones have: gaussian:25, "
            "gaussian:0-55, poisson:30, or the file of a noise profile."
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with this run folder instead, exactly where it stopped."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Start from this model's weights: a shipped model, a model file or a run folder.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder to make.", show_default="runs/RECIPE")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change one value of the recipe, such as noise.sigma=0.5. Can be repeated.",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs for each phase.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="Train for so long instead; the learning rate follows the clock."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="What every random choice follows from.")] = (
        None
    ),
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda.", show_default="cuda where there is one")
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write curves and pictures for TensorBoard.")
    ] = False,
) -> None:
    """Train a denoising autoencoder. Ctrl-C stops it and keeps what was learnt.

    By a recipe, or from pictures of yours: --clean, --pairs, --repeats or --noisy.
    """
    import json

    from rich.console import Console

    from autodenoise import runs
    from autodenoise.cli.progress import Downloads, TrainingProgress
    from autodenoise.errors import UsageError
    from autodenoise.files import quoted
    from autodenoise.noise_estimation import summary as verdict
    from autodenoise.noise_estimation.estimate import QualityEstimate
    from autodenoise.runs import report, results
    from autodenoise.training.distributed import join_world

    sources: dict[Supervision, tuple[Path | None, ...]] = {
        "clean": (clean,),
        "paired": pairs or (None,),
        "repeats": (repeats,),
        "noisy-only": (noisy,),
    }
    given = {
        supervision: tuple(path for path in paths if path is not None)
        for supervision, paths in sources.items()
        if paths[0] is not None
    }
    # Also around what is wrong with the words: one process says it for all.
    with join_world() as world:
        changes = (recipe, noise, start, out, settings, epochs, minutes, seed, *given.values())
        if resume is not None and any(change is not None for change in changes):
            raise UsageError(
                "--resume goes on with the run's own recipe, pictures and folder; leave out all "
                "but --device and --tensorboard"
            )
        own = _own(given, noise, start)
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
                # TOML takes no surrogate pairs, which JSON writes for what is beyond ASCII.
                begin = [] if start is None or own else [json.dumps(start, ensure_ascii=False)]
                run = runs.train(
                    recipe,
                    out,
                    own=own,
                    settings=[*(settings or ()), *(f"start={model}" for model in begin)],
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
        tracked = run.folder / runs.TENSORBOARD_NAME
        if tracked.is_dir():
            typer.echo(f"see how it went with:\n  tensorboard --logdir {quoted(tracked)}")
        likely = results.read(run.folder, results.ESTIMATE_NAME, QualityEstimate).result
        if likely is not None:
            typer.echo(verdict.headline(likely))
        typer.echo(
            f"{run.folder} holds the model file, and {report.REPORT_NAME} to look at; score it "
            "with:"
        )
        typer.echo(f"  autodenoise evaluate {quoted(run.folder)}")


def _own(
    given: dict[Supervision, tuple[Path, ...]], noise: str | None, start: str | None
) -> OwnData | None:
    """Make one of the options that name somebody's own pictures."""
    from autodenoise.errors import UsageError
    from autodenoise.recipes import OwnData

    if not given:
        if noise is not None:
            raise UsageError(
                "--noise is of --clean or --noisy pictures; in a recipe, use --set noise=..."
            )
        return None
    if len(given) > 1:
        raise UsageError("name one of --clean, --pairs, --repeats and --noisy")
    ((supervision, (source, *targets)),) = given.items()
    return OwnData(
        supervision, source, targets[0] if targets else None, noise=noise or "", start=start or ""
    )
