"""Former place of `autodenoise.benchmark`, for scripts written before it moved."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

from autodenoise.benchmark import AddedNoise, run_benchmark
from autodenoise.benchmark import BenchmarkDataset as ReferenceSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from autodenoise.benchmark import OnRow, ResultsTable

__all__ = ["AddedNoise", "ReferenceSet", "choose", "score"]

warnings.warn(
    "autodenoise.evaluation.benchmark is deprecated; use autodenoise.benchmark.run_benchmark",
    DeprecationWarning,
    stacklevel=2,
)


class _Names(NamedTuple):
    models: tuple[str, ...]
    baselines: tuple[str, ...]


def choose(models: Iterable[str], baselines: Iterable[str], references: ReferenceSet) -> _Names:
    """Return the names for `score`, which checks them."""
    del references
    return _Names(tuple(models), tuple(baselines))


def score(
    references: ReferenceSet,
    chosen: _Names,
    folder: Path,
    noises: Sequence[AddedNoise] = (),
    *,
    on_row: OnRow | None = None,
) -> ResultsTable:
    """Run a benchmark, see `autodenoise.benchmark.run_benchmark`."""
    models, baselines = chosen
    return run_benchmark(
        references, folder, models=models, baselines=baselines, noises=noises, on_row=on_row
    )
