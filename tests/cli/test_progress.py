"""What is shown of work while it is done."""

from __future__ import annotations

import io

from rich.console import Console

from autodenoise.cli.progress import TableProgress
from autodenoise.evaluation.sheet import Row


def test_a_name_is_no_markup() -> None:
    told = io.StringIO()
    row = Row("a[/b]", "real", "runs/[red]x", "", None, 30.0, 0.9, 1.0, 1.0)
    with TableProgress(Console(file=told, force_terminal=True, width=120)) as progress:
        progress(row, 1, 2)
    assert "a[/b] real runs/[red]x" in told.getvalue()
