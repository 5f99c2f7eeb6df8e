"""The chunks of a PNG file that libvips drops or changes: text, gamma, primaries, time.

References
----------
Portable Network Graphics (PNG) Specification, third edition, W3C, section 11.3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autodenoise.images.libvips import pyvips

__all__ = ["read_chunks", "write_png"]

_COLOR_CHUNKS = frozenset({b"gAMA", b"cHRM", b"sRGB", b"cICP"})
_TEXT_CHUNKS = frozenset({b"tEXt", b"zTXt", b"iTXt", b"tIME"})
_XMP = b"XML:com.adobe.xmp\0"  # libvips writes this one
_MAX_BYTES = 16 << 20
# The signature and the first chunk, IHDR.
_HEAD_BYTES = 8 + 25


def read_chunks(path: Path, *, colors_only: bool) -> bytes:
    """Return the chunks of a PNG file that can be copied to another one.

    In a truncated file, only complete chunks are returned. `colors_only` skips those that do not
    affect how the samples look.
    """
    names = _COLOR_CHUNKS if colors_only else _COLOR_CHUNKS | _TEXT_CHUNKS
    chunks = bytearray()
    with path.open("rb") as file:
        file.seek(_HEAD_BYTES)
        while len(head := file.read(8)) == 8:
            size, name = int.from_bytes(head[:4], "big"), head[4:]
            if name not in names:
                file.seek(size + 4, 1)
                continue
            if len(chunks) + size > _MAX_BYTES:
                break
            body = file.read(size + 4)
            if len(body) == size + 4 and not body.startswith(_XMP):
                chunks += head + body
    return bytes(chunks)


def write_png(image: pyvips.Image, path: Path, chunks: bytes, **options: Any) -> None:
    """Encode an image as PNG, with additional chunks after the first."""
    written = 0
    failures: list[OSError] = []
    with path.open("wb") as file:

        def on_write(data: Any) -> int:
            nonlocal written
            block = bytes(data)
            head = max(0, min(len(block), _HEAD_BYTES - written))
            head_ends = written < _HEAD_BYTES <= written + len(block)
            try:
                file.write(block[:head] + (chunks if head_ends else b"") + block[head:])
            except OSError as error:
                failures.append(error)
                return -1
            written += len(block)
            return len(block)

        target = pyvips.TargetCustom()
        target.on_write(on_write)
        try:
            image.pngsave_target(target, **options)
        except pyvips.Error:
            if failures:
                raise failures[0] from None
            raise
