"""Scoring: from a run folder to numbers on the images that it was not trained on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

from autodenoise.evaluation.scores import Evaluation
from autodenoise.evaluation.scores import evaluate as score
from autodenoise.files import write_text
from autodenoise.runs.drawing import Scene, draw_scene
from autodenoise.runs.run import Run

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from autodenoise.learning.download import OnBytes

__all__ = ["EVALUATION_NAME", "evaluate"]

EVALUATION_NAME = "evaluation.json"


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
    write_scores(run, EVALUATION_NAME, scene.model.path, dataclasses.asdict(evaluation))
    draw_scene(scene, ["denoised"])
    return evaluation


def write_scores(run: Run, name: str, model: Path, scores: dict[str, Any]) -> None:
    """Write scores as JSON, with the digest of the model file that they are of."""
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    content = json.dumps({**scores, "model_sha256": digest}, indent=2, allow_nan=False) + "\n"
    write_text(run.folder / name, content)
