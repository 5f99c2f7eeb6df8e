"""The page's server as a process in the foreground."""

from __future__ import annotations

import contextlib
import logging
import socket
from typing import TYPE_CHECKING

import uvicorn

from autodenoise.errors import UsageError
from autodenoise.signals import stop_requests
from autodenoise.web.app import create_app
from autodenoise.web.limits import Limits
from autodenoise.web.queue import Desk
from autodenoise.web.security import is_loopback

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

__all__ = ["PORT", "serve"]

PORT = 8008
"""Where the page is, unless that is taken."""

_WAITING = 128
_SECONDS_TO_FINISH = 2


def serve(
    host: str = "127.0.0.1",
    port: int | None = None,
    *,
    limits: Limits | None = None,
    on_ready: Callable[[str, bool], None] | None = None,
) -> None:
    """Serve the page until SIGINT, SIGTERM or SIGHUP; then all files of the pictures are removed.

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
    address, chosen = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    with listening, stop_requests(repeated=True) as stop, Desk(limits or Limits()) as desk:
        config = uvicorn.Config(
            create_app(desk, host),
            access_log=False,
            # Warnings are of what strangers send.
            log_level="error",
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=_SECONDS_TO_FINISH,
        )
        if on_ready is not None:
            on_ready(f"http://{shown}:{chosen}/", is_loopback(address))
        _Server(config, desk, stop).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Ends on our flag, and stops the work first: whoever waits for it gets an answer."""

    def __init__(self, config: uvicorn.Config, desk: Desk, stop: threading.Event) -> None:
        super().__init__(config)
        self._desk, self._stop = desk, stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: they are a flag already, from before the start to the end."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Tell whether to end, ten times a second."""
        if not self._stop.is_set():
            return await super().on_tick(counter)
        self._desk.stop()
        # It would complain of answers that nobody fetches in time.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        return True


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
