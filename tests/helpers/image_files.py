"""Folders of small pictures, and a report that remembers what it was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autodenoise import images
from autodenoise.runtime.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from autodenoise import runtime
    from autodenoise.errors import AutodenoiseError

__all__ = ["RecordingProgress", "content", "picture"]

_RANDOM = np.random.default_rng(0)


def picture(path: Path, value: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = _RANDOM.integers(0, 256, (6, 8, 1), np.uint8)
    images.write(path, pixels if value is None else np.full_like(pixels, value))
    return path


def content(folder: Path) -> dict[str, bytes]:
    """Give every file of a folder, hidden ones too, but for its manifest."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST_NAME
    }


class RecordingProgress:
    """A report that writes down what it hears."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.done: list[str] = []
        self.failures: dict[str, AutodenoiseError] = {}
        self.summary: runtime.BatchSummary | None = None

    def found(self, tasks: object) -> None: ...

    def started(self, task: runtime.FileTask) -> None:
        self.names.append(task.name)

    def pixels(self, task: runtime.FileTask, done: int, total: int) -> None:
        assert 0 <= done <= total
        assert task.name in self.names

    def finished(self, task: runtime.FileTask, result: runtime.DenoiseResult | None) -> None:
        if result is not None:
            assert result.target == task.target
            assert task.target.is_file()
            self.done.append(task.name)

    def failed(self, task: runtime.FileTask, error: AutodenoiseError) -> None:
        self.failures[task.name] = error

    def ended(self, summary: runtime.BatchSummary) -> None:
        self.summary = summary
