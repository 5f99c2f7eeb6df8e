"""Limits of the server."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]

_GIB = 2**30


@dataclass(frozen=True)
class Limits:
    """Limits on the server's memory, disk space and waiting times.

    Attributes
    ----------
    max_upload_bytes
        Size of an uploaded file.
    max_pixels
        Pixels of an image file, all pages together.
    max_waiting
        Files that are uploaded or waiting at once; the server answers further ones with 503.
    max_tasks
        Previews, downloads and archives that run or wait at once.
    max_jobs
        Jobs stored at once, finished or not.
    max_disk_bytes
        Disk space of all jobs. When it is exceeded, previews and cached model outputs are removed
        first, since they can be recomputed.
    idle_seconds
        A finished job is removed after this time without a request for it.
    upload_timeout_seconds
        An upload is aborted after this time without data.
    min_bytes_per_second
        Slower uploads are aborted too.
    """

    max_upload_bytes: int = 2 * _GIB
    max_pixels: int = 500_000_000
    max_waiting: int = 16
    max_tasks: int = 64
    max_jobs: int = 500
    max_disk_bytes: int = 16 * _GIB
    idle_seconds: float = 3600
    upload_timeout_seconds: float = 60
    min_bytes_per_second: int = 10_000
