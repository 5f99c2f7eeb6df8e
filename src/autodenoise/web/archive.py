"""Many finished pictures in one file."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autodenoise.web.job import Job

__all__ = ["pack"]


def pack(
    pictures: Sequence[tuple[Job, float]],
    target: Path,
    suffix: str | None = None,
    *,
    strip_metadata: bool = False,
) -> None:
    """Write a zip file of pictures, each as `Job.saved` gives it.

    Parameters
    ----------
    pictures
        Finished jobs, and the strength for each. Two of one name get a number.
    target
        The zip file.
    suffix, strip_metadata
        As `Job.saved` takes them.

    Raises
    ------
    AutodenoiseError
        As `Job.saved` does.
    """
    taken: set[str] = set()
    # Pictures are compressed already.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as packed:
        for job, strength in pictures:
            saved = job.saved(strength, suffix, strip_metadata=strip_metadata)
            name = _free_name(Path(job.saved_name(suffix)), taken)
            packed.write(saved, name)
            job.sent(saved)


def _free_name(name: Path, taken: set[str]) -> str:
    number, free = 1, name.name
    # Upper and lower case are one where many will unpack it.
    while free.casefold() in taken:
        number += 1
        free = f"{name.stem} ({number}){name.suffix}"
    taken.add(free.casefold())
    return free
