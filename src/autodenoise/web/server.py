"""The page's server as a process in the foreground."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import uvicorn

from autodenoise.errors import UsageError
from autodenoise.web.app import create_app
from autodenoise.web.guard import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from fastapi import FastAPI

    from autodenoise.web.limits import Limits

__all__ = ["PORT", "serve"]

PORT = 8008
"""Where the page is, unless that is taken."""

_WAITING = 128
_SECONDS_TO_FINISH = 5


def serve(
    host: str = "127.0.0.1",
    port: int | None = None,
    *,
    limits: Limits | None = None,
    on_ready: Callable[[str, bool], None] | None = None,
) -> None:
    """Serve the page until SIGINT or SIGTERM; all files of the pictures are removed at the end.

    Parameters
    ----------
    host
        The address to listen on; others than loopback let everyone in who can reach it.
    port
        0 for any that is free; None for `PORT`, or any where that is taken.
    limits
        What it takes on.
    on_ready
        Told the page's address, and whether this machine alone can reach it, when it can be opened.

    Raises
    ------
    UsageError
        The address is not this machine's, or the port is taken.
    """
    listening = _listen(host, port)
    app = create_app(host, limits)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )
    shown = f"[{host}]" if ":" in host else host
    if on_ready is not None:
        on_ready(f"http://{shown}:{listening.getsockname()[1]}/", is_loopback(host))
    # It gives the signal that ended it to us again.
    with contextlib.suppress(KeyboardInterrupt):
        _Server(config, app).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Stops the work first, so that whoever waits for it gets an answer before the end."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._app.state.desk.stop()
        super().handle_exit(sig, frame)


def _listen(host: str, port: int | None) -> socket.socket:
    chosen = PORT if port is None else port
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, chosen, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(f"no address {host} is known: {error}") from None
    listening = socket.socket(family, kind)
    try:
        # A server that was just stopped leaves its port in waiting.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        # The page may be opened before anybody accepts.
        listening.listen(_WAITING)
    except (OSError, OverflowError) as error:
        listening.close()
        if port is None and isinstance(error, OSError):
            return _listen(host, 0)
        raise UsageError(
            f"cannot listen on {host}, port {chosen}: {error}; choose another with --port, or 0 "
            "for any that is free"
        ) from None
    return listening
