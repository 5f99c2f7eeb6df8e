"""What is shown of work while it is done."""

from __future__ import annotations

import io

from rich.console import Console

from autodenoise.benchmark.results_table import ResultRow
from autodenoise.cli.progress import BenchmarkProgress, TrainingProgress
from autodenoise.training import history


def test_markup_in_names_is_printed_as_text() -> None:
    output = io.StringIO()
    row = ResultRow("a[/b]", "real", "runs/[red]x", "", None, 30.0, 0.9, 1.0, 1.0)
    with BenchmarkProgress(Console(file=output, force_terminal=True, width=120)) as progress:
        progress(row, 1, 2)
    assert "a[/b] real runs/[red]x" in output.getvalue()


def test_small_losses_are_printed_with_enough_digits() -> None:
    output = io.StringIO()
    with TrainingProgress(Console(file=output, width=120)) as progress:
        progress.epoch(history.EpochRow("squares", 1, 0.00098734, 0.0000895628, 1e-3, 2.0, 100.0))
    assert "squares epoch 1: loss 0.0009873, val_loss 8.956e-05, 2.0 s" in output.getvalue()
