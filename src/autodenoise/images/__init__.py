"""Files to arrays and back; the one place where pixel units, dtypes and channel order convert.

An image is a float32 array (H, W, C) in [0, 1], RGB order. Scale comes from the file's sample
format, never from its content: 8-bit files are divided by 255 and 16-bit files by 65535.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autodenoise.errors import InputError, OutputError
from autodenoise.files import replacing
from autodenoise.images.encoding import open_for_saving, row_writer, writable_formats
from autodenoise.images.formats import SUFFIXES, format_of_name, reason
from autodenoise.images.image_file import ImageFile, open_image
from autodenoise.images.libvips import pyvips
from autodenoise.images.samples import IntensityRange, from_float, to_float
from autodenoise.images.streaming import prefetch

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = [
    "SUFFIXES",
    "ImageFile",
    "IntensityRange",
    "encode_png",
    "format_of_name",
    "from_float",
    "open_for_saving",
    "open_for_training",
    "open_image",
    "prefetch",
    "read",
    "row_writer",
    "to_float",
    "writable_formats",
    "write",
]


def open_for_training(path: Path) -> ImageFile:
    """Open one picture that is grey or RGB of 8 or 16 bits, upright.

    Raises
    ------
    InputError
        It is missing, cannot be decoded, or is anything else.
    """
    picture = open_image(path, upright=True)
    if picture.pages > 1:
        raise InputError(f"{path} has {picture.pages} pages; expected one picture")
    if IntensityRange.of(picture.dtype) is None or picture.bands not in (1, 3) or picture.cmyk:
        raise InputError(
            f"{path} has {picture.source.bands} channels of {picture.dtype}; "
            "expected gray or RGB of 8 or 16 bits, without transparency"
        )
    return picture


def read(path: Path) -> NDArray[np.generic]:
    """Read one picture as its file has it: uint8 or uint16, (H, W, C), 1 or 3 channels, upright.

    Raises
    ------
    InputError
        It is missing, damaged, or neither grey nor RGB of 8 or 16 bits.
    """
    return np.concatenate(list(open_for_training(path).rows()))


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
    form = format_of_name(path)
    if pixels.dtype.type not in form.types:
        raise OutputError(f"{form.name} cannot hold {pixels.dtype} samples; write PNG or TIFF")
    with replacing(path) as temporary:
        try:
            quality = {} if form.quality is None else {"Q": form.quality}
            _picture(pixels).write_to_file(str(temporary), **quality)
        except pyvips.Error as error:
            raise OutputError(f"cannot write {path}: {reason(error)}") from None


def encode_png(pixels: NDArray[np.generic]) -> bytes:
    """Give the PNG file of a picture, uint8 or uint16, (H, W, C); equal pixels give equal bytes."""
    encoded: bytes = _picture(pixels).write_to_buffer(".png")
    return encoded


def _picture(pixels: NDArray[np.generic]) -> pyvips.Image:
    # libvips takes an array of 16 bits for 8 unless it is told what its numbers mean.
    deep, colour = pixels.dtype == np.uint16, pixels.shape[2] == 3
    meaning = ("rgb16" if deep else "srgb") if colour else ("grey16" if deep else "b-w")
    return pyvips.Image.new_from_array(pixels, interpretation=meaning)
