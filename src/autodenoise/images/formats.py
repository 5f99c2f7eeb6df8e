"""The supported image formats, how to recognize them, and what each can hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autodenoise.errors import InputError, OutputError

__all__ = ["FORMATS", "SUFFIXES", "Format", "detect_format", "format_of_name"]


@dataclass(frozen=True)
class Format:
    """An image format, and what it can hold.

    `loader` is the libvips operation that decodes it. Each format names its loader, so that
    untrusted files reach no other loader of libvips. `signature` is a regular expression of its
    first bytes. `max_side` is in pixels. `quality`, 1 to 100, is the default of a lossy format.
    """

    name: str
    suffixes: tuple[str, ...]
    loader: str
    signature: bytes
    types: tuple[type[np.generic], ...]
    max_side: int = 2**31 - 1
    quality: int | None = None
    alpha: bool = False
    cmyk: bool = False
    pages: bool = False


_INTEGERS = (np.uint8, np.uint16)
_ALL_TYPES = (*_INTEGERS, np.int8, np.int16, np.uint32, np.int32, np.float32)
_TIFF_MARK, _JPEG_MARK = rb"II[*+]\0|MM\0[*+]", rb"\xff\xd8\xff"
_WEBP_MARK, _AVIF_MARK = rb"RIFF....WEBP", rb"....ftyp(avif|mif1)"
PNG = Format("PNG", (".png",), "pngload", rb"\x89PNG\r\n\x1a\n", _INTEGERS, alpha=True)
JPEG = Format("JPEG", (".jpg", ".jpeg"), "jpegload", _JPEG_MARK, (np.uint8,), 65_500, 95, cmyk=True)
TIFF = Format(
    "TIFF", (".tif", ".tiff"), "tiffload", _TIFF_MARK, _ALL_TYPES, alpha=True, cmyk=True, pages=True
)
WEBP = Format(
    "WebP", (".webp",), "webpload", _WEBP_MARK, (np.uint8,), 16_383, 90, alpha=True, pages=True
)
AVIF = Format("AVIF", (".avif",), "heifload", _AVIF_MARK, _INTEGERS, 16_384, 85, alpha=True)
FORMATS = (PNG, JPEG, TIFF, WEBP, AVIF)

SUFFIXES = frozenset(suffix for form in FORMATS for suffix in form.suffixes)
"""Suffixes of the image files that are found in folders and that can be written."""

_SIGNATURE_BYTES = 16


def detect_format(path: Path) -> Format:
    """Detect a file's format from its first bytes; the name is ignored."""
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
    for form in FORMATS:
        if re.match(form.signature, head, re.DOTALL):
            return form
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
