"""Denoisers in a results table: model files and baselines, selected by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from autodenoise import runtime
from autodenoise.benchmark.baselines import ALWAYS, BASELINES
from autodenoise.errors import InputError, UsageError, unknown_name
from autodenoise.files import digest, printable
from autodenoise.images import IntensityRange
from autodenoise.runtime import model_file

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autodenoise.benchmark.datasets import BenchmarkDataset
    from autodenoise.runtime import Card

__all__ = ["ALL", "BenchmarkDenoiser", "Denoise", "is_model", "select_denoisers"]

Denoise = Callable[[NDArray[np.float32], float | None], NDArray[np.float32]]
"""``denoise(noisy, sigma)``: from an image (H, W, C), nominally in [0, 1], and the standard
deviation of its noise (None if unknown) to the clean image. Models ignore sigma."""

ALL = "all"
"""Selects all models that `runtime.list_models` finds, or all installed baselines."""

_UNIT = IntensityRange(0, 1)
_MODEL_PREFIX = "sha256:"


@dataclass(frozen=True)
class BenchmarkDenoiser:
    """A denoiser in a results table.

    Its identity changes whenever outputs may change: it is the digest of a model file, or the
    settings and package versions of a baseline, which has no trained parameters.
    """

    name: str
    identity: str
    parameters: int | None
    load: Callable[[], Denoise]


def is_model(identity: str) -> bool:
    """Return whether a `BenchmarkDenoiser.identity` is that of a model file."""
    return identity.startswith(_MODEL_PREFIX)


def select_denoisers(
    dataset: BenchmarkDataset, models: Iterable[str], baselines: Iterable[str]
) -> tuple[list[BenchmarkDenoiser], list[str]]:
    """Select denoisers by name for a dataset.

    Models for another number of channels or another image size are skipped: gray models are not
    applied to color images channel by channel or to luma. Models that `ALL` finds are also skipped
    if they cannot be loaded. The baselines in `ALWAYS` are always included.

    Return the selected denoisers, models first, and a message for each skipped one.
    """
    notes: list[str] = []
    baseline_names = _baseline_names(baselines, notes)
    for name in baseline_names:
        BASELINES[name].check()
    model_names = list(dict.fromkeys(models))
    selected = []
    for name in model_names:
        if name != ALL:
            path = runtime.find_model(name)
            entries = [runtime.ModelEntry(name, path, model_file.read_card(path))]
        else:
            entries = runtime.list_models()
        for entry in entries:
            problem = entry.problem if entry.card is None else _mismatch(entry.card, dataset)
            if not problem and name == ALL:
                try:
                    runtime.Model(entry.path)
                except InputError as error:
                    problem = str(error)
            if problem:
                notes.append(printable(f"skipped {entry.name}: {problem}"))
            else:
                selected.append(_from_model(entry))
    if model_names and ALL not in model_names and not selected:
        raise InputError(f"no model fits {dataset.name}: {'; '.join(notes)}")
    selected += map(_from_baseline, baseline_names)
    unique: dict[str, BenchmarkDenoiser] = {}
    for denoiser in selected:
        if unique.setdefault(denoiser.name, denoiser).identity != denoiser.identity:
            raise UsageError(f"two denoisers are named {denoiser.name}; rename the model file")
    return list(unique.values()), notes


def _baseline_names(names: Iterable[str], notes: list[str]) -> list[str]:
    selected = dict.fromkeys(ALWAYS)
    for name in names:
        if name == ALL:
            for other, baseline in BASELINES.items():
                if baseline.package and baseline.missing:
                    notes.append(f"skipped {other}: {baseline.package} is not installed")
                else:
                    selected[other] = None
        elif name in BASELINES:
            selected[name] = None
        else:
            raise unknown_name("baseline", name, [ALL, *BASELINES])
    return list(selected)


def _from_baseline(name: str) -> BenchmarkDenoiser:
    baseline = BASELINES[name]
    return BenchmarkDenoiser(name, baseline.identity, None, lambda: baseline.denoise)


def _from_model(entry: runtime.ModelEntry) -> BenchmarkDenoiser:
    def load() -> Denoise:
        model = runtime.Model(entry.path)
        # With an explicit range: strong noise far outside [0, 1] would suggest another one.
        return lambda noisy, _: model.denoise(noisy, intensity_range=_UNIT)

    parameters = None if entry.card is None else entry.card.parameters
    identity = f"{_MODEL_PREFIX}{digest(entry.path)}"
    return BenchmarkDenoiser(printable(entry.name), identity, parameters, load)


def _mismatch(card: Card, dataset: BenchmarkDataset) -> str:
    """Return why a model does not fit the images; empty if it does."""
    kinds = {1: "gray", 3: "RGB"}
    if card.channels != dataset.channels:
        kind = kinds.get(card.channels, f"{card.channels}-channel")
        return f"it takes {kind} images, and {dataset.name} is {kinds[dataset.channels]}"
    if card.size is not None and any(image.shape[:2] != card.size for image in dataset.images):
        return f"it only takes images of {card.size[1]}x{card.size[0]} pixels"
    return ""
