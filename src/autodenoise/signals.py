"""Stopping on request, at a moment that leaves nothing half done."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["stop_requests"]


@contextlib.contextmanager
def stop_requests(*, repeated: bool = False) -> Iterator[threading.Event]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into a flag, so that a step is never cut in two.

    A second one acts as usual, unless requests may come `repeated`: whoever started several
    processes passes on to each what it may have been sent itself. Signals reach Python in the main
    thread alone; elsewhere the caller's own handling stays in place.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # Of a terminal that is closed. Who started this with nohup does not mind.
    closed = getattr(signal, "SIGHUP", None)
    if closed is not None and signal.getsignal(closed) is not signal.SIG_IGN:
        before[closed] = signal.getsignal(closed)

    def restore_handlers() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def request(*_: object) -> None:
        stop.set()
        if not repeated:
            restore_handlers()

    for number in before:
        signal.signal(number, request)
    try:
        yield stop
    finally:
        restore_handlers()
