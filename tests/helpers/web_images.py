"""Image files to upload, as bytes, written by other libraries."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["bomb", "camera_jpeg", "encoded", "floats", "large", "noise", "tiff"]


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """Return (H, W, C) of random samples."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def encoded(pixels: NDArray[np.uint8], form: str = "PNG", **options: Any) -> bytes:
    """Return a file written by Pillow."""
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, form, **options)
    return file.getvalue()


def camera_jpeg(height: int = 60, width: int = 90, orientation: int = 6) -> bytes:
    """Return a photo with EXIF orientation and camera maker."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    return encoded(noise(height, width), "JPEG", quality=88, exif=exif)


def tiff(samples: NDArray[Any], **options: Any) -> bytes:
    """Return a file written by tifffile."""
    file = io.BytesIO()
    tifffile.imwrite(file, samples, **options)
    return file.getvalue()


def floats() -> bytes:
    """Return a float TIFF that declares no intensity range."""
    return tiff(np.linspace(0, 4095, 48 * 64, dtype=np.float32).reshape(48, 64))


def large(side: int = 6000) -> bytes:
    """Return a gray image of few bytes that a slow model needs minutes for."""
    row = np.arange(side, dtype=np.uint8)
    return encoded(np.broadcast_to(row, (side, side)).copy(), compress_level=1)


def bomb(side: int = 60_000) -> bytes:
    """Return a PNG file of a few bytes that declares gigabytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        content = name + body
        return struct.pack(">I", len(body)) + content + struct.pack(">I", zlib.crc32(content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1_000_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
