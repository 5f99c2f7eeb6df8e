"""Tables of images as published on Kaggle: one row per image, its label and then its pixels."""

from __future__ import annotations

import gzip
import io
import math
import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np

from autodenoise.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["SUFFIXES", "read_table"]

SUFFIXES = (".csv", ".csv.gz", ".csv.zip", ".zip")
"""The suffixes of files that `read_table` reads."""


def read_table(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read a table of square gray images: the labels (N,) and the images (N, side, side).

    It has comma-separated integers from 0 to 255, plain, gzipped, or as the only file of a zip
    archive. The first column is the label. A header line is skipped. Errors name the line.
    """
    text = _unpack(path).replace(b"\r\n", b"\n").removesuffix(b"\n")
    line = 1
    if text[:1].isalpha() or text[:1] == b'"':
        line, text = 2, text.partition(b"\n")[2]
    rows = text.split(b"\n")
    columns = rows[0].count(b",") + 1
    side = math.isqrt(columns - 1)
    if not rows[0] or side == 0 or side * side != columns - 1:
        no_label = math.isqrt(columns) ** 2 == columns and columns > 1
        advice = "; is the label missing?" if no_label else ""
        raise InputError(
            f"{path}, line {line}: expected a label and the pixels of a square image, "
            f"found {columns if rows[0] else 0} value(s){advice}"
        )
    try:
        table = np.loadtxt(io.BytesIO(text), np.uint8, comments=None, delimiter=",", ndmin=2)
    except ValueError:
        raise _first_error(path, rows, line) from None
    # NumPy accepts empty lines and spaces.
    if len(table) != len(rows) or b" " in text:
        raise _first_error(path, rows, line)
    return table[:, 0].copy(), table[:, 1:].reshape(-1, side, side)


def _unpack(path: Path) -> bytes:
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as file:
                return file.read()
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if name.endswith(".csv")]
                if len(names) != 1:
                    raise InputError(f"{path} holds {len(names)} .csv files; expected one")
                try:
                    return archive.read(names[0])
                # An encrypted file, or an unknown compression method.
                except (RuntimeError, NotImplementedError) as error:
                    raise InputError(f"cannot read {path}: {error}") from None
        return path.read_bytes()
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise InputError(f"cannot read {path}: {error}") from None


def _first_error(path: Path, rows: list[bytes], line: int) -> InputError:
    """Return an error that names the first line with a mistake; rows start at `line`."""
    columns = rows[0].count(b",") + 1
    for number, row in enumerate(rows, line):
        values = row.split(b",") if row else []
        if len(values) != columns:
            return InputError(
                f"{path}, line {number}: expected {columns} values as in the first row, "
                f"found {len(values)}"
            )
        for value in values:
            if not (value.isdigit() and len(value) <= 3 and int(value) <= 255):
                return InputError(
                    f"{path}, line {number}: expected whole numbers from 0 to 255, "
                    f"found '{value[:20].decode(errors='replace')}'"
                )
    return InputError(f"{path} is not a table of whole numbers from 0 to 255")
