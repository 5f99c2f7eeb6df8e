"""Files that are whole or not there: temporary file beside the target, fsync, rename."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from autodenoise.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "digest",
    "make_folder",
    "printable",
    "quoted",
    "replacing",
    "size_of",
    "write_bytes",
    "write_text",
]

_UMASK = threading.Lock()


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target`, and move it there when the block ends well.

    The file is flushed to disk before the rename, so that a crash at any time leaves the old
    file or the new one and never a part. If the block raises, the temporary file is removed.

    Parameters
    ----------
    target
        The final path. Its folder must exist; a file that is there is replaced.

    Raises
    ------
    OutputError
        The disk is full, the folder is missing or cannot be written.
    """
    temporary = None
    try:
        descriptor, name = tempfile.mkstemp(
            prefix=".autodenoise-", suffix=target.suffix, dir=target.parent
        )
        os.close(descriptor)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
        temporary = None
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    # The only portable way to read it is to set it; mkstemp's 0600 would surprise a shared folder.
    # It is the process's: two threads at once could leave it at 0.
    with _UMASK:
        mask = os.umask(0)
        os.umask(mask)
    return mask


def write_bytes(target: Path, content: bytes) -> None:
    """Write `content` to `target`, atomically."""
    with replacing(target) as temporary:
        temporary.write_bytes(content)


def write_text(target: Path, content: str) -> None:
    """Write `content` to `target` as UTF-8, atomically."""
    write_bytes(target, content.encode())


def make_folder(folder: Path) -> None:
    """Make `folder` and its parents where they are missing.

    Raises
    ------
    OutputError
        It cannot be made: read-only, no space, or a file is in the way.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error


def digest(path: Path) -> str:
    """Give the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_of(folder: Path) -> int:
    """Give the bytes that the files in a folder take, however deep; those that just go are none."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += Path(path, name).stat().st_size
    return total


def printable(name: str) -> str:
    """Give a file's name without what would steer a terminal or is no text at all: escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def quoted(path: Path) -> str:
    """Give a path as a shell takes it, for commands that people may copy."""
    return shlex.quote(str(path))
