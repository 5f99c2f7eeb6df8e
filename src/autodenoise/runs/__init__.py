"""Runs: train a recipe into a run folder, and evaluate it.

A run folder holds::

    recipe.toml              the complete recipe
    environment.json         package versions and machine
    metrics.csv              one row per epoch
    checkpoint.safetensors   the training state
    best.safetensors         the weights with the lowest validation loss
    PHASE.safetensors        the weights at the end of each phase but the last
    model.onnx               the model file, once training has ended or was stopped
    tensorboard/             curves and images of training, if requested
    evaluation.json          scores on the test images; also classifier.json, outliers.json and
                             comparison.json, if requested
    estimate.json            the estimated quality, if there are no clean images
    figures/                 figures
    report.html              a web page that shows all of it
    against/                 runs of other recipes on the same data and noise
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
from autodenoise.runs.quantization import QuantizedModel, quantize
from autodenoise.runs.run import EvaluationImages, Run
from autodenoise.runs.training import TENSORBOARD_NAME, resume, train

__all__ = [
    "TENSORBOARD_NAME",
    "Codes",
    "Description",
    "EvaluationImages",
    "QuantizedModel",
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
