"""Runs: where a recipe meets learning and evaluation.

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

from autodenoise.runs.describing import Description, describe
from autodenoise.runs.drawing import draw
from autodenoise.runs.run import HeldBack, Run
from autodenoise.runs.scoring import evaluate
from autodenoise.runs.training import network, resume, train

__all__ = [
    "Description",
    "HeldBack",
    "Run",
    "describe",
    "draw",
    "evaluate",
    "network",
    "resume",
    "train",
]
