"""A picture's bytes from a request into a file, and never into memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from autodenoise.errors import AutodenoiseError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import Request

    from autodenoise.web.limits import Limits

__all__ = ["Stalled", "TooLarge", "receive", "swallow"]


class TooLarge(AutodenoiseError):
    """More was sent than is taken."""


class Stalled(AutodenoiseError):
    """Nothing came for too long."""


async def receive(request: Request, target: Path, limits: Limits) -> None:
    """Write a request's body to a file.

    Raises
    ------
    TooLarge
        It is larger than the limits allow.
    Stalled
        Nothing came for too long, or the sender is gone.
    InputError
        It is empty.
    """
    _check_size(int(request.headers.get("content-length") or 0), limits)
    stream, size = request.stream(), 0
    with target.open("wb") as file:
        try:
            while True:
                chunk = await asyncio.wait_for(anext(stream), limits.stalled_seconds)
                size += len(chunk)
                _check_size(size, limits)
                file.write(chunk)
        except StopAsyncIteration:
            pass
        except TimeoutError:
            raise Stalled(
                f"nothing came for {limits.stalled_seconds:g} seconds; send the picture again"
            ) from None
        except ClientDisconnect:
            raise Stalled("the sender is gone") from None
    if not size:
        raise InputError("no picture came; send its file as the request's body")


async def swallow(request: Request, limits: Limits) -> None:
    """Let what is still being sent come, and go.

    An answer while the sender is still sending is often lost: it finds the connection broken.
    """
    size = 0
    try:
        async with asyncio.timeout(limits.stalled_seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limits.upload_bytes:
                    return
    except (TimeoutError, ClientDisconnect, RuntimeError):
        # Gone, too slow, or read to its end before.
        return


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.upload_bytes:
        raise TooLarge(
            f"the file has more than {limits.upload_bytes:,} bytes, which are the most that is "
            "taken here; the command line takes any size: autodenoise denoise"
        )
