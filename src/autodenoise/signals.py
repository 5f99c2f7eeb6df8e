"""Stop on request, between two steps."""

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
    """Set the yielded event at the first SIGINT, SIGTERM or SIGHUP, instead of interrupting a step.

    A second signal acts as usual, unless `repeated` is set: a process may receive the same signal
    from the terminal and from its parent. Python handles signals in the main thread only; in other
    threads the handlers do not change.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # Sent when the terminal is hangup; nohup ignores it.
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        before[hangup] = signal.getsignal(hangup)

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
