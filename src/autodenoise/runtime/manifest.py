"""A target folder's memory: which pictures in it were made from what."""

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
from autodenoise.journal import Journal

if TYPE_CHECKING:
    import os

    from autodenoise.runtime.reports import FileTask

__all__ = ["MANIFEST_NAME", "Making", "Manifest", "ManifestEntry"]


@dataclass(frozen=True)
class Making:
    """How pictures are made, as far as it decides their bytes.

    Attributes
    ----------
    model
        Digest of the model file.
    options
        What `runtime.Options` says, as JSON has it.
    """

    model: str
    options: dict[str, Any]


@dataclass(frozen=True)
class ManifestEntry:
    """One line: a picture that was made.

    Attributes
    ----------
    folder
        The source folder, whole.
    source, target
        Names in the source folder and in the target folder, with ``/`` between their parts.
    input, output
        Digests of the two files.
    input_stamp, output_stamp
        Size and times by which an untouched file is known without reading it.
    making
        The model and the options.
    """

    folder: str
    source: str
    target: str
    input: str
    output: str
    input_stamp: tuple[int, ...]
    output_stamp: tuple[int, ...]
    making: Making


class Manifest:
    """The manifest of a target folder, which one process at a time may hold.

    A JSON line for each picture, on disk before the picture gets its name: so whatever has a name
    and the digest of a line is ours, whenever the process was killed, and a line whose picture is
    missing only says that it is to be made again.

    Parameters
    ----------
    folder
        The target folder, which exists.
    source
        The source folder.
    making
        How pictures are made this time.

    Raises
    ------
    OutputError
        Another process holds it, or it cannot be written.
    """

    def __init__(self, folder: Path, source: Path, making: Making) -> None:
        self._source, self._making = str(source.resolve()), making
        self._entries: dict[str, list[ManifestEntry]] = {}
        self._adding = threading.Lock()
        self._journal = Journal(folder / MANIFEST_NAME)
        for line in self._journal.lines():
            # A line that somebody damaged is as good as none: its picture is not known as ours,
            # so it is left alone.
            with contextlib.suppress(ValueError, TypeError, KeyError):
                self._remember(_parse(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()

    def _remember(self, entry: ManifestEntry) -> None:
        self._entries.setdefault(entry.target, []).append(entry)

    def is_done(self, task: FileTask, name: str) -> bool:
        """Tell whether its target, which is called `name` here, is what would be made again."""
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
        # Copied or touched, with nothing changed: known by its new place and times from now on.
        again = dataclasses.replace(last, folder=self._source, input_stamp=seen, output_stamp=made)
        self._add(again)
        return True

    def made_from(self, task: FileTask, name: str) -> Path | None:
        """Tell which picture a task's target, called `name` here, was made from.

        Returns
        -------
        Path
            The task's own, if it is the same picture or another version of it. None if the target
            was not made here, or is no longer as it was made.
        """
        entries = self._entries.get(name, ())
        if not entries or not task.target.is_file():
            return None
        made = digest(task.target)
        found = [entry for entry in entries if entry.output == made]
        if not found:
            return None
        last = found[-1]
        if last.folder == self._source or last.input == digest(task.source):
            return task.source
        return Path(last.folder) / last.source

    def add(self, task: FileTask, name: str, content: str, made: Path) -> None:
        """Note a picture that is about to get its name.

        Parameters
        ----------
        task
            As it was before it was read.
        name
            Its target, from the folder.
        content
            Digest of its source.
        made
            The finished file, which only has to be renamed.

        Raises
        ------
        OutputError
            The disk is full.
        """
        seen, stamp = _input_stamp(task.status), _output_stamp(made)
        source = self._source, task.name
        self._add(ManifestEntry(*source, name, content, digest(made), seen, stamp, self._making))

    def _add(self, entry: ManifestEntry) -> None:
        line = json.dumps(dataclasses.asdict(entry)).encode()
        with self._adding:
            self._journal.append(line)
            self._remember(entry)


def _input_stamp(status: os.stat_result | None) -> tuple[int, ...]:
    if status is None:
        return ()
    # Unpacking an archive can bring another picture of the same size and time; the time at which
    # the file system itself saw the last change cannot be set.
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _output_stamp(path: Path) -> tuple[int, ...]:
    # Without the file system's own time, which renaming changes.
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _parse(line: bytes) -> ManifestEntry:
    values = json.loads(line)
    values["making"] = Making(**values["making"])
    for stamp in ("input_stamp", "output_stamp"):
        values[stamp] = tuple(values[stamp])
    return ManifestEntry(**values)
