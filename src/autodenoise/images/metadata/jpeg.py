"""Compression settings of JPEG and WebP files, so that they can be saved with the same ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["jpeg_halves_chroma", "jpeg_quality", "webp_is_lossless"]

# The luminance table of ITU-T T.81, annex K.1, in zigzag order as in a file.
_LUMINANCE = np.array(
    [
        *(16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40),
        *(26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51),
        *(56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87),
        *(95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99),
    ]
)
_MAX_HEADER_BYTES = 1 << 20
_QUANTIZATION_TABLES, _START_OF_SCAN = frozenset({0xDB}), 0xDA
# Start-of-frame markers are C0 to CF, except for three.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def jpeg_quality(path: Path) -> int | None:
    """Estimate the quality that a JPEG file was saved with, on libjpeg's scale of 1 to 100.

    The first quantization table is compared with libjpeg's table at each quality. Cameras use other
    tables; for them the quality with the nearest table is returned. None if no table is found near
    the start of the file.
    """
    segment = _segment(path, _QUANTIZATION_TABLES)
    dtype = np.dtype(">u2" if segment[:1] > b"\x0f" else "u1")
    values = segment[1 : 1 + 64 * dtype.itemsize]
    if len(values) < 64 * dtype.itemsize:
        return None
    table = np.frombuffer(values, dtype).astype(np.int64)
    qualities = np.arange(1, 101)
    # As libjpeg's jpeg_quality_scaling and jpeg_add_quant_table do for baseline files.
    percent = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    candidates = np.clip((_LUMINANCE * percent[:, None] + 50) // 100, 1, 255)
    # Coefficients differ by orders of magnitude, so ratios are compared.
    distance = np.abs(np.log(candidates) - np.log(np.clip(table, 1, None))).sum(1)
    return int(qualities[distance.argmin()])


def jpeg_halves_chroma(path: Path) -> bool:
    """Return whether a JPEG file has 4:2:0 chroma: half the resolution in both directions.

    The field ``jpeg-chroma-subsample`` of libvips 8.18 says 4:4:4 for every file.
    """
    # The second byte of the first component, after eight bytes, holds its sampling factors.
    frame = _segment(path, _START_OF_FRAME)
    return frame[7:8] == b"\x22"


def _segment(path: Path, markers: frozenset[int]) -> bytes:
    """Return the body of the first segment with one of these markers, before the image data."""
    with path.open("rb") as file:
        head = file.read(_MAX_HEADER_BYTES)
    start = 2
    while start + 4 <= len(head) and head[start] == 0xFF and head[start + 1] != _START_OF_SCAN:
        length = int.from_bytes(head[start + 2 : start + 4], "big")
        if length < 2:
            break
        if head[start + 1] in markers:
            return head[start + 4 : start + 2 + length]
        start += 2 + length
    return b""


def webp_is_lossless(path: Path) -> bool:
    """Return whether the first frame of a WebP file is coded losslessly."""
    with path.open("rb") as file:
        head = file.read(_MAX_HEADER_BYTES)
    start = 12
    while start + 8 <= len(head):
        name, size = head[start : start + 4], int.from_bytes(head[start + 4 : start + 8], "little")
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8L"
        # The chunks of a frame follow 16 bytes of position and duration.
        start += 8 + 16 if name == b"ANMF" else 8 + size + size % 2
    return False
