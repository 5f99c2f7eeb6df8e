"""Pictures to send, as the bytes of files that others wrote."""

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
    """Give (H, W, C) of nothing but noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def encoded(pixels: NDArray[np.uint8], form: str = "PNG", **options: Any) -> bytes:
    """Have Pillow write a file."""
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, form, **options)
    return file.getvalue()


def camera_jpeg(height: int = 60, width: int = 90, turned: int = 6) -> bytes:
    """Give a photo as a camera would: turned by its tag, with a maker."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = turned, "Maker"
    return encoded(noise(height, width), "JPEG", quality=88, exif=exif)


def tiff(samples: NDArray[Any], **options: Any) -> bytes:
    """Have tifffile write a file."""
    file = io.BytesIO()
    tifffile.imwrite(file, samples, **options)
    return file.getvalue()


def floats() -> bytes:
    """Give a file whose range only its owner knows."""
    return tiff(np.linspace(0, 4095, 48 * 64, dtype=np.float32).reshape(48, 64))


def large(side: int = 6000) -> bytes:
    """Give a grey picture that takes a slow model minutes, in few bytes."""
    row = np.arange(side, dtype=np.uint8)
    return encoded(np.broadcast_to(row, (side, side)).copy(), compress_level=1)


def bomb(side: int = 60_000) -> bytes:
    """Give a PNG file of a few bytes that declares gigabytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        said = name + body
        return struct.pack(">I", len(body)) + said + struct.pack(">I", zlib.crc32(said))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1_000_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
