"""Many finished pictures in one file."""

from __future__ import annotations

import zipfile
from pathlib import PurePath
from typing import TYPE_CHECKING

from autodenoise.web.errors import NoRoom

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from pathlib import Path

    from autodenoise.web.jobs import Job

__all__ = ["pack"]


def pack(
    pictures: Mapping[Job, float],
    target: Path,
    suffix: str | None = None,
    *,
    strip_metadata: bool = False,
    stop: threading.Event | None = None,
) -> None:
    """Write a zip file of pictures, each as `Job.saved` gives it.

    Parameters
    ----------
    pictures
        Finished jobs, and the strength for each. Two of one name get a number.
    target
        The zip file.
    suffix, strip_metadata, stop
        As `Job.saved` takes them.

    Raises
    ------
    AutodenoiseError
        As `Job.saved` does.
    NoRoom
        The disk is full.
    """
    taken: set[str] = set()
    # Pictures are compressed already.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as packed:
        for job, strength in pictures.items():
            saved = job.saved(strength, suffix, strip_metadata=strip_metadata, stop=stop)
            try:
                packed.write(saved, _free_name(PurePath(job.saved_name(suffix)), taken))
            except OSError as error:
                raise NoRoom(f"no archive can be written: {error.strerror or error}") from None
            finally:
                job.sent(saved)


def _free_name(name: PurePath, taken: set[str]) -> str:
    number, free = 1, name.name
    # Upper and lower case are one where many will unpack it.
    while free.casefold() in taken:
        number += 1
        free = f"{name.stem} ({number}){name.suffix}"
    taken.add(free.casefold())
    return free
