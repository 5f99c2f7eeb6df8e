"""Find the image files in a folder."""

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
    "NOT_AN_IMAGE",
    "FailedFile",
    "FoundFiles",
    "SkippedFile",
    "find_images",
    "scan",
]

MANIFEST_NAME = "autodenoise-manifest.jsonl"
"""Name of the manifest in an output folder."""
NOT_AN_IMAGE = "not an image file"
"""Why most files are skipped."""


@dataclass(frozen=True)
class FailedFile:
    """An image file or folder that could not be read or denoised."""

    name: str
    error: AutodenoiseError


@dataclass(frozen=True)
class SkippedFile:
    """A file or folder that is not used, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class FoundFiles:
    """The content of a folder, without hidden files and folders."""

    images: list[Path] = field(default_factory=list)
    """Paths of the image files, relative to the folder and sorted."""
    skipped: list[SkippedFile] = field(default_factory=list)
    """All other files and folders."""
    failed: list[FailedFile] = field(default_factory=list)
    """Folders that cannot be read."""


def scan(
    root: Path, *, recursive: bool, exclude: Path | None = None, also: Collection[str] = ()
) -> FoundFiles:
    """Find image files by their suffix, or raise `InputError` if `root` is not a readable folder.

    `recursive` searches subfolders too, including symbolic links, each folder once, but not the
    folder `exclude`, which need not exist. `also` has other suffixes to accept, of files and of
    folders.
    """
    found = FoundFiles()
    seen = {_identity(exclude): exclude} if exclude and exclude.exists() else {}
    # Follow links last, so that folders are found under their own names.
    folders, links = [Path()], list[Path]()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        try:
            identity = _identity(root / folder)
            if identity in seen:
                if seen[identity] != exclude:
                    reason = f"a link to the folder {seen[identity].as_posix()}"
                    found.skipped.append(SkippedFile(folder.as_posix(), reason))
                continue
            seen[identity] = folder
            with os.scandir(root / folder) as entries:
                children = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            unreadable = InputError(f"cannot read the folder {root / folder}: {error.strerror}")
            if folder == Path():
                raise unreadable from None
            found.failed.append(FailedFile(folder.as_posix(), unreadable))
            continue
        for entry in children:
            path = folder / entry.name
            if entry.name.startswith(".") or entry.name == MANIFEST_NAME:
                continue
            kind = _kind(entry)
            if path.suffix.lower() in also and kind in (stat.S_IFREG, stat.S_IFDIR):
                found.images.append(path)
            elif kind == stat.S_IFDIR:
                if recursive:
                    (links if entry.is_symlink() else folders).append(path)
                elif _identity(root / path) not in seen:
                    reason = "a folder, which --recursive searches"
                    found.skipped.append(SkippedFile(path.as_posix(), reason))
            elif path.suffix.lower() not in SUFFIXES:
                found.skipped.append(SkippedFile(path.as_posix(), NOT_AN_IMAGE))
            elif kind in (stat.S_IFREG, None):
                found.images.append(path)
            else:
                found.skipped.append(SkippedFile(path.as_posix(), "a device or pipe"))
    found.images.sort()
    found.skipped.sort(key=lambda file: file.name)
    return found


def find_images(root: Path, *, recursive: bool, exclude: Path | None = None) -> list[Path]:
    """List the image files that denoising a folder would process.

    Raises `InputError` if there are none, or a folder cannot be read.
    """
    found = scan(root, recursive=recursive, exclude=exclude)
    if found.failed:
        raise found.failed[0].error
    if not found.images:
        raise InputError(f"{root} contains no images")
    return [root / path for path in found.images]


def _kind(entry: os.DirEntry[str]) -> int | None:
    """Return the file type of an entry, after following links; None for a broken link."""
    try:
        return stat.S_IFMT(entry.stat().st_mode)
    except OSError:
        return None


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
