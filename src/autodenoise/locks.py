"""Files that one process at a time may append to."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, Self

from autodenoise.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["LockedFile"]


class LockedFile:
    """A file of lines, locked while it is open; each line is on disk when `append` returns.

    The file itself is locked, so no lock file is left behind. The operating system releases the
    lock when the process ends, even if it is killed. An incomplete last line, as a power failure
    leaves it, is removed.

    The file is created if it is missing; its folder must exist. Raises `OutputError` if another
    process has locked it, or it cannot be written.
    """

    # Not filelock: it truncates the file that it locks, so it would need a second file.

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # Unbuffered, so that closing the file does not retry a failed write.
            self._file = path.open("ab+", buffering=0)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        try:
            self._lock()
            content = self._read()
            if content and not content.endswith(b"\n"):
                self._file.truncate(content.rfind(b"\n") + 1)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and release the lock."""
        self._file.close()

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of the file without their line breaks."""
        for line in io.BytesIO(self._read()):
            yield line.removesuffix(b"\n")

    def append(self, line: bytes) -> None:
        """Add a line, passed without its line break, and wait until it is on disk.

        If the disk is full, the file is unchanged and `OutputError` is raised.
        """
        end = os.fstat(self._file.fileno()).st_size
        try:
            rest = line + b"\n"
            while rest:  # a disk that fills up accepts a part of the line
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(end)
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from error

    def _lock(self) -> None:
        try:
            if sys.platform == "win32":
                # Lock a byte far behind the end: others cannot read locked bytes.
                self._file.seek(1 << 40)
                msvcrt.locking(self._file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise OutputError(
                f"another autodenoise process is using {self._path.parent}; wait until it is done, "
                "or choose another folder with -o"
            ) from None
        except OSError as error:
            raise OutputError(f"cannot lock {self._path}: {error.strerror}") from error

    def _read(self) -> bytes:
        self._file.seek(0)
        return self._file.read()
