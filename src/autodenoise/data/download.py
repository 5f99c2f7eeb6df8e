"""Find the data folders, and download published files from their mirrors."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import platformdirs

from autodenoise.errors import InputError, OutputError
from autodenoise.files import make_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["DATA_VARIABLE", "OnBytes", "cache_folder", "data_folders", "download", "find_dataset"]

DATA_VARIABLE = "AUTODENOISE_DATA"
"""The environment variable that names the first folder to search."""

_CHUNK_BYTES = 1 << 16


def cache_folder() -> Path:
    """Return the folder for datasets in the user's cache, which may not exist yet."""
    return platformdirs.user_cache_path("autodenoise") / "data"


def data_folders() -> list[Path]:
    """List the folders to search for datasets, in order."""
    shared = os.environ.get(DATA_VARIABLE)
    return [*([Path(shared)] if shared else []), cache_folder()]


def find_dataset(name: str) -> Path | None:
    """Return the folder of a dataset that users download themselves; None if there is none."""
    folders = (folder / name for folder in data_folders())
    return next((folder for folder in folders if folder.is_dir()), None)


class OnBytes(Protocol):
    """A callback for the progress of a download."""

    def __call__(self, name: str, done: int, total: int | None) -> None:
        """Receive the file's name, the bytes downloaded, and the total number if known."""
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
    """Download a file to `target` from one of several mirrors, in order of preference.

    A partial download stays in a ``.part`` file, and the next attempt or call resumes it. A file
    that fails `is_whole`, a check of its digest, is deleted, and the next mirror is tried. `target`
    only appears once it is complete and has passed the check; its folder is created. `timeout` is
    the time in seconds without a byte after which a connection counts as stalled, `tries` the
    number of attempts per mirror.
    """
    make_folder(target.parent)
    failures = []
    for address in mirrors:
        # Mirrors may compress the same content differently, so each has its own partial file.
        mark = hashlib.sha256(address.encode()).hexdigest()[:8]
        part = target.with_name(f"{target.name}.{mark}.part")
        failure = "sent no complete response"
        for _ in range(tries):
            try:
                complete = _fetch(address, part, target.name, on_bytes, timeout)
            except urllib.error.HTTPError as error:
                failure = f"responded {error.code} {error.reason}"
                if error.code == 416:  # the partial file is longer than theirs: not the same file
                    part.unlink(missing_ok=True)
                    continue
                break
            except (OSError, http.client.HTTPException) as error:
                failure = f"disconnected: {getattr(error, 'reason', error)}"
                continue
            if not complete:
                failure = "disconnected early"
                continue
            if is_whole(part):
                try:
                    part.replace(target)
                except OSError as error:
                    raise OutputError(f"cannot write {target}: {error.strerror}") from error
                return
            part.unlink(missing_ok=True)
            failure = "sent a file with the wrong checksum"
            break
        failures.append(f"{address} {failure}")
    listing = "\n  ".join(failures)
    raise InputError(
        f"cannot download {target.name}:\n  {listing}\n"
        f"Save the file in {target.parent} manually, or set {DATA_VARIABLE} to a folder that "
        f"contains it as {target.parent.name}/{target.name}"
    )


def _fetch(address: str, part: Path, name: str, on_bytes: OnBytes | None, timeout: float) -> bool:
    """Append the missing bytes to `part`; return whether the file is complete."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"User-Agent": "autodenoise"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    with contextlib.closing(urllib.request.urlopen(request, timeout=timeout)) as response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            have = 0  # the server cannot resume: start over
        length = response.headers.get("Content-Length")
        total = have + int(length) if length is not None else None
        with _writing(part, "ab" if have else "wb") as append:
            # read1 returns the bytes that have arrived, so a stall loses none of them.
            while chunk := response.read1(_CHUNK_BYTES):
                append(chunk)
                have += len(chunk)
                if on_bytes is not None:
                    on_bytes(name, have, total)
    return total is None or have == total


@contextlib.contextmanager
def _writing(part: Path, mode: str) -> Iterator[Callable[[bytes], None]]:
    """Yield a function that appends to a file and reports disk errors as `OutputError`."""

    def output_error(error: OSError) -> OutputError:
        return OutputError(f"cannot write {part}: {error.strerror or error}")

    try:
        file = part.open(mode, buffering=0)
    except OSError as error:
        raise output_error(error) from error

    def append(chunk: bytes) -> None:
        try:
            # A full disk may accept part of the chunk before it fails.
            while chunk:
                chunk = chunk[file.write(chunk) :]
        except OSError as error:
            raise output_error(error) from error

    with file:
        yield append
