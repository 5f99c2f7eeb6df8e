"""Write files atomically: temporary file in the same folder, fsync, rename."""

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
    """Yield a temporary path in the same folder, and rename it to `target` after the block.

    The file is flushed to disk before the rename, so a crash leaves either the old file or the
    complete new one. If the block raises, the temporary file is removed. Raises `OutputError` if
    the disk is full, or the folder is missing or read-only.
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
    # mkstemp creates files with mode 0600, which is wrong in shared folders. The only portable way
    # to read the umask is to set it; the lock keeps two threads from leaving it at 0.
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
    """Create `folder` and its parents if they are missing, or raise `OutputError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot create the folder {folder}: {error.strerror or error}"
        ) from error


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_of(folder: Path) -> int:
    """Return the total size of all files below a folder in bytes."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += Path(path, name).stat().st_size
    return total


def printable(name: str) -> str:
    """Return a file name with control characters and invalid Unicode escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def quoted(path: Path) -> str:
    """Return a path quoted for the shell, for commands that users may copy."""
    return shlex.quote(str(path))
