"""A folder for what comes and goes, which a later one removes where its process was killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["Home"]

_PREFIX = "autodenoise-serve-"


class Home:
    """A folder that only this user may look into, until `close`.

    It is held by a lock of the kernel's, which goes with the process, however that ends. What
    others have left, whose lock is gone, is removed first; not so on Windows, which has no locks on
    folders, nor where the disk knows none.

    Attributes
    ----------
    path
        Where it is: `TMPDIR` chooses.

    Raises
    ------
    OSError
        There is no folder for temporary files.
    """

    def __init__(self) -> None:
        for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):
                lock = _lock(left)
                try:
                    shutil.rmtree(left, ignore_errors=True)
                finally:
                    os.close(lock)
        self._lock: int | None = None
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
            try:
                self._lock = _lock(self.path)
            except (FileNotFoundError, BlockingIOError):
                continue  # another that starts just now has found it without its lock
            except OSError:
                return
            if self.path.exists():
                return
            os.close(self._lock)

    def close(self) -> None:
        """Remove it, with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _lock(folder: Path) -> int:
    if sys.platform == "win32":
        raise OSError("folders have no locks")
    # Not through a link, and nobody else's: /tmp is everybody's.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise PermissionError(f"{folder} is another user's")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
