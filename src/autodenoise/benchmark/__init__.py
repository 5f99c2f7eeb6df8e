"""Benchmarks: score denoisers by a published protocol on images whose clean version is known.

`run_benchmark` does everything; the types here are what it takes and returns.
"""

from autodenoise.benchmark.datasets import BenchmarkDataset
from autodenoise.benchmark.protocol import AddedNoise
from autodenoise.benchmark.results_table import ResultAverage, ResultRow
from autodenoise.benchmark.runner import OnRow, ResultsTable, run_benchmark

__all__ = [
    "AddedNoise",
    "BenchmarkDataset",
    "OnRow",
    "ResultAverage",
    "ResultRow",
    "ResultsTable",
    "run_benchmark",
]
