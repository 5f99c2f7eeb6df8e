"""The server's temporary folder, removed by the next server if this one is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["Workspace"]

_PREFIX = "autodenoise-serve-"


class Workspace:
    """A temporary folder below ``TMPDIR`` that only the current user can read, until `close`.

    The process holds a file lock on it, which the system releases when the process ends in any way.
    Folders of earlier servers whose lock is free are removed first. Windows has no locks on folders
    and some file systems have none at all; there, folders of killed servers stay.
    """

    def __init__(self) -> None:
        for stale in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):
                lock = _lock(stale)
                try:
                    shutil.rmtree(stale, ignore_errors=True)
                finally:
                    os.close(lock)
        self._lock: int | None = None
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
            try:
                self._lock = _lock(self.path)
            except (FileNotFoundError, BlockingIOError):
                continue  # another server found the folder before it was locked
            except OSError:
                return
            if self.path.exists():
                return
            os.close(self._lock)

    def close(self) -> None:
        """Remove the folder and its content."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _lock(folder: Path) -> int:
    if sys.platform == "win32":
        raise OSError("Windows cannot lock folders")
    # Everyone can write to /tmp: do not follow links, or touch other users' folders.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise PermissionError(f"{folder} belongs to another user")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
