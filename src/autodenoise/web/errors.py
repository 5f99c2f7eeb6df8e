"""Errors of the server, each with its HTTP status."""

from __future__ import annotations

from autodenoise.errors import AutodenoiseError, InputError, Interrupted, OutputError, UsageError

__all__ = [
    "ClientTimeout",
    "DiskFull",
    "NotFinished",
    "NotFound",
    "ServerBusy",
    "UploadTooLarge",
    "status_of",
]


class ServerBusy(AutodenoiseError):
    """The queue or the disk space for jobs is full; try again later."""


class DiskFull(AutodenoiseError):
    """A file could not be written."""


class NotFinished(AutodenoiseError):
    """The result is not available until the job is done."""


class ClientTimeout(AutodenoiseError):
    """The client disconnected, or sent nothing for too long."""


class UploadTooLarge(AutodenoiseError):
    """The upload exceeds the limit."""


class NotFound(AutodenoiseError):
    """The job or preview does not exist, or has been removed."""


# The first class that an error is an instance of decides.
_STATUS: dict[type[AutodenoiseError], int] = {
    ServerBusy: 503,
    DiskFull: 507,
    NotFinished: 409,
    ClientTimeout: 408,
    UploadTooLarge: 413,
    NotFound: 404,
    Interrupted: 409,
    UsageError: 400,
    InputError: 422,
    OutputError: 422,
    AutodenoiseError: 500,
}


def status_of(error: AutodenoiseError) -> int:
    """Return the HTTP status for an error."""
    return next(status for kind, status in _STATUS.items() if isinstance(error, kind))
