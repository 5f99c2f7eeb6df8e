"""The metrics file of a run: one row per epoch."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import NamedTuple

from autodenoise.errors import InputError
from autodenoise.files import write_text

__all__ = ["EpochRow", "read_metrics", "write_metrics"]


class EpochRow(NamedTuple):
    """A finished epoch. `epoch` counts from 1 within its phase."""

    phase: str
    epoch: int
    loss: float
    val_loss: float
    learning_rate: float
    seconds: float
    images_per_second: float


def write_metrics(path: Path, rows: list[EpochRow]) -> None:
    """Write all rows as CSV. The file is replaced atomically, so it never repeats an epoch."""
    text = io.StringIO()
    csv.writer(text).writerows([EpochRow._fields, *rows])
    write_text(path, text.getvalue())


def read_metrics(path: Path) -> list[EpochRow]:
    """Read the rows of a metrics file; InputError if it is missing or is not one."""
    rows: list[EpochRow] = []
    try:
        with path.open(newline="") as file:
            for line in csv.DictReader(file):
                numbers = (float(line[name]) for name in EpochRow._fields[2:])
                rows.append(EpochRow(line["phase"], int(line["epoch"]), *numbers))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    if not all(math.isfinite(number) for row in rows for number in row[2:]):
        raise InputError(f"cannot read {path}: some of its numbers are infinite or NaN")
    return rows
