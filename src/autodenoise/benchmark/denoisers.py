"""What stands in a table: model files and baselines, by the names that a user types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from autodenoise import runtime
from autodenoise.benchmark.baselines import ALWAYS, BASELINES
from autodenoise.errors import InputError, UsageError, unknown_name
from autodenoise.files import digest, printable
from autodenoise.images import IntensityRange
from autodenoise.runtime import checking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from autodenoise.benchmark.datasets import BenchmarkDataset
    from autodenoise.runtime import Card

    Pixels = NDArray[np.float32]

__all__ = ["ALL", "BenchmarkDenoiser", "DenoiserSelection", "choose", "is_model"]

ALL = "all"
"""All models that `runtime.list_models` finds, or all baselines that are installed."""

_UNIT = IntensityRange(0, 1)
_MODEL_MARK = "sha256:"


@dataclass(frozen=True)
class BenchmarkDenoiser:
    """A denoiser with its name in the table.

    Attributes
    ----------
    name
        As the user has it.
    identity
        Changes when its answers may: the digest of a model file, the settings and the version of a
        baseline.
    parameters
        How many numbers it has learnt; None for a baseline.
    open
        Makes it ready: gives ``denoise(noisy, sigma)``, from an image (H, W, C) in [0, 1] nominally
        and its noise's standard deviation, None where nobody knows that, to the clean image. Only
        baselines use the sigma.
    """

    name: str
    identity: str
    parameters: int | None
    open: Callable[[], Callable[[Pixels, float | None], Pixels]]


@dataclass(frozen=True)
class DenoiserSelection:
    """The candidates, and a sentence about each that was passed over."""

    candidates: tuple[BenchmarkDenoiser, ...]
    notes: tuple[str, ...]


def is_model(identity: str) -> bool:
    """Tell whether a `BenchmarkDenoiser.identity` is that of a model file."""
    return identity.startswith(_MODEL_MARK)


def choose(
    models: Iterable[str], baselines: Iterable[str], references: BenchmarkDataset
) -> DenoiserSelection:
    """Choose denoisers by name for a set of pictures.

    Parameters
    ----------
    models
        What `runtime.find` takes, or `ALL`. A model for other channels or another size than the
        set's is passed over: grey models are not run on colour, channel by channel or on luma. So
        is one of `ALL` that cannot be used.
    baselines
        Names of `BASELINES`, or `ALL`; those of `ALWAYS` come by themselves.
    references
        The pictures.

    Raises
    ------
    UsageError
        No model or baseline has this name, two candidates have the same, or a baseline needs what
        is not installed.
    InputError
        A model file that was named is missing or damaged, or none of those named fits the pictures.
    """
    notes: list[str] = []
    candidates = [_baseline(name) for name in _chosen_baselines(baselines, notes)]
    named = list(models)
    fitting = []
    for name in dict.fromkeys(named):
        if name != ALL:
            path = runtime.find(name)
            found = [runtime.ModelEntry(name, path, checking.read(path)[1])]
        else:
            found = runtime.list_models()
        for entry in found:
            problem = entry.problem if entry.card is None else _misfit(entry.card, references)
            if not problem and name == ALL:
                problem = _refusal(entry.path)
            if problem:
                notes.append(printable(f"{entry.name} is passed over: {problem}"))
            else:
                fitting.append(_model(entry))
    if named and ALL not in named and not fitting:
        raise InputError(f"no model fits {references.name}: {'; '.join(notes)}")
    unique: dict[str, BenchmarkDenoiser] = {}
    for candidate in [*fitting, *candidates]:
        if unique.setdefault(candidate.name, candidate).identity != candidate.identity:
            raise UsageError(f"two denoisers are called {candidate.name}; rename the model file")
    return DenoiserSelection(tuple(unique.values()), tuple(notes))


def _chosen_baselines(names: Iterable[str], notes: list[str]) -> list[str]:
    chosen = dict.fromkeys(ALWAYS)
    for name in names:
        if name == ALL:
            for other, baseline in BASELINES.items():
                if baseline.package and baseline.missing:
                    notes.append(f"{other} is passed over: {baseline.package} is not installed")
                else:
                    chosen[other] = None
        elif name in BASELINES:
            chosen[name] = None
        else:
            raise unknown_name("baseline", name, [ALL, *BASELINES])
    return list(chosen)


def _baseline(name: str) -> BenchmarkDenoiser:
    baseline = BASELINES[name]
    baseline.check()
    return BenchmarkDenoiser(name, baseline.identity, None, lambda: baseline.denoise)


def _model(entry: runtime.ModelEntry) -> BenchmarkDenoiser:
    def load() -> Callable[[Pixels, float | None], Pixels]:
        model = runtime.Model(entry.path)
        # Strong noise reaches far outside, which has to be said: it is no other scale.
        return lambda noisy, _: model.denoise(noisy, intensity_range=_UNIT)

    parameters = None if entry.card is None else entry.card.parameters
    identity = f"{_MODEL_MARK}{digest(entry.path)}"
    return BenchmarkDenoiser(printable(entry.name), identity, parameters, load)


def _refusal(path: Path) -> str:
    """Tell why ONNX Runtime does not take a file: nobody asked for this one by its name."""
    try:
        runtime.Model(path)
    except InputError as error:
        return str(error)
    return ""


def _misfit(card: Card, references: BenchmarkDataset) -> str:
    kinds = {1: "grey", 3: "RGB"}
    if card.channels != references.channels:
        ours = kinds.get(card.channels, f"{card.channels} channels")
        return f"it is for {ours}, {references.name} is {kinds[references.channels]}"
    if card.size is not None and any(image.shape[:2] != card.size for image in references.images):
        return f"it takes {card.size[1]}x{card.size[0]} pixels alone"
    return ""
