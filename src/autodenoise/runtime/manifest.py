"""The manifest of an output folder: which file was made from what, and how."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from autodenoise.discovery import MANIFEST_NAME
from autodenoise.files import digest
from autodenoise.locks import LockedFile

if TYPE_CHECKING:
    import os

    from autodenoise.runtime.batch import FileTask

__all__ = ["MANIFEST_NAME", "Manifest", "ManifestEntry"]


@dataclass(frozen=True)
class ManifestEntry:
    """One line of a manifest: a denoised file."""

    folder: str  # absolute path of the source folder
    source: str  # relative to the source folder, with / as separator
    target: str  # relative to the target folder
    input: str  # SHA-256 of the source
    output: str  # SHA-256 of the target
    input_stamp: tuple[int, ...]  # size and times, to recognize an unchanged file
    output_stamp: tuple[int, ...]
    making: dict[str, Any]  # SHA-256 of the model file, and the options


class Manifest:
    """The manifest of an output folder, locked by one process.

    It contains a JSON line for each file, written before the file gets its final name. So even
    after a kill, every file that autodenoise made matches a line; a line without a file does no
    harm, the file is made again.

    The output folder must exist; `making` is that of new entries. Raises `OutputError` if another
    process has locked the manifest, or it cannot be written.
    """

    def __init__(self, folder: Path, source: Path, making: dict[str, Any]) -> None:
        self._source, self._making = str(source.resolve()), making
        self._entries: dict[str, list[ManifestEntry]] = {}
        self._adding = threading.Lock()
        self._file = LockedFile(folder / MANIFEST_NAME)
        for line in self._file.lines():
            # Damaged lines are ignored: their files count as not written by autodenoise, and are
            # not overwritten.
            with contextlib.suppress(ValueError, TypeError, KeyError):
                values = json.loads(line)
                for stamp in ("input_stamp", "output_stamp"):
                    values[stamp] = tuple(values[stamp])
                self._remember(ManifestEntry(**values))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _remember(self, entry: ManifestEntry) -> None:
        self._entries.setdefault(entry.target, []).append(entry)

    def is_done(self, task: FileTask, name: str) -> bool:
        """Return whether the target `name` exists and would be made again identically."""
        source, target = task.source, task.target
        if name not in self._entries or not target.is_file():
            return False
        last = self._entries[name][-1]
        if last.making != self._making:
            return False
        seen, made = _input_stamp(task.status), _output_stamp(target)
        if (last.folder, last.input_stamp, last.output_stamp) == (self._source, seen, made):
            return True
        if digest(source) != last.input or digest(target) != last.output:
            return False
        # Copied or touched, but unchanged: record the new location and times.
        again = dataclasses.replace(last, folder=self._source, input_stamp=seen, output_stamp=made)
        self._add(again)
        return True

    def made_from(self, task: FileTask, name: str) -> Path | None:
        """Return the file that the target `name` was made from.

        This is the task's source if it is the same file, or a copy or an older version of it. None
        if autodenoise did not make the target, or if the target was changed since.
        """
        if name not in self._entries or not task.target.is_file():
            return None
        made = digest(task.target)
        found = [entry for entry in self._entries[name] if entry.output == made]
        if not found:
            return None
        last = found[-1]
        if last.folder == self._source or last.input == digest(task.source):
            return task.source
        return Path(last.folder) / last.source

    def add(self, task: FileTask, name: str, content: str, made: Path) -> None:
        """Record a finished file before it is renamed to its target `name`.

        `content` is the SHA-256 of the source, `made` the file under its temporary name.
        """
        seen, stamp = _input_stamp(task.status), _output_stamp(made)
        source = self._source, task.name
        self._add(ManifestEntry(*source, name, content, digest(made), seen, stamp, self._making))

    def _add(self, entry: ManifestEntry) -> None:
        line = json.dumps(dataclasses.asdict(entry)).encode()
        with self._adding:
            self._file.append(line)
            self._remember(entry)


def _input_stamp(status: os.stat_result | None) -> tuple[int, ...]:
    if status is None:
        return ()
    # An unpacked archive may contain another file of the same size and modification time; programs
    # cannot set the change time.
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _output_stamp(path: Path) -> tuple[int, ...]:
    # Without the change time, which renaming updates.
    status = path.stat()
    return status.st_size, status.st_mtime_ns
