"""Runs: where a recipe meets learning and evaluation.

A run folder holds::

    recipe.toml              the recipe in full
    environment.json         versions and machine
    metrics.csv              an epoch a line
    checkpoint.safetensors   where training stands
    best.safetensors         the weights of the lowest validation loss
    model.onnx               the model file, once training is over or was stopped
    tensorboard/             curves and pictures, where they were asked for
    evaluation.json          scores on the test images, and
    figures/denoised.png     a picture of some, once evaluated
"""

from autodenoise.runs.run import HeldBack, Run
from autodenoise.runs.scoring import evaluate
from autodenoise.runs.training import TENSORBOARD_NAME, network, resume, train

__all__ = ["TENSORBOARD_NAME", "HeldBack", "Run", "evaluate", "network", "resume", "train"]
