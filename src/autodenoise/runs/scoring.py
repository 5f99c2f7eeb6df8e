"""Scoring: from a run folder to numbers on the images that it was not trained on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

from autodenoise.evaluation import figures
from autodenoise.evaluation.scores import Evaluation, Scores
from autodenoise.evaluation.scores import evaluate as score
from autodenoise.files import make_folder, write_text
from autodenoise.runs.run import Run

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from autodenoise.learning.download import OnBytes

__all__ = ["EVALUATION_NAME", "FIGURE_NAME", "evaluate"]

EVALUATION_NAME = "evaluation.json"
FIGURE_NAME = "figures/denoised.png"


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
    held = run.held_back(run.data(on_bytes))
    evaluation, denoised = score(model, held.noisy, held.clean)
    write_scores(run, EVALUATION_NAME, model.path, dataclasses.asdict(evaluation))
    make_folder((run.folder / FIGURE_NAME).parent)
    rows = {
        "clean": held.clean[:10],
        _label("noisy", evaluation.noisy): held.noisy[:10],
        _label("denoised", evaluation.denoised): denoised[:10],
    }
    title = f"{run.recipe.name}: the first {held.part} images"
    figures.save(figures.image_rows(rows, title), run.folder / FIGURE_NAME)
    return evaluation


def write_scores(run: Run, name: str, model: Path, scores: dict[str, Any]) -> None:
    """Write scores as JSON, with the digest of the model file that they are of."""
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    content = json.dumps({**scores, "model_sha256": digest}, indent=2, allow_nan=False) + "\n"
    write_text(run.folder / name, content)


def _label(name: str, scores: Scores) -> str:
    return name if scores.psnr is None else f"{name}\n{scores.psnr:.1f} dB"
