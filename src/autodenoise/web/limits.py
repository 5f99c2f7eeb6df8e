"""How much the server takes on."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]

_GIB = 2**30


@dataclass(frozen=True)
class Limits:
    """What bounds the server's memory, disk and patience.

    Attributes
    ----------
    upload_bytes
        Of one picture's file.
    pixels
        Of one picture, all pages together.
    waiting
        Pictures that are sent or wait at once; whoever comes then is told that the server is busy.
    asked
        Previews, downloads and archives that are made or wait to be made at once.
    kept
        Pictures that are there at once, done or not.
    kept_bytes
        On disk. Answers kept for downloads at other strengths, and previews, go first; they can be
        made again.
    idle_seconds
        After so long without a question about it a picture is forgotten.
    stalled_seconds
        After so long without a byte an upload is given up.
    least_bytes_a_second
        Slower ones are given up too.
    """

    upload_bytes: int = 2 * _GIB
    pixels: int = 500_000_000
    waiting: int = 16
    asked: int = 64
    kept: int = 500
    kept_bytes: int = 16 * _GIB
    idle_seconds: float = 3600
    stalled_seconds: float = 60
    least_bytes_a_second: int = 10_000
