"""The chunks of a PNG file that libvips leaves out or changes: texts, gamma, primaries, time.

References
----------
Portable Network Graphics (PNG) Specification, third edition, W3C, section 11.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autodenoise.images.libvips import pyvips

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

__all__ = ["read", "write"]

_COLOURS = frozenset({b"gAMA", b"cHRM", b"sRGB", b"cICP"})
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt", b"tIME"})
_XMP = b"XML:com.adobe.xmp\0"  # which libvips writes
_MOST_BYTES = 16 << 20
# The signature and the first chunk, IHDR.
_HEAD = 8 + 25


def read(path: Path, *, colours_only: bool) -> bytes:
    """Give those chunks of a PNG file, as they are, that another picture's file can have.

    Parameters
    ----------
    path
        The file; where it is cut off, the chunks end.
    colours_only
        Leave out what does not say how the samples look.
    """
    kept = _COLOURS if colours_only else _COLOURS | _TEXTS
    chunks = bytearray()
    with path.open("rb") as file:
        file.seek(_HEAD)
        while len(head := file.read(8)) == 8:
            size, name = int.from_bytes(head[:4], "big"), head[4:]
            if name not in kept:
                file.seek(size + 4, 1)
                continue
            if len(chunks) + size > _MOST_BYTES:
                break
            body = file.read(size + 4)
            if len(body) == size + 4 and not body.startswith(_XMP):
                chunks += head + body
    return bytes(chunks)


def write(image: pyvips.Image, path: Path, chunks: bytes, **options: Any) -> None:
    """Encode an image as PNG, with more chunks behind the first.

    Raises
    ------
    pyvips.Error
        It cannot be encoded.
    OSError
        It cannot be written.
    """
    done = 0
    failures: list[OSError] = []
    with path.open("wb") as file:

        def take(data: Any) -> int:
            nonlocal done
            here = bytes(data)
            before = max(0, min(len(here), _HEAD - done))
            behind_the_head = done < _HEAD <= done + len(here)
            try:
                file.write(here[:before] + (chunks if behind_the_head else b"") + here[before:])
            except OSError as error:
                failures.append(error)
                return -1
            done += len(here)
            return len(here)

        target = pyvips.TargetCustom()
        target.on_write(take)
        try:
            image.pngsave_target(target, **options)
        except pyvips.Error:
            if failures:
                raise failures[0] from None
            raise
