"""Scoring: from a run folder to numbers on the images that it was not trained on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autodenoise import nets, recipes, runtime
from autodenoise.data import dataset as datasets
from autodenoise.errors import InputError, UsageError, unknown_name
from autodenoise.evaluation.classifier import Accuracy, Classifier
from autodenoise.evaluation.outliers import Outliers, auc, histogram, reconstruction_error
from autodenoise.evaluation.pca import LinearDenoiser
from autodenoise.evaluation.scores import Comparison, Evaluation, Method, average, run_denoiser
from autodenoise.evaluation.scores import evaluate as score
from autodenoise.files import make_folder
from autodenoise.noise import Compose
from autodenoise.plots import images as figures
from autodenoise.recipes.overrides import first_difference
from autodenoise.runs import results
from autodenoise.runs.estimation import assess
from autodenoise.runs.figures import Scene, draw_scene
from autodenoise.runs.networks import network
from autodenoise.runs.report import write as write_report
from autodenoise.runs.run import FIGURES_FOLDER, RECIPE_NAME, Run, to_images
from autodenoise.runs.training import resume, train
from autodenoise.training.validation import corrupt

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from autodenoise.data.download import OnBytes
    from autodenoise.evaluation.scores import Denoiser
    from autodenoise.noise_estimation.estimate import QualityEstimate
    from autodenoise.training.state import TrainingCallback

__all__ = ["classify", "compare", "estimate", "evaluate", "find_outliers"]

_SHOWN = 10
_CHOOSING = 5000


def evaluate(folder: str | os.PathLike[str], *, on_bytes: OnBytes | None = None) -> Evaluation:
    """Score a run's model file on its test images, and draw ten of them.

    The noise is the images' own, or the recipe's, drawn as validation drew it where both are the
    same images. The scores go to ``evaluation.json`` and the picture to ``figures/denoised.png`` in
    the folder.

    Raises
    ------
    UsageError
        Nobody has the clean images; see `estimate`.
    InputError
        The folder is no run, its training is not over, or its data are missing.
    OutputError
        The folder cannot be written.
    """
    run = Run.open(folder)
    scene = Scene(run, (), run.recipe.seed, on_bytes)
    evaluation, _ = score(scene.model, scene.held.noisy, scene.held.known("a score"))
    results.write(run.folder, results.EVALUATION_NAME, evaluation)
    draw_scene(scene, ["denoised"])
    write_report(run, scene.splits)
    return evaluation


def estimate(folder: str | os.PathLike[str], *, on_bytes: OnBytes | None = None) -> QualityEstimate:
    """Estimate how good a run's model file is where nobody has the clean images.

    What can be told goes to ``estimate.json``, ten images and what was taken out of them to
    ``figures/denoised.png``.

    Raises
    ------
    UsageError
        There are clean images, which tell it for certain; see `evaluate`.
    InputError
        The images are too small or too few to tell anything; else as `evaluate`.
    OutputError
        The folder cannot be written.
    """
    run = Run.open(folder)
    if run.has_clean:
        raise UsageError(f"the data of {run.folder} hold clean images; evaluate the run on those")
    scene = Scene(run, (), run.recipe.seed, on_bytes)
    found = assess(run, scene.splits)
    if found is None:
        raise InputError(
            f"the images of {run.folder} are too small or too few to tell anything without clean "
            "ones"
        )
    draw_scene(scene, ["denoised"])
    write_report(run, scene.splits)
    return found


def classify(
    folder: str | os.PathLike[str],
    *,
    on_step: Callable[[int, int], None] | None = None,
    on_bytes: OnBytes | None = None,
) -> Accuracy:
    """Ask a classifier what it sees on clean, noisy and denoised images.

    It is trained on the run's clean training images alone; the result goes to ``classifier.json``.

    Raises
    ------
    UsageError
        The data have no labels.
    InputError, OutputError
        As `evaluate`.
    """
    run = Run.open(folder)
    model = run.model()
    splits = run.data(on_bytes)
    held = run.held_back(splits)
    if splits.train.labels is None or held.labels is None:
        raise UsageError(
            f"the data of {run.folder} have no labels, so there are no classes to recognise"
        )
    clean = held.known("a classifier")
    classifier = Classifier(splits.train, run.recipe.seed, on_step)
    accuracy = Accuracy(
        images=len(clean),
        clean=classifier.accuracy(clean, held.labels),
        noisy=classifier.accuracy(np.clip(held.noisy, 0, 1), held.labels),
        denoised=classifier.accuracy(run_denoiser(model, held.noisy), held.labels),
    )
    results.write(run.folder, results.CLASSIFIER_NAME, accuracy)
    write_report(run, splits)
    return accuracy


def find_outliers(
    folder: str | os.PathLike[str], source: str, *, on_bytes: OnBytes | None = None
) -> Outliers:
    """Tell another data set's images from the run's own by their reconstruction error.

    Neither gets noise: the network is an autoencoder here. The result goes to ``outliers.json``,
    its histogram and the least familiar of the run's own images to the folder's figures.

    Parameters
    ----------
    folder
        The run folder.
    source
        A data set as a recipe names it; its test part, brought to the size of the run's images.

    Raises
    ------
    UsageError
        No data set has this name.
    InputError
        Its images have other channels; else as `evaluate`.
    OutputError
        As `evaluate`.
    """
    run = Run.open(folder)
    model = run.model()
    splits = run.data(on_bytes)
    size = splits.shape[1:]
    others = datasets.load(datasets.DataSpec(source, validation="last", size=size), on_bytes)
    if others.shape != splits.shape:
        raise InputError(
            f"{source} has images of {others.shape[0]} channel(s), {run.folder} was trained on "
            f"{splits.shape[0]}"
        )
    inside, outside = run.held_back(splits).known("outliers"), to_images(others.test.images)
    errors = [reconstruction_error(model, images) for images in (inside, outside)]
    greys = [images.mean((1, 2, 3)) for images in (inside, outside)]
    name = Path(source).name
    found = Outliers(
        against=name,
        images=len(inside),
        outliers=len(outside),
        auc=auc(*errors),
        brightness_auc=auc(*greys),
    )
    results.write(run.folder, results.OUTLIERS_NAME, found)
    make_folder(run.folder / FIGURES_FOLDER)
    own = Path(run.recipe.data.source).name
    title = f"{run.recipe.name}: {name} among {own}, AUC {found.auc:.4f}"
    figures.save(
        histogram(errors[0], errors[1], (own, name), title),
        run.folder / FIGURES_FOLDER / "outliers.png",
    )
    rows = np.argsort(-errors[0], kind="stable")[:_SHOWN]
    pictures = {"image": inside[rows], "reconstructed": model.batch(inside[rows])}
    headings = [f"{error:.3f}" for error in errors[0][rows]]
    title = f"{run.recipe.name}: the least familiar of {own}, by excess cross-entropy"
    figures.save(
        figures.image_rows(pictures, title, headings=headings),
        run.folder / FIGURES_FOLDER / "unfamiliar.png",
    )
    write_report(run, splits)
    return found


def compare(
    folder: str | os.PathLike[str],
    others: Sequence[str],
    *,
    report: TrainingCallback | None = None,
    on_bytes: OnBytes | None = None,
) -> Comparison:
    """Score other methods on a run's held-back images, with the very same noise on them.

    The table goes to ``comparison.json``.

    Parameters
    ----------
    folder
        The run folder.
    others
        Each is ``pca``: the principal components of the clean training images, as many as the
        network's code has numbers, or, where that is no fewer than the image has, as many as leave
        the least error; the name of a built-in recipe or a ``.toml`` file: its network and
        schedule are trained on this run's data, noise and seed, in the run's folder ``against``
        (or gone on with there); or a run folder or model file, which is taken as it is.
    report, on_bytes
        Hear how training and downloads go.

    Returns
    -------
    Comparison
        The noisy images themselves, the run, then the others as they were named.

    Raises
    ------
    UsageError
        A name is neither of these, or a recipe does not fit the run's images.
    InputError
        A model file does not fit the run's images; else as `evaluate`.
    OutputError
        As `evaluate`.
    """
    run = Run.open(folder)
    model = run.model()
    splits = run.data(on_bytes)
    held = run.held_back(splits)
    clean = held.known("a comparison")
    # All are made before the first is scored: a name that is wrong is told at once.
    for other in others:
        _check_known(other)
    methods: list[tuple[str, int | None, Denoiser]] = [
        (run.recipe.name, model.card.parameters, model)
    ]
    methods += [_method(run, splits, other, report, on_bytes) for other in others]
    noisy = average(clean, np.clip(held.noisy, 0, 1))
    rows = [Method("noisy", None, noisy)]
    for name, parameters, denoiser in methods:
        scores = average(clean, run_denoiser(denoiser, held.noisy))
        rows.append(Method(name, parameters, scores))
    comparison = Comparison(len(clean), tuple(rows))
    results.write(run.folder, results.COMPARISON_NAME, comparison)
    write_report(run, splits)
    return comparison


def _is_recipe(name: str) -> bool:
    return name in recipes.builtin_names() or name.endswith(".toml")


def _check_known(name: str) -> None:
    if name != "pca" and not _is_recipe(name) and not Path(name).exists():
        raise unknown_name("method", name, ["pca", *recipes.builtin_names(), "a run folder"])


def _method(
    run: Run,
    splits: datasets.Splits,
    name: str,
    report: TrainingCallback | None,
    on_bytes: OnBytes | None,
) -> tuple[str, int | None, Denoiser]:
    if name == "pca":
        linear = _principal_components(run, splits)
        return f"pca, {linear.components} numbers", linear.parameters, linear
    if not _is_recipe(name):
        model = runtime.load(name)
        return name, model.card.parameters, model
    recipe = dataclasses.replace(
        recipes.load(name),
        data=run.recipe.data,
        noise=run.recipe.noise,
        validation=run.recipe.validation,
        seed=run.recipe.seed,
        printed={},
    )
    target = run.folder / "against" / recipe.name
    if (target / RECIPE_NAME).exists():
        there, here = (target / RECIPE_NAME).read_text("utf-8"), recipes.dump(recipe)
        if there != here:
            raise UsageError(
                f"{target} holds another recipe of this name{first_difference(there, here)}; "
                f"remove it, or rename {name}"
            )
        trained = resume(target, report=report, on_bytes=on_bytes)
    else:
        trained = train(recipe, target, report=report, on_bytes=on_bytes)
    model = trained.model()
    return recipe.name, model.card.parameters, model


def _principal_components(run: Run, splits: datasets.Splits) -> LinearDenoiser:
    code = nets.code_shape(network(run.recipe, splits.shape), splits.shape)
    numbers = int(np.prod(code)) if code is not None else None
    if numbers is not None and numbers >= int(np.prod(splits.shape)):
        numbers = None
    clean, noisy = splits.train.images, splits.train.noisy
    if noisy is None:
        noisy = corrupt(Compose(run.recipe.noise), clean[:_CHOOSING], run.recipe.seed, "pca")
    return LinearDenoiser(to_images(clean), to_images(noisy[:_CHOOSING]), numbers)
