"""Finding the pictures in a folder."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from autodenoise.errors import AutodenoiseError, InputError
from autodenoise.images import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = [
    "MANIFEST_NAME",
    "NO_PICTURE",
    "FailedFile",
    "FoundFiles",
    "SkippedFile",
    "find_images",
    "scan",
]

MANIFEST_NAME = "autodenoise-manifest.jsonl"
"""The manifest's name in a target folder."""
NO_PICTURE = "no picture by its ending"
"""Why most of what is passed over is."""


@dataclass(frozen=True)
class FailedFile:
    """A picture, or a folder of pictures, that could not be cleaned."""

    name: str
    error: AutodenoiseError


@dataclass(frozen=True)
class SkippedFile:
    """Something that was not to be cleaned.

    Attributes
    ----------
    name
        The file or folder.
    reason
        What it is, as in "a folder".
    """

    name: str
    reason: str


@dataclass(frozen=True)
class FoundFiles:
    """What is in a folder; hidden files and folders are not told of.

    Attributes
    ----------
    pictures
        Paths from the folder, in order.
    passed_over
        What else there is.
    failures
        Folders that cannot be looked into.
    """

    pictures: list[Path] = field(default_factory=list)
    passed_over: list[SkippedFile] = field(default_factory=list)
    failures: list[FailedFile] = field(default_factory=list)


def scan(
    root: Path, *, recursive: bool, leave_out: Path | None = None, also: Collection[str] = ()
) -> FoundFiles:
    """Find the files whose ending says that they are pictures.

    Parameters
    ----------
    root
        The folder.
    recursive
        Look into its folders too, those behind symbolic links included, each once.
    leave_out
        A folder that is not looked into; need not exist.
    also
        Endings of files, and of whole folders, that count as pictures besides.

    Raises
    ------
    InputError
        `root` is no folder that can be read.
    """
    found = FoundFiles()
    seen = {_identity(leave_out): leave_out} if leave_out and leave_out.exists() else {}
    # Links wait until all folders are seen by their own names, which are the ones to be kept.
    folders, links = [Path()], list[Path]()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        try:
            identity = _identity(root / folder)
            if identity in seen:
                if seen[identity] != leave_out:
                    again = f"the folder {seen[identity].as_posix()} again"
                    found.passed_over.append(SkippedFile(folder.as_posix(), again))
                continue
            seen[identity] = folder
            with os.scandir(root / folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            unseen = InputError(f"cannot look into {root / folder}: {error.strerror}")
            if folder == Path():
                raise unseen from None
            found.failures.append(FailedFile(folder.as_posix(), unseen))
            continue
        for entry in inside:
            path = folder / entry.name
            if entry.name.startswith(".") or entry.name == MANIFEST_NAME:
                continue
            kind = _kind(entry)
            if path.suffix.lower() in also and kind in (stat.S_IFREG, stat.S_IFDIR):
                found.pictures.append(path)
            elif kind == stat.S_IFDIR:
                if recursive:
                    (links if entry.is_symlink() else folders).append(path)
                elif _identity(root / path) not in seen:
                    reason = "a folder, which --recursive looks into"
                    found.passed_over.append(SkippedFile(path.as_posix(), reason))
            elif path.suffix.lower() not in SUFFIXES:
                found.passed_over.append(SkippedFile(path.as_posix(), NO_PICTURE))
            elif kind in (stat.S_IFREG, None):
                found.pictures.append(path)
            else:
                found.passed_over.append(SkippedFile(path.as_posix(), "a device or pipe"))
    found.pictures.sort()
    found.passed_over.sort(key=lambda passed: passed.name)
    return found


def find_images(root: Path, *, recursive: bool, leave_out: Path | None = None) -> list[Path]:
    """List the pictures that denoising a folder would take, as `scan` finds them.

    Raises
    ------
    InputError
        There are none, or a folder cannot be looked into.
    """
    found = scan(root, recursive=recursive, leave_out=leave_out)
    if found.failures:
        raise found.failures[0].error
    if not found.pictures:
        raise InputError(f"{root} has no pictures")
    return [root / path for path in found.pictures]


def _kind(entry: os.DirEntry[str]) -> int | None:
    """Give the type bits of what an entry leads to; None for a link that leads nowhere."""
    try:
        return stat.S_IFMT(entry.stat().st_mode)
    except OSError:
        return None


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
