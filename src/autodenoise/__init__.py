"""autodenoise: train a denoising autoencoder, measure it honestly, clean real images with it.

Everything is loaded when it is first used, so that a denoise does not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autodenoise.benchmark import run_benchmark
    from autodenoise.images import IntensityRange
    from autodenoise.noise_estimation.profile_file import profile_noise
    from autodenoise.recipes import OwnData
    from autodenoise.runs import (
        Run,
        classify,
        compare,
        decode,
        draw,
        encode,
        estimate,
        evaluate,
        find_outliers,
        quantize,
        resume,
        train,
    )
    from autodenoise.runs.imports import import_keras
    from autodenoise.runtime import (
        Card,
        DenoiseOptions,
        Model,
        denoise,
        denoise_file,
        denoise_folder,
        load,
    )
    from autodenoise.tuning.search import tune

_HOMES = {
    "Card": "runtime",
    "Model": "runtime",
    "DenoiseOptions": "runtime",
    "OwnData": "recipes",
    "Run": "runs",
    "IntensityRange": "images",
    "classify": "runs",
    "compare": "runs",
    "decode": "runs",
    "denoise": "runtime",
    "denoise_file": "runtime",
    "denoise_folder": "runtime",
    "draw": "runs",
    "encode": "runs",
    "estimate": "runs",
    "evaluate": "runs",
    "find_outliers": "runs",
    "import_keras": "runs.imports",
    "load": "runtime",
    "profile_noise": "noise_estimation.profile_file",
    "quantize": "runs",
    "resume": "runs",
    "run_benchmark": "benchmark",
    "train": "runs",
    "tune": "tuning.search",
}

__all__ = [
    "Card",
    "DenoiseOptions",
    "IntensityRange",
    "Model",
    "OwnData",
    "Run",
    "classify",
    "compare",
    "decode",
    "denoise",
    "denoise_file",
    "denoise_folder",
    "draw",
    "encode",
    "estimate",
    "evaluate",
    "find_outliers",
    "import_keras",
    "load",
    "profile_noise",
    "quantize",
    "resume",
    "run_benchmark",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'autodenoise' has no attribute '{name}'")
    try:
        home = importlib.import_module(f"autodenoise.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        from autodenoise.errors import MissingExtra, extra_of

        if error.name is None or error.name.startswith("autodenoise"):
            raise
        raise MissingExtra(error.name, extra_of(error.name)) from None
    return getattr(home, name)


def __dir__() -> list[str]:
    return __all__
