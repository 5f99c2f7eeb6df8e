"""Tables of images as Kaggle publishes them: a row an image, its label and then its pixels."""

from __future__ import annotations

import gzip
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
"""The endings of files that `read_table` takes."""

_CHUNK = 1 << 24
_COMMA, _NEWLINE, _ZERO = b",\n0"


def read_table(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read a table of square grey images.

    Parameters
    ----------
    path
        Comma-separated whole numbers from 0 to 255, plain, gzipped, or the only file of a zip
        archive. The first column is the label; a heading is passed over.

    Returns
    -------
    labels
        (N,).
    images
        (N, side, side).

    Raises
    ------
    InputError
        The file is missing or damaged; or, with the number of its line, a row is longer or shorter
        than the first, or a value is no whole number from 0 to 255.
    """
    text = _unpack(path).replace(b"\r\n", b"\n")
    if text and not text.endswith(b"\n"):
        text += b"\n"
    heading = text[:1].isalpha() or text[:1] == b'"'
    start = text.index(b"\n") + 1 if heading else 0
    first = text[start : text.find(b"\n", start)]
    columns = first.count(b",") + 1
    side = math.isqrt(columns - 1)
    if not first or side == 0 or side * side != columns - 1:
        missing = math.isqrt(columns) ** 2 == columns and columns > 1
        advice = "; is the label missing?" if missing else ""
        raise InputError(
            f"{path}, line {heading + 1}: expected a label and the pixels of a square image, "
            f"found {columns if first else 0} value(s){advice}"
        )
    blocks, line = [], heading + 1
    while start < len(text):
        end = text.rfind(b"\n", start, start + _CHUNK) + 1 or text.index(b"\n", start) + 1
        blocks.append(_parse(path, text[start:end], columns, line))
        start, line = end, line + len(blocks[-1])
    table = np.concatenate(blocks)
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
                except (RuntimeError, NotImplementedError) as error:  # encrypted; another method
                    raise InputError(f"cannot read {path}: {error}") from None
        return path.read_bytes()
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise InputError(f"cannot read {path}: {error}") from None


def _parse(path: Path, text: bytes, columns: int, line: int) -> NDArray[np.uint8]:
    """Parse whole lines at once: find the separators, and add up the digits before each."""
    characters = np.frombuffer(text, np.uint8)
    is_newline = characters == _NEWLINE
    ends = np.flatnonzero((characters == _COMMA) | is_newline)
    lengths = np.diff(ends, prepend=-1) - 1
    # Three digits before each separator; where a number has fewer, what stands there is left out.
    digits = [
        characters[np.maximum(ends - place, 0)].astype(np.int16) - _ZERO for place in (1, 2, 3)
    ]
    values = digits[0] + 10 * digits[1] * (lengths > 1) + 100 * digits[2] * (lengths > 2)
    sound = (lengths >= 1) & (lengths <= 3) & (values <= 255)
    for place, digit in enumerate(digits):
        sound &= (lengths <= place) | ((digit >= 0) & (digit <= 9))
    row_ends = np.flatnonzero(is_newline[ends])
    if not sound.all():
        wrong = int(np.argmin(sound))
        begin = int(ends[wrong]) - int(lengths[wrong])
        found = text[begin : int(ends[wrong])].decode(errors="replace")
        # An empty line is a ragged row, and said to be one below.
        if found or columns == 1 or not _is_empty_line(text, int(ends[wrong])):
            raise InputError(
                f"{path}, line {line + int(np.searchsorted(row_ends, wrong))}: expected whole "
                f"numbers from 0 to 255, found '{found[:20]}'"
            )
    widths = np.diff(row_ends, prepend=-1)
    if (widths != columns).any():
        wrong = int(np.argmax(widths != columns))
        raise InputError(
            f"{path}, line {line + wrong}: expected {columns} values as in the first row, "
            f"found {int(widths[wrong])}"
        )
    return values.astype(np.uint8).reshape(-1, columns)


def _is_empty_line(text: bytes, end: int) -> bool:
    return text[end] == _NEWLINE and (end == 0 or text[end - 1] == _NEWLINE)
