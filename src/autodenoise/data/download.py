"""Fetching a published file: from any of its mirrors, resumable, checked, whole or not there."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Protocol

from autodenoise.errors import InputError, OutputError
from autodenoise.files import make_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

__all__ = ["OnBytes", "download"]

_CHUNK = 1 << 16


class OnBytes(Protocol):
    """Hears how a download goes."""

    def __call__(self, name: str, done: int, total: int | None) -> None:
        """Take the file's name, the bytes that are here, and how many there will be if known."""
        ...


def download(
    mirrors: Iterable[str],
    target: Path,
    is_whole: Callable[[Path], bool],
    on_bytes: OnBytes | None = None,
    *,
    timeout: float = 20.0,
    tries: int = 3,
) -> None:
    """Fetch a file that several mirrors hold to `target`.

    What arrived before a connection broke or stalled is kept in a ``.part`` file and the rest is
    asked for, also by a later call. A file that fails its check is thrown away and the next mirror
    is asked. `target` appears only once it has passed.

    Parameters
    ----------
    mirrors
        Addresses of the file, in order of preference.
    target
        Where it goes. The folder is made.
    is_whole
        Checks the finished file, by digest.
    on_bytes
        Called as bytes arrive.
    timeout
        Seconds without a byte after which a connection counts as stalled.
    tries
        Connections to each mirror.

    Raises
    ------
    InputError
        No mirror gave a file that passes; the message names the folder to put it into by hand.
    OutputError
        The folder cannot be written.
    """
    make_folder(target.parent)
    failures = []
    for address in mirrors:
        # Mirrors may pack the same content differently, so each has its own part to resume.
        mark = hashlib.sha256(address.encode()).hexdigest()[:8]
        part = target.with_name(f"{target.name}.{mark}.part")
        failure = "gave no complete answer"
        for _ in range(tries):
            try:
                complete = _fetch(address, part, target.name, on_bytes, timeout)
            except urllib.error.HTTPError as error:
                failure = f"answered {error.code} {error.reason}"
                if error.code == 416:  # our part is longer than their file: not the same file
                    part.unlink(missing_ok=True)
                    continue
                break
            except (OSError, http.client.HTTPException) as error:
                failure = f"broke off: {getattr(error, 'reason', error)}"
                continue
            if not complete:
                failure = "broke off early"
                continue
            if is_whole(part):
                try:
                    part.replace(target)
                except OSError as error:
                    raise OutputError(f"cannot write {target}: {error.strerror}") from error
                return
            part.unlink(missing_ok=True)
            failure = "gave a file with another checksum"
            break
        failures.append(f"{address} {failure}")
    listing = "\n  ".join(failures)
    raise InputError(
        f"cannot download {target.name}:\n  {listing}\n"
        f"Put the file into {target.parent} by hand, or set AUTODENOISE_DATA to a folder that "
        f"holds it as {target.parent.name}/{target.name}"
    )


def _fetch(address: str, part: Path, name: str, on_bytes: OnBytes | None, timeout: float) -> bool:
    """Append what is missing to `part`; False if the connection ended before the file did."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"User-Agent": "autodenoise"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    with contextlib.closing(urllib.request.urlopen(request, timeout=timeout)) as answer:
        if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
            have = 0  # the server does not resume: start again
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length is not None else None
        with _writing(part, "ab" if have else "wb") as append:
            # read1 gives what has arrived, so that a stall loses nothing already here.
            while chunk := answer.read1(_CHUNK):
                append(chunk)
                have += len(chunk)
                if on_bytes is not None:
                    on_bytes(name, have, total)
    return total is None or have == total


@contextlib.contextmanager
def _writing(part: Path, mode: str) -> Iterator[Callable[[bytes], None]]:
    """Give a function that appends to a file; only the disk's faults become output errors."""

    def fault(error: OSError) -> OutputError:
        return OutputError(f"cannot write {part}: {error.strerror or error}")

    try:
        file = part.open(mode, buffering=0)
    except OSError as error:
        raise fault(error) from error

    def append(chunk: bytes) -> None:
        try:
            # A full disk may take a part of the chunk before it refuses.
            while chunk:
                chunk = chunk[file.write(chunk) :]
        except OSError as error:
            raise fault(error) from error

    with file:
        yield append
