"""Convert between image files and arrays.

An image is a float32 array (H, W, C) in [0, 1], RGB order. Units, dtypes and channel order convert
here alone. The intensity range comes from the file's sample format, never from its content: 8-bit
files are divided by 255, 16-bit files by 65535.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autodenoise.errors import InputError, OutputError
from autodenoise.files import replacing
from autodenoise.images.encoding import open_for_saving, row_writer, writable_formats
from autodenoise.images.formats import SUFFIXES, format_of_name
from autodenoise.images.image_file import ImageFile, open_image
from autodenoise.images.intensity import IntensityRange, from_float, to_float
from autodenoise.images.libvips import error_text, pyvips
from autodenoise.images.streaming import prefetch

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
    """Open a file that holds one gray or RGB image of 8 or 16 bits, turned upright.

    Raises
    ------
    InputError
        The file is missing, cannot be decoded, or holds anything else.
    """
    file = open_image(path, upright=True)
    if file.pages > 1:
        raise InputError(f"{path} has {file.pages} pages; expected a single image")
    if IntensityRange.for_dtype(file.dtype) is None or file.bands not in (1, 3) or file.cmyk:
        raise InputError(
            f"{path} has {file.source.bands} channels of {file.dtype}; "
            "expected gray or RGB of 8 or 16 bits, without transparency"
        )
    return file


def read(path: Path) -> NDArray[np.generic]:
    """Read an image file unscaled: uint8 or uint16, (H, W, C), 1 or 3 channels, upright.

    Raises
    ------
    InputError
        The file is missing, damaged, or neither gray nor RGB of 8 or 16 bits.
    """
    return np.concatenate(list(open_for_training(path).rows()))


def write(path: Path, pixels: NDArray[np.generic]) -> None:
    """Write an image file atomically; the suffix chooses the format.

    Parameters
    ----------
    path
        Overwritten if it exists.
    pixels
        uint8 or uint16, (H, W, C).

    Raises
    ------
    OutputError
        The suffix is not in `SUFFIXES`, the format cannot hold 16 bits, or the disk is full.
    """
    form = format_of_name(path)
    if pixels.dtype.type not in form.types:
        raise OutputError(f"{form.name} cannot hold {pixels.dtype} samples; write PNG or TIFF")
    with replacing(path) as temporary:
        try:
            quality = {} if form.quality is None else {"Q": form.quality}
            _to_vips(pixels).write_to_file(str(temporary), **quality)
        except pyvips.Error as error:
            raise OutputError(f"cannot write {path}: {error_text(error)}") from None


def encode_png(pixels: NDArray[np.generic]) -> bytes:
    """Encode uint8 or uint16 pixels (H, W, C) as PNG; equal pixels give equal bytes."""
    encoded: bytes = _to_vips(pixels).write_to_buffer(".png")
    return encoded


def _to_vips(pixels: NDArray[np.generic]) -> pyvips.Image:
    # Without an interpretation libvips would write 16 bits as 8.
    deep, color = pixels.dtype == np.uint16, pixels.shape[2] == 3
    interpretation = ("rgb16" if deep else "srgb") if color else ("grey16" if deep else "b-w")
    return pyvips.Image.new_from_array(pixels, interpretation=interpretation)
