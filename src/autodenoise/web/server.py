"""Run the server in the foreground."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn

from autodenoise.errors import UsageError
from autodenoise.signals import stop_requests
from autodenoise.web.app import create_app
from autodenoise.web.limits import Limits
from autodenoise.web.queue import JobQueue
from autodenoise.web.security import is_loopback

__all__ = ["PORT", "serve"]

PORT = 8008
"""Default port; another one is used if it is taken."""

_BACKLOG = 128
_SHUTDOWN_SECONDS = 2


def serve(
    host: str = "127.0.0.1",
    port: int | None = None,
    *,
    limits: Limits | None = None,
    on_ready: Callable[[str, bool], None] | None = None,
) -> None:
    """Serve the page until SIGINT, SIGTERM or SIGHUP, then delete all uploaded and result files.

    Unless `host` is a loopback address, everyone who can reach it can use the server. Port 0 is any
    free port; None is `PORT`, or any free port if that is taken. `on_ready` is called when the page
    can be opened, with its address and whether only this machine can reach it. Raise UsageError if
    the address does not belong to this machine, or the port is taken.
    """
    listening = _listen(host, port)
    address, chosen = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    with listening, stop_requests(repeated=True) as stop, JobQueue(limits or Limits()) as queue:
        config = uvicorn.Config(
            create_app(queue, host),
            access_log=False,
            # Warnings are about malformed requests.
            log_level="error",
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        if on_ready is not None:
            on_ready(f"http://{shown}:{chosen}/", is_loopback(address))
        _Server(config, queue, stop).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Shuts down when an event is set, and stops all jobs first, so that clients get a response."""

    def __init__(self, config: uvicorn.Config, queue: JobQueue, stop: threading.Event) -> None:
        super().__init__(config)
        self._queue, self._stop = queue, stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers; `stop_requests` has set them already."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Return whether to shut down; called ten times per second."""
        if not self._stop.is_set():
            return await super().on_tick(counter)
        self._queue.stop()
        # uvicorn would log an error about responses that clients do not fetch in time.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        return True


def _listen(host: str, port: int | None) -> socket.socket:
    chosen = PORT if port is None else port
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, chosen, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(f"unknown address {host}: {error}") from None
    listening = socket.socket(family, kind)
    try:
        # The port of a server that was just stopped stays reserved for a while.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        # Connections are queued until uvicorn accepts them.
        listening.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        if port is None and isinstance(error, OSError):
            return _listen(host, 0)
        raise UsageError(
            f"cannot listen on {host}, port {chosen}: {error}; choose another with --port, or 0 "
            "for any free port"
        ) from None
    return listening
