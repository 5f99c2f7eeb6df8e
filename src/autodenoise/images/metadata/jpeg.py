"""How strongly a lossy file was compressed, so that it can be written again as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["jpeg_is_halved", "jpeg_quality", "webp_is_lossless"]

# The luminance table of ITU-T T.81, annex K.1, in the zigzag order of the file.
_LUMINANCE = np.array(
    [
        *(16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40),
        *(26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51),
        *(56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87),
        *(95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99),
    ]
)
_HEAD = 1 << 20
_TABLES, _DATA = frozenset({0xDB}), 0xDA
# Frame headers are those from C0 to CF, but for three of other kinds.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def jpeg_quality(path: Path) -> int | None:
    """Estimate the quality that a JPEG file was saved with, on libjpeg's scale of 1 to 100.

    The first quantisation table is compared with libjpeg's own at each quality; a camera's tables
    are others, and give the quality whose table is nearest. None if there is no table near the
    file's beginning.
    """
    segment = next(_segments(path, _TABLES), b"")
    table = _first_table(segment)
    if table is None:
        return None
    qualities = np.arange(1, 101)
    # libjpeg's jpeg_quality_scaling and jpeg_add_quant_table, for baseline files.
    percent = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    theirs = np.clip((_LUMINANCE * percent[:, None] + 50) // 100, 1, 255)
    # Coefficients differ in size by decades: the ratio is what counts.
    distance = np.abs(np.log(theirs) - np.log(np.clip(table, 1, None))).sum(1)
    return int(qualities[distance.argmin()])


def jpeg_is_halved(path: Path) -> bool:
    """Tell whether a JPEG file has half the colours both ways, 4:2:0, and not only one way."""
    # Eight bytes before the first component, whose second byte is its sampling factors.
    frame = next(_segments(path, _FRAMES), b"")
    return frame[7:8] == b"\x22"


def _segments(path: Path, markers: frozenset[int]) -> Iterator[bytes]:
    """Give the bodies of the segments with some markers, up to the picture's data."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    place = 2
    while place + 4 <= len(head) and head[place] == 0xFF and head[place + 1] != _DATA:
        length = int.from_bytes(head[place + 2 : place + 4], "big")
        if length < 2:
            return
        if head[place + 1] in markers:
            yield head[place + 4 : place + 2 + length]
        place += 2 + length


def _first_table(segment: bytes) -> NDArray[np.int64] | None:
    kind = np.dtype(">u2" if segment[:1] > b"\x0f" else "u1")
    values = segment[1 : 1 + 64 * kind.itemsize]
    whole = len(values) == 64 * kind.itemsize
    return np.frombuffer(values, kind).astype(np.int64) if whole else None


def webp_is_lossless(path: Path) -> bool:
    """Tell whether a WebP file's first frame is coded without loss."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    place = 12
    while place + 8 <= len(head):
        name, size = head[place : place + 4], int.from_bytes(head[place + 4 : place + 8], "little")
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8L"
        # A frame's own chunks follow sixteen bytes of its place and duration.
        place += 8 + 16 if name == b"ANMF" else 8 + size + size % 2
    return False
