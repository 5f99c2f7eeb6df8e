"""Pack the results of several jobs into a zip file."""

from __future__ import annotations

import zipfile
from pathlib import PurePath
from typing import TYPE_CHECKING

from autodenoise.web.errors import DiskFull

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from pathlib import Path

    from autodenoise.web.jobs import Job

__all__ = ["write_archive"]


def write_archive(
    strengths: Mapping[Job, float],
    target: Path,
    suffix: str | None = None,
    *,
    strip_metadata: bool = False,
    stop: threading.Event | None = None,
) -> None:
    """Write a zip file of the results of finished jobs.

    Parameters
    ----------
    strengths
        The jobs, and the strength of each. Duplicate names are numbered.
    target
        The zip file.
    suffix, strip_metadata, stop
        As in `Job.save`.

    Raises
    ------
    AutodenoiseError
        As `Job.save`.
    DiskFull
        The zip file cannot be written.
    """
    names: set[str] = set()
    # Image files are compressed already.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for job, strength in strengths.items():
            path = job.save(strength, suffix, strip_metadata=strip_metadata, stop=stop)
            try:
                archive.write(path, _unique(PurePath(job.result_name(suffix)), names))
            except OSError as error:
                raise DiskFull(f"cannot write the archive: {error.strerror or error}") from None
            finally:
                job.discard(path)


def _unique(name: PurePath, names: set[str]) -> str:
    number, unique = 1, name.name
    # Windows and macOS ignore case.
    while unique.casefold() in names:
        number += 1
        unique = f"{name.stem} ({number}){name.suffix}"
    names.add(unique.casefold())
    return unique
