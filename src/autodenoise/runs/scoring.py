"""Scoring: from a run folder to numbers on the images that it was not trained on."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from autodenoise.evaluation.scores import Evaluation
from autodenoise.evaluation.scores import evaluate as score
from autodenoise.runs import report, results
from autodenoise.runs.drawing import Scene, draw_scene
from autodenoise.runs.run import Run

if TYPE_CHECKING:
    import os

    from autodenoise.learning.download import OnBytes

__all__ = ["evaluate"]


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
    scene = Scene(run, (), run.recipe.seed, on_bytes)
    evaluation, _ = score(scene.model, scene.held.noisy, scene.held.clean)
    results.write(run.folder, results.EVALUATION_NAME, dataclasses.asdict(evaluation))
    draw_scene(scene, ["denoised"])
    report.write(run, scene.splits)
    return evaluation
