"""Pictures' bytes between requests and files, and never in memory."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse

from autodenoise.errors import InputError, Interrupted
from autodenoise.web.errors import NoRoom, Stalled, TooLarge

if TYPE_CHECKING:
    import threading
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fastapi import Request
    from starlette.types import Receive, Scope, Send

    from autodenoise.web.limits import Limits

__all__ = ["Sending", "announced_size", "receive"]

_SECONDS_BETWEEN_LOOKS = 0.25


def announced_size(request: Request, limits: Limits) -> int:
    """Give how large a request's body says it is, or the most that it may be.

    Raises
    ------
    TooLarge
        That is more than is taken.
    """
    told = request.headers.get("content-length")
    size = limits.upload_bytes if told is None else int(told)
    _check_size(size, limits)
    return size


async def receive(
    request: Request, target: Path, limits: Limits, stopping: threading.Event
) -> None:
    """Write a request's body to a file.

    Parameters
    ----------
    request
        Whose body has not been read.
    target
        A new file.
    limits
        How large it may be, and how slow.
    stopping
        Set when the server is to end.

    Raises
    ------
    TooLarge
        It is larger than the limits allow.
    Stalled
        Too little came for too long, or the sender is gone.
    InputError
        It is empty.
    NoRoom
        The disk is full.
    Interrupted
        The server ends.
    """
    size, begun = 0, time.monotonic()
    try:
        with target.open("wb") as file:
            async for chunk in _chunks(request, limits, stopping):
                size += len(chunk)
                _check_size(size, limits)
                passed = time.monotonic() - begun
                if passed > limits.stalled_seconds + size / limits.least_bytes_a_second:
                    raise Stalled("the picture comes too slowly; send it again")
                file.write(chunk)
    except OSError as error:
        raise NoRoom(f"the server cannot keep the picture: {error.strerror or error}") from None
    if not size:
        raise InputError("no picture came; send its file as the request's body")


async def _chunks(
    request: Request, limits: Limits, stopping: threading.Event
) -> AsyncIterator[bytes]:
    stream = request.stream()
    while True:
        coming = asyncio.ensure_future(anext(stream))
        deadline = time.monotonic() + limits.stalled_seconds
        with contextlib.ExitStack() as giving_up:
            giving_up.callback(coming.cancel)
            while not coming.done():
                await asyncio.wait({coming}, timeout=_SECONDS_BETWEEN_LOOKS)
                if stopping.is_set():
                    raise Interrupted("the server ends")
                if not coming.done() and time.monotonic() > deadline:
                    seconds = f"{limits.stalled_seconds:g} seconds"
                    raise Stalled(f"nothing came for {seconds}; send the picture again")
            giving_up.pop_all()
        try:
            yield coming.result()
        except StopAsyncIteration:
            return
        except ClientDisconnect:
            raise Stalled("the sender is gone") from None


class Sending(FileResponse):
    """An answer that is a file.

    Parameters
    ----------
    path
        The file.
    filename
        What it is called.
    held
        Closed when the file is sent, or will not be.
    """

    def __init__(self, path: Path, filename: str, held: contextlib.ExitStack) -> None:
        super().__init__(path, filename=filename)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._held:
            await super().__call__(scope, receive, send)


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.upload_bytes:
        raise TooLarge(
            f"the file has more than {limits.upload_bytes:,} bytes, which are the most that is "
            "taken here; the command line takes any size: autodenoise denoise"
        )
