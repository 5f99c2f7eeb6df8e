"""The picture formats, told by what a file holds, and what each of them can keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autodenoise.errors import InputError, OutputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FORMATS", "SUFFIXES", "Format", "detect_format", "format_of_name", "reason"]


@dataclass(frozen=True)
class Format:
    """A picture format.

    Attributes
    ----------
    name
        As people write it.
    suffixes
        File name endings, the usual one first.
    loader
        The libvips operation that decodes it. Each format is opened by its own, so that no other
        of libvips's loaders ever sees a stranger's file.
    types
        The sample types that it can hold.
    alpha, cmyk, pages
        Whether it can hold those.
    side
        The longest side, in pixels.
    quality
        What a lossy format is written with where a source says nothing better; else None.
    """

    name: str
    suffixes: tuple[str, ...]
    loader: str
    types: tuple[type[np.generic], ...]
    alpha: bool
    cmyk: bool
    pages: bool
    side: int
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
"""The file names that are taken for pictures in a folder, and that can be written."""

_HEAD = 16


def detect_format(path: Path) -> Format:
    """Tell the format of a file by its first bytes, whatever its name.

    Raises
    ------
    InputError
        There is no such file, it cannot be read, or it holds no picture of `FORMATS`.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except (OSError, ValueError) as error:
        if path.is_dir():
            raise InputError(f"{path} is a folder; expected a picture") from None
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
        f"cannot read {path}: by its first bytes it is none of "
        f"{', '.join(form.name for form in FORMATS)}"
    )


def format_of_name(path: Path) -> Format:
    """Tell the format that a file to be written has by its ending.

    Raises
    ------
    OutputError
        The ending is none of `SUFFIXES`.
    """
    for form in FORMATS:
        if path.suffix.lower() in form.suffixes:
            return form
    raise OutputError(f"cannot tell the format of {path}; use one of {', '.join(sorted(SUFFIXES))}")


def reason(error: Exception) -> str:
    """Give what libvips says went wrong, on one line, without the names of its operations."""
    lines = (line.strip() for line in str(error).splitlines())
    # Threads share libvips's list of errors, and pyvips's own look-ups leave theirs there.
    idle = ("unable to call", "unable to fetch", "image: no property named")
    said = (line for line in lines if line and not line.startswith(idle))
    return "; ".join(dict.fromkeys(said)) or "libvips gave no reason"
