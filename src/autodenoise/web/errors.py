"""Why the server says no, each with the status that HTTP has for it."""

from __future__ import annotations

from autodenoise.errors import (
    AutodenoiseError,
    InputError,
    Interrupted,
    OutputError,
    UsageError,
)

__all__ = ["Busy", "NoRoom", "NotDone", "Stalled", "TooLarge", "Unknown", "status_of"]


class Busy(AutodenoiseError):
    """The server has as much to do, or keeps as much, as it takes on."""


class NoRoom(AutodenoiseError):
    """The disk refuses."""


class NotDone(AutodenoiseError):
    """What was asked for is there when the picture is done."""


class Stalled(AutodenoiseError):
    """Nothing came for too long, or nobody waits for the answer."""


class TooLarge(AutodenoiseError):
    """More was sent than is taken."""


class Unknown(AutodenoiseError):
    """What was asked for is not here, or no longer."""


# The first that an error is an instance of.
_STATUS: dict[type[AutodenoiseError], int] = {
    Busy: 503,
    NoRoom: 507,
    NotDone: 409,
    Stalled: 408,
    TooLarge: 413,
    Unknown: 404,
    Interrupted: 409,
    UsageError: 400,
    InputError: 422,
    OutputError: 422,
    AutodenoiseError: 500,
}


def status_of(error: AutodenoiseError) -> int:
    """Give the status of an answer that tells an error."""
    return next(status for kind, status in _STATUS.items() if isinstance(error, kind))
