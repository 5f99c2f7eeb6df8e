"""A file of lines that only grows, and that one process at a time may hold."""

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

__all__ = ["Journal"]


class Journal:
    """Lines on disk, each there for good before `append` returns.

    A last line that was cut off, as when the power goes, is none, and is taken out of the file.

    Parameters
    ----------
    path
        Made if it is missing; its folder exists.

    Raises
    ------
    OutputError
        Another process holds it, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # Unbuffered: what failed to be written is not tried again when the file is closed.
            self._file = path.open("ab+", buffering=0)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        try:
            self._lock()
            self._cut_off()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    def lines(self) -> Iterator[bytes]:
        """Read the lines that are in the file; they come without their ends."""
        for line in io.BytesIO(self._read()):
            yield line.removesuffix(b"\n")

    def append(self, line: bytes) -> None:
        """Add a line, which comes without its end.

        Raises
        ------
        OutputError
            The disk is full; nothing of the line is in the file.
        """
        end = os.fstat(self._file.fileno()).st_size
        try:
            rest = line + b"\n"
            while rest:  # a disk that fills up takes a part, and refuses the next
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(end)
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from error

    def _lock(self) -> None:
        # The kernel's, which goes when the process does, however that ends.
        try:
            if sys.platform == "win32":
                # A byte far behind the end: such a lock keeps others from reading what it covers.
                self._file.seek(1 << 40)
                msvcrt.locking(self._file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise OutputError(
                f"another autodenoise is at work on {self._path.parent}; wait until it is done, "
                "or choose another folder with -o"
            ) from None
        except OSError as error:
            raise OutputError(f"cannot lock {self._path}: {error.strerror}") from error

    def _cut_off(self) -> None:
        content = self._read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)

    def _read(self) -> bytes:
        self._file.seek(0)
        return self._file.read()
