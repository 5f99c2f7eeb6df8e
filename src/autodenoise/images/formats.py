"""The supported image formats, how to recognize them, and what each can hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autodenoise.errors import InputError, OutputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FORMATS", "SUFFIXES", "Format", "detect_format", "error_text", "format_of_name"]


@dataclass(frozen=True)
class Format:
    """An image format.

    Attributes
    ----------
    name
        The format's usual name.
    suffixes
        File name suffixes, the most common first.
    loader
        The libvips operation that decodes it. Each format names its loader, so that untrusted files
        reach no other loader of libvips.
    types
        Sample types that it can hold.
    alpha, cmyk, pages
        Whether it can hold transparency, CMYK, and several pages.
    max_side
        The largest width or height, in pixels.
    quality
        Default quality of a lossy format, 1 to 100; None if lossless.
    """

    name: str
    suffixes: tuple[str, ...]
    loader: str
    types: tuple[type[np.generic], ...]
    alpha: bool
    cmyk: bool
    pages: bool
    max_side: int
    quality: int | None = None


_INTEGERS = (np.uint8, np.uint16)
FORMATS = (
    Format("PNG", (".png",), "pngload", _INTEGERS, True, False, False, 2**31 - 1),
    Format("JPEG", (".jpg", ".jpeg"), "jpegload", (np.uint8,), False, True, False, 65_500, 95),
    Format(
        "TIFF",
        (".tif", ".tiff"),
        "tiffload",
        (*_INTEGERS, np.int8, np.int16, np.uint32, np.int32, np.float32),
        True,
        True,
        True,
        2**31 - 1,
    ),
    Format("WebP", (".webp",), "webpload", (np.uint8,), True, False, True, 16_383, 90),
    Format("AVIF", (".avif",), "heifload", _INTEGERS, True, False, False, 16_384, 85),
)
PNG, JPEG, TIFF, WEBP, AVIF = FORMATS

SUFFIXES = frozenset(suffix for form in FORMATS for suffix in form.suffixes)
"""Suffixes of the image files that are found in folders and that can be written."""

_SIGNATURE_BYTES = 16


def detect_format(path: Path) -> Format:
    """Detect a file's format from its first bytes; the name is ignored.

    Raises
    ------
    InputError
        The file does not exist, cannot be read, or is in none of `FORMATS`.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_SIGNATURE_BYTES)
    except (OSError, ValueError) as error:
        if path.is_dir():
            raise InputError(f"{path} is a folder; expected an image file") from None
        if not path.exists():
            raise InputError(f"no such image: {path}") from None
        raise InputError(f"cannot read {path}: {error}") from None
    if not head:
        raise InputError(f"cannot read {path}: the file is empty")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return TIFF
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WEBP
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"mif1"):
        return AVIF
    raise InputError(
        f"cannot read {path}: by its first bytes it is not one of "
        f"{', '.join(form.name for form in FORMATS)}"
    )


def format_of_name(path: Path) -> Format:
    """Return the format that a file name's suffix stands for.

    Raises
    ------
    OutputError
        The suffix is not in `SUFFIXES`.
    """
    for form in FORMATS:
        if path.suffix.lower() in form.suffixes:
            return form
    raise OutputError(f"cannot tell the format of {path}; use one of {', '.join(sorted(SUFFIXES))}")


def error_text(error: Exception) -> str:
    """Return libvips's error message on one line, without the names of its operations."""
    lines = (line.strip() for line in str(error).splitlines())
    # Threads share libvips's error log, and pyvips's own lookups leave messages there.
    noise = ("unable to call", "unable to fetch", "image: no property named")
    relevant = (line for line in lines if line and not line.startswith(noise))
    return "; ".join(dict.fromkeys(relevant)) or "libvips gave no reason"
