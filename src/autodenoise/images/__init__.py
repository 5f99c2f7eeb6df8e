"""Files to arrays and back; the one place where pixel units, dtypes and channel order convert.

An image is a float32 array (H, W, C) in [0, 1], RGB order. Scale comes from the file's sample
format, never from its content: 8-bit files are divided by 255 and 16-bit files by 65535.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyvips

from autodenoise.errors import InputError, OutputError
from autodenoise.files import replacing
from autodenoise.images.samples import Scale, from_float, to_float

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["SUFFIXES", "Scale", "encode_png", "from_float", "read", "to_float", "write"]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"})
"""The file names that are taken for images in a folder, and that can be written."""

_LOSSLESS = frozenset({".png", ".tif", ".tiff"})


def read(path: Path) -> NDArray[np.generic]:
    """Read one picture as its file has it: uint8 or uint16, (H, W, C), 1 or 3 channels.

    Raises
    ------
    InputError
        It is missing, damaged, or neither grey nor RGB of 8 or 16 bits.
    """
    if not path.is_file():
        raise InputError(f"no such image: {path}")
    try:
        stored = pyvips.Image.new_from_file(str(path), fail_on="truncated")
        pages = stored.get("n-pages") if stored.get_typeof("n-pages") else 1
        # Upright: the tag that says how to turn the samples is not written again.
        picture = stored.autorot()
        pixels: NDArray[np.generic] = picture.numpy().reshape(
            picture.height, picture.width, picture.bands
        )
    except pyvips.Error as error:
        reason = " ".join(str(error).split())
        raise InputError(f"cannot read {path}: {reason}") from None
    if pages > 1:
        raise InputError(f"{path} has {pages} pages; expected one picture")
    if Scale.of(pixels.dtype) is None or pixels.shape[2] not in (1, 3):
        raise InputError(
            f"{path} has {pixels.shape[2]} channels of {pixels.dtype}; "
            "expected grey or RGB of 8 or 16 bits, without transparency"
        )
    return pixels


def write(path: Path, pixels: NDArray[np.generic]) -> None:
    """Write one picture, whole or not at all; the name's ending chooses the format.

    Parameters
    ----------
    path
        Replaced if it exists: whoever calls decides about that.
    pixels
        uint8 or uint16, (H, W, C).

    Raises
    ------
    OutputError
        The ending is none of `SUFFIXES`, the format cannot hold 16 bits, or the disk refuses.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(
            f"cannot tell the format of {path}; use one of {', '.join(sorted(SUFFIXES))}"
        )
    if pixels.dtype == np.uint16 and path.suffix.lower() not in _LOSSLESS:
        raise OutputError(f"{path.suffix} cannot hold 16 bits a sample; write PNG or TIFF")
    picture = _picture(pixels)
    with replacing(path) as temporary:
        try:
            lossy = {} if path.suffix.lower() in _LOSSLESS else {"Q": 95}
            picture.write_to_file(str(temporary), **lossy)
        except pyvips.Error as error:
            raise OutputError(f"cannot write {path}: {' '.join(str(error).split())}") from None


def encode_png(pixels: NDArray[np.generic]) -> bytes:
    """Give the PNG file of a picture, uint8 or uint16, (H, W, C); equal pixels give equal bytes."""
    encoded: bytes = _picture(pixels).write_to_buffer(".png")
    return encoded


def _picture(pixels: NDArray[np.generic]) -> pyvips.Image:
    # libvips takes an array of 16 bits for 8 unless it is told what its numbers mean.
    deep, colour = pixels.dtype == np.uint16, pixels.shape[2] == 3
    meaning = ("rgb16" if deep else "srgb") if colour else ("grey16" if deep else "b-w")
    return pyvips.Image.new_from_array(pixels, interpretation=meaning)
