"""Runs: where a recipe meets learning and evaluation.

A run folder holds::

    recipe.toml              the recipe in full
    environment.json         versions and machine
    metrics.csv              an epoch a line
    checkpoint.safetensors   where training stands
    best.safetensors         the weights of the lowest validation loss
    PHASE.safetensors        the weights at the end of a phase, the last one's excepted
    model.onnx               the model file, once training is over or was stopped
    tensorboard/             curves and pictures of training, where they were asked for
    evaluation.json          scores on the test images, once evaluated; classifier.json,
                             outliers.json and comparison.json where they were asked for
    estimate.json            how good it is likely to be, where nobody has clean images
    figures/                 pictures
    report.html              a page that shows all of it, for anybody to open
    against/                 other recipes' runs on the same data and noise, to compare with
"""

from autodenoise.runs.codes import Codes, decode, encode
from autodenoise.runs.description import Description, describe
from autodenoise.runs.evaluation import (
    classify,
    compare,
    estimate,
    evaluate,
    find_outliers,
)
from autodenoise.runs.figures import draw
from autodenoise.runs.networks import network, trained
from autodenoise.runs.quantization import Quantised, quantize
from autodenoise.runs.run import HeldBack, Run
from autodenoise.runs.training import TENSORBOARD_NAME, resume, train

__all__ = [
    "TENSORBOARD_NAME",
    "Codes",
    "Description",
    "HeldBack",
    "Quantised",
    "Run",
    "classify",
    "compare",
    "decode",
    "describe",
    "draw",
    "encode",
    "estimate",
    "evaluate",
    "find_outliers",
    "network",
    "quantize",
    "resume",
    "train",
    "trained",
]
