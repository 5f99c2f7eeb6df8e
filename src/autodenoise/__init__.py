"""Denoising autoencoders for images: train them, measure them, and denoise with them.

Use a model
    `load` a `Model` with its `Card`; `denoise` arrays, `denoise_file`, `denoise_folder` with
    `DenoiseOptions`; `IntensityRange`.
Train
    `train`, `resume` and `tune` a `Recipe`, or train on `OwnData`; each makes a `Run`.
    `profile_noise`, `import_keras`, `quantize`.
Measure
    `evaluate` or `estimate` a run, `compare` it with other denoisers, `classify`,
    `find_outliers`, `draw` figures, `encode` and `decode`; `run_benchmark`.
Errors
    `AutodenoiseError` and its subclasses.

Examples
--------
>>> import numpy as np
>>> import autodenoise
>>> noisy = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
>>> clean = autodenoise.denoise(noisy)
>>> clean.shape, clean.dtype
((40, 60, 3), dtype('uint8'))

Every name is imported on first use, so that denoising does not wait for torch. Type checkers read
``__init__.pyi``.
"""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {
    # Use a model
    "runtime": "Card DenoiseOptions Model denoise denoise_file denoise_folder load",
    "images": "IntensityRange",
    # Train
    "recipes": "OwnData Recipe",
    "runs.run": "Run",
    "runs.training": "resume train",
    "tuning.search": "tune",
    "noise_estimation.profile_file": "profile_noise",
    "runs.imports": "import_keras",
    "runs.quantization": "quantize",
    # Measure
    "runs.evaluation": "classify compare estimate evaluate find_outliers",
    "runs.figures": "draw",
    "runs.codes": "decode encode",
    "benchmark": "run_benchmark",
    # Errors
    "errors": "AutodenoiseError InputError Interrupted MissingExtra OutputError ProcessLost "
    "TrainingDiverged UsageError",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = ["__version__", *_MODULES]

# Accepted for one release, with a DeprecationWarning.
_FORMER_NAMES = {"Options": "DenoiseOptions", "Own": "OwnData", "Scale": "IntensityRange"}
_FORMER_KEYWORDS = {
    "DenoiseOptions": {"scale": "intensity_range"},
    "denoise": {"scale": "intensity_range"},
    "import_keras": {"takes": "input_range", "gives": "output_range"},
    "profile_noise": {"scale": "intensity_range"},
    "train": {"own": "own_data"},
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        return metadata.version("autodenoise")
    current = _FORMER_NAMES.get(name, name)
    if current not in _MODULES:
        raise AttributeError(f"module 'autodenoise' has no attribute '{name}'")
    try:
        module = importlib.import_module(f"autodenoise.{_MODULES[current]}")
    except ModuleNotFoundError as error:
        from autodenoise.errors import MissingExtra, extra_of

        if error.name is None or error.name.startswith("autodenoise"):
            raise
        raise MissingExtra(error.name, extra_of(error.name)) from None
    value = getattr(module, current)
    if current != name:
        _warn(f"autodenoise.{name} is deprecated; use autodenoise.{current}")
    if current in _FORMER_KEYWORDS and (current != name or not isinstance(value, type)):
        value = _accept_former_keywords(value, _FORMER_KEYWORDS[current])
    if current == name:
        globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


def _accept_former_keywords(function: Any, former: dict[str, str]) -> Any:
    import functools

    @functools.wraps(function)
    def accepting(*args: Any, **keywords: Any) -> Any:
        for old in former.keys() & keywords.keys():
            _warn(f"the keyword {old} is deprecated; use {former[old]}")
            keywords[former[old]] = keywords.pop(old)
        return function(*args, **keywords)

    return accepting


def _warn(message: str) -> None:
    import warnings

    warnings.warn(message, DeprecationWarning, stacklevel=3)
