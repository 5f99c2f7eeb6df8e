"""Score a run on images that it was not trained on."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autodenoise import nets, recipes, runtime
from autodenoise.data import dataset as datasets
from autodenoise.errors import InputError, UsageError, unknown_name
from autodenoise.evaluation.classifier import Accuracy, Classifier
from autodenoise.evaluation.outliers import Outliers, auc, reconstruction_error
from autodenoise.evaluation.pca import LinearDenoiser
from autodenoise.evaluation.scores import Comparison, Evaluation, Method, average, run_denoiser
from autodenoise.evaluation.scores import evaluate as score
from autodenoise.files import make_folder
from autodenoise.noise import Compose
from autodenoise.plots import figure as figures
from autodenoise.plots import image_grid
from autodenoise.plots.outliers import outlier_histogram
from autodenoise.recipes.overrides import first_difference
from autodenoise.recipes.renamed import same_settings
from autodenoise.runs import results
from autodenoise.runs.estimation import estimate_quality
from autodenoise.runs.figures import FigureContext, draw_figures
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
    from autodenoise.runs.run import EvaluationImages
    from autodenoise.training.state import TrainingCallback

__all__ = ["classify", "compare", "estimate", "evaluate", "find_outliers"]

_MAX_SHOWN = 10
_MAX_PCA_IMAGES = 5000


def evaluate(folder: str | os.PathLike[str], *, on_bytes: OnBytes | None = None) -> Evaluation:
    """Score a run on its test images, and draw ten of them.

    The noise is that of the images, or that of the recipe: the same as in validation if there is no
    separate test split. The scores are written to ``evaluation.json`` in the folder, the figure to
    ``figures/denoised.png``.

    Raises
    ------
    UsageError
        The data include no clean images; see `estimate`.
    InputError
        The folder is not a run folder, has no model file yet, or its data are missing.
    OutputError
        The folder cannot be written.
    """
    run = Run.open(folder)
    context = FigureContext(run, (), run.recipe.seed, on_bytes)
    evaluation, _ = score(context.model, context.test.noisy, context.test.require_clean("a score"))
    results.write(run.folder, results.EVALUATION_NAME, evaluation)
    draw_figures(context, ["denoised"])
    write_report(run, context.splits)
    return evaluation


def estimate(folder: str | os.PathLike[str], *, on_bytes: OnBytes | None = None) -> QualityEstimate:
    """Estimate the quality of a run without clean images.

    The estimate is written to ``estimate.json`` in the folder; ten images and their removed noise
    are drawn into ``figures/denoised.png``.

    Raises
    ------
    UsageError
        The data include clean images; see `evaluate`.
    InputError
        The images are too small or too few for an estimate; else as in `evaluate`.
    OutputError
        The folder cannot be written.
    """
    run = Run.open(folder)
    if run.has_clean:
        raise UsageError(f"the data of {run.folder} include clean images; use evaluate instead")
    context = FigureContext(run, (), run.recipe.seed, on_bytes)
    found = estimate_quality(run, context.splits)
    if found is None:
        raise InputError(
            f"the images of {run.folder} are too small or too few to estimate its quality"
        )
    draw_figures(context, ["denoised"])
    write_report(run, context.splits)
    return found


def classify(
    folder: str | os.PathLike[str],
    *,
    on_step: Callable[[int, int], None] | None = None,
    on_bytes: OnBytes | None = None,
) -> Accuracy:
    """Measure the accuracy of a classifier on clean, noisy and denoised images.

    The classifier is trained on the clean training images of the run. The result is written to
    ``classifier.json``.

    Raises
    ------
    UsageError
        The data have no labels.
    InputError, OutputError
        As in `evaluate`.
    """
    run, model, splits, test = _open(folder, on_bytes)
    if splits.train.labels is None or test.labels is None:
        raise UsageError(
            f"the data of {run.folder} have no labels, so there is nothing to classify"
        )
    clean = test.require_clean("a classifier")
    classifier = Classifier(splits.train, run.recipe.seed, on_step)
    accuracy = Accuracy(
        images=len(clean),
        clean=classifier.accuracy(clean, test.labels),
        noisy=classifier.accuracy(np.clip(test.noisy, 0, 1), test.labels),
        denoised=classifier.accuracy(run_denoiser(model, test.noisy), test.labels),
    )
    results.write(run.folder, results.CLASSIFIER_NAME, accuracy)
    write_report(run, splits)
    return accuracy


def find_outliers(
    folder: str | os.PathLike[str], source: str, *, on_bytes: OnBytes | None = None
) -> Outliers:
    """Detect out-of-distribution images by reconstruction error.

    No noise is added: the network serves as an autoencoder. The result is written to
    ``outliers.json``; a histogram, and the test images with the largest error, are drawn into the
    folder's figures.

    Parameters
    ----------
    folder
        The run folder.
    source
        The other dataset, as in a recipe. Its test images are resized to the size of the run's.

    Raises
    ------
    UsageError
        The dataset does not exist.
    InputError
        Its images have another number of channels; else as in `evaluate`.
    OutputError
        As in `evaluate`.
    """
    run, model, splits, test = _open(folder, on_bytes)
    spec = datasets.DataSpec(source, validation="last", size=splits.shape[1:])
    others = datasets.load(spec, on_bytes)
    if others.shape != splits.shape:
        raise InputError(
            f"{source} has images of {others.shape[0]} channel(s), {run.folder} was trained on "
            f"{splits.shape[0]}"
        )
    inside, outside = test.require_clean("outliers"), to_images(others.test.images)
    errors = [reconstruction_error(model, images) for images in (inside, outside)]
    brightnesses = [images.mean((1, 2, 3)) for images in (inside, outside)]
    own_name, name = Path(run.recipe.data.source).name, Path(source).name
    found = Outliers(
        against=name,
        images=len(inside),
        outliers=len(outside),
        auc=auc(*errors),
        brightness_auc=auc(*brightnesses),
    )
    results.write(run.folder, results.OUTLIERS_NAME, found)
    target = run.folder / FIGURES_FOLDER
    make_folder(target)
    title = f"{run.recipe.name}: {name} among {own_name}, AUC {found.auc:.4f}"
    histogram = outlier_histogram(errors[0], errors[1], (own_name, name), title)
    figures.save(histogram, target / "outliers.png")
    rows = np.argsort(-errors[0], kind="stable")[:_MAX_SHOWN]
    shown = {"image": inside[rows], "reconstructed": model.batch(inside[rows])}
    headings = [f"{error:.3f}" for error in errors[0][rows]]
    title = f"{run.recipe.name}: {own_name} with the largest excess cross-entropy"
    figure = image_grid.image_rows(shown, title, headings=headings)
    figures.save(figure, target / "unfamiliar.png")
    write_report(run, splits)
    return found


def compare(
    folder: str | os.PathLike[str],
    others: Sequence[str],
    *,
    report: TrainingCallback | None = None,
    on_bytes: OnBytes | None = None,
) -> Comparison:
    """Score other denoisers on a run's test images, with exactly the same noise.

    The table is written to ``comparison.json``.

    Parameters
    ----------
    folder
        The run folder.
    others
        Each is one of:

        - ``pca``: principal components of the clean training images, as many as the network's code
          has numbers; without a bottleneck, the number with the smallest error.
        - A built-in recipe or a ``.toml`` file: its network and schedule are trained on this run's
          data, noise and seed in the folder ``against``, or resumed there.
        - A run folder or a model file.
    report, on_bytes
        Callbacks for the progress of training and of downloads.

    Returns
    -------
    Comparison
        The noisy images, the run, and the others in their order.

    Raises
    ------
    UsageError
        A name is unknown, or a recipe does not fit the run's images.
    InputError
        A model file does not fit the run's images; else as in `evaluate`.
    OutputError
        As in `evaluate`.
    """
    run, model, splits, test = _open(folder, on_bytes)
    clean = test.require_clean("a comparison")
    # Report an unknown name before anything is trained.
    for other in others:
        if other != "pca" and not _is_recipe(other) and not Path(other).exists():
            raise unknown_name("method", other, ["pca", *recipes.builtin_names(), "a run folder"])
    methods: list[tuple[str, int | None, Denoiser]] = [
        (run.recipe.name, model.card.parameters, model),
        *(_method(run, splits, other, report, on_bytes) for other in others),
    ]
    rows = [Method("noisy", None, average(clean, np.clip(test.noisy, 0, 1)))]
    for name, parameters, denoiser in methods:
        scores = average(clean, run_denoiser(denoiser, test.noisy))
        rows.append(Method(name, parameters, scores))
    comparison = Comparison(len(clean), tuple(rows))
    results.write(run.folder, results.COMPARISON_NAME, comparison)
    write_report(run, splits)
    return comparison


def _open(
    folder: str | os.PathLike[str], on_bytes: OnBytes | None
) -> tuple[Run, runtime.Model, datasets.Splits, EvaluationImages]:
    """Open a run with its model, its data and its test images."""
    run = Run.open(folder)
    model, splits = run.model(), run.data(on_bytes)
    return run, model, splits, run.evaluation_images(splits)


def _is_recipe(name: str) -> bool:
    return name in recipes.builtin_names() or name.endswith(".toml")


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
        stored, current = (target / RECIPE_NAME).read_text("utf-8"), recipes.dump(recipe)
        if not same_settings(stored, current):
            raise UsageError(
                f"{target} holds another recipe with this name{first_difference(stored, current)}; "
                f"remove it, or rename {name}"
            )
        trained = resume(target, report=report, on_bytes=on_bytes)
    else:
        trained = train(recipe, target, report=report, on_bytes=on_bytes)
    model = trained.model()
    return recipe.name, model.card.parameters, model


def _principal_components(run: Run, splits: datasets.Splits) -> LinearDenoiser:
    code = nets.code_shape(network(run.recipe, splits.shape), splits.shape)
    numbers = math.prod(code or splits.shape)
    clean, noisy = splits.train.images, splits.train.noisy
    if noisy is None:
        noisy = corrupt(Compose(run.recipe.noise), clean[:_MAX_PCA_IMAGES], run.recipe.seed, "pca")
    # A code as large as the image is not a bottleneck.
    components = numbers if numbers < math.prod(splits.shape) else None
    return LinearDenoiser(to_images(clean), to_images(noisy[:_MAX_PCA_IMAGES]), components)
