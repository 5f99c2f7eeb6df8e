"""Stream image files between HTTP requests and the disk, without loading them into memory."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from autodenoise.errors import InputError, Interrupted
from autodenoise.web.errors import ClientTimeout, DiskFull, UploadTooLarge
from autodenoise.web.limits import Limits

__all__ = ["FileDownload", "declared_size", "receive_file"]

_POLL_SECONDS = 0.25


def declared_size(request: Request, limits: Limits) -> int:
    """Return the Content-Length of a request, or the largest size allowed if it has none.

    Raise UploadTooLarge if it exceeds the limit.
    """
    length = request.headers.get("content-length")
    size = limits.max_upload_bytes if length is None else int(length)
    _check_size(size, limits)
    return size


async def receive_file(
    request: Request, target: Path, limits: Limits, stopping: threading.Event
) -> None:
    """Write a request's body to a file, until `stopping` is set when the server shuts down.

    Raise UploadTooLarge; ClientTimeout if the upload is too slow or the client disconnected;
    InputError if the body is empty; DiskFull if the file cannot be written; Interrupted when
    stopped.
    """
    size, start = 0, time.monotonic()
    try:
        with target.open("wb") as file:
            async for chunk in _chunks(request, limits, stopping):
                size += len(chunk)
                _check_size(size, limits)
                allowed = limits.upload_timeout_seconds + size / limits.min_bytes_per_second
                if time.monotonic() - start > allowed:
                    raise ClientTimeout("the upload is too slow; send the image again")
                file.write(chunk)
    except OSError as error:
        raise DiskFull(f"cannot store the image: {error.strerror or error}") from None
    if not size:
        raise InputError("the request has no body; send the image file as the body")


async def _chunks(
    request: Request, limits: Limits, stopping: threading.Event
) -> AsyncIterator[bytes]:
    stream = request.stream()
    while True:
        upcoming = asyncio.ensure_future(anext(stream))
        deadline = time.monotonic() + limits.upload_timeout_seconds
        with contextlib.ExitStack() as on_error:
            on_error.callback(upcoming.cancel)
            while not upcoming.done():
                await asyncio.wait({upcoming}, timeout=_POLL_SECONDS)
                if stopping.is_set():
                    raise Interrupted("the server is shutting down")
                if not upcoming.done() and time.monotonic() > deadline:
                    seconds = f"{limits.upload_timeout_seconds:g} seconds"
                    raise ClientTimeout(f"no data for {seconds}; send the image again")
            on_error.pop_all()
        try:
            yield upcoming.result()
        except StopAsyncIteration:
            return
        except ClientDisconnect:
            raise ClientTimeout("the client disconnected") from None


class FileDownload(FileResponse):
    """A file response that closes resources when the file has been sent, or sending fails."""

    def __init__(self, path: Path, filename: str, resources: contextlib.ExitStack) -> None:
        super().__init__(path, filename=filename)
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        with self._resources:
            await super().__call__(scope, receive, send)


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.max_upload_bytes:
        raise UploadTooLarge(
            f"the file is larger than {limits.max_upload_bytes:,} bytes, the most that this server "
            "accepts; for files of any size, use: autodenoise denoise"
        )
