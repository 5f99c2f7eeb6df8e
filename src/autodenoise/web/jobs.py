"""A job: an uploaded image file, and everything computed from it, in a folder of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import secrets
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path, PurePath
from typing import BinaryIO, Literal

import numpy as np

from autodenoise import images, runtime
from autodenoise.errors import AutodenoiseError, InputError, Interrupted
from autodenoise.files import size_of
from autodenoise.images import SUFFIXES, IntensityRange, preview
from autodenoise.runtime import DenoiseOptions
from autodenoise.runtime.batch import as_autodenoise_error
from autodenoise.runtime.denoising import intensity_range_of, with_memory_limit
from autodenoise.web.cache import CachedModel, ModelCache, RecordingModel
from autodenoise.web.errors import DiskFull, NotFound

__all__ = ["FINISHED", "SOURCE_NAME", "Job", "JobState", "Side", "clean_name", "write_archive"]

Side = Literal["before", "after"]
"""The image as uploaded, or the model's output."""

SOURCE_NAME = "source"
"""Name of the uploaded file in the job's folder."""

_MAX_NAME_BYTES = 150
_BUG = "this is a bug in autodenoise; run the server with AUTODENOISE_TRACEBACK=1 and report it"


class JobState(StrEnum):
    """State of a job."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINISHED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})
"""States that do not change any more."""


def clean_name(name: str) -> str:
    """Return a client's file name without folders and unprintable characters."""
    last = re.split(r"[/\\]", name)[-1]
    printable = "".join(letter for letter in last if letter.isprintable()).strip(" .")
    stem, dot, suffix = printable.rpartition(".")
    if not stem:
        stem, dot, suffix = suffix, "", ""
    # File systems limit names in bytes.
    short = stem.encode()[:_MAX_NAME_BYTES].decode(errors="ignore").strip(" .")
    return f"{short or 'image'}{dot}{suffix[:10]}".rstrip(" .")


class Job:
    """An image file to denoise. Several threads may use a job.

    `folder` is for this job alone and has the uploaded file as `SOURCE_NAME`. Files on disk have
    generated names; the client's `name` is for display only. The random `id` cannot be guessed by
    other clients. `suffix` is that of the result: by default that of `name`, or if it is unknown,
    of the file's format. `suffixes` lists all that the result can be saved with, the default one
    first. The model's outputs are cached, for saving at other strengths, if they fit in
    `max_cache_bytes`.

    `display_range` has the sample values that previews show as black and white, where they differ
    from those used for denoising; else None. `failure` is the error if `state` is
    `JobState.FAILED`. `last_used` is the time of the last request for this job, by the monotonic
    clock.

    Raise UsageError if no model has this name; InputError if the image is damaged, too large, or
    does not fit the model; OutputError if the result's format cannot hold it.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        model_name: str,
        models: ModelCache,
        options: DenoiseOptions,
        *,
        suffix: str | None = None,
        max_pixels: int,
        max_cache_bytes: int = 0,
    ) -> None:
        self.id = secrets.token_urlsafe(16)
        self.name, self.model_name, self._models = name, model_name, models
        self.state = JobState.WAITING
        self.failure: AutodenoiseError | None = None
        self.tiles_done, self._start = 0, 0.0
        self.last_used = time.monotonic()
        self.folder, self._source = folder, folder / SOURCE_NAME
        self._options = with_memory_limit(options)
        self._stop = threading.Event()
        self._users, self._removed = 0, False
        self._user_lock = threading.Lock()
        # Held while previews are written, read or removed.
        self._preview_lock = threading.Lock()
        model = models.get(model_name)
        self._card = model.card
        with self._client_errors():
            self.file = images.open_image(self._source, upright=True)
            pixels = self.file.width * self.file.height * self.file.pages
            if pixels > max_pixels:
                raise InputError(
                    f"{self.name} has {pixels:,} pixels; this server accepts {max_pixels:,}. "
                    "For images of any size, use: autodenoise denoise"
                )
            plan = runtime.preview(model, self._source, options)
            intensity_range = intensity_range_of(self.file, options, model.card)
            self.display_range = preview.display_range(self.file, intensity_range)
            default = suffix or self._default_suffix()
            self._result = folder / f"result{default}"
            self._rotated = images.open_for_saving(self._source, self._result).rotated
        self.tiles = plan.input_pixels // (plan.plan.tile[0] * plan.plan.tile[1])
        preview_range = self.display_range or intensity_range
        full_range = IntensityRange.for_dtype(self.file.dtype)
        self._preview_range = None if preview_range == full_range else preview_range
        default_format = images.format_of_name(self._result)
        others = (form for form in images.writable_formats(self.file) if form is not default_format)
        self.suffixes = [default, *(form.suffixes[0] for form in others)]
        cache_bytes = plan.input_pixels * model.card.channels * np.dtype(np.float32).itemsize
        self._cache = folder / "cache" if cache_bytes <= max_cache_bytes else None

    def _default_suffix(self) -> str:
        suffix = Path(self.name).suffix
        return suffix if suffix.lower() in SUFFIXES else self.file.format.suffixes[0]

    @property
    def seconds_left(self) -> float | None:
        """Estimated time that the model still needs; None if unknown."""
        if self.state is not JobState.WORKING or not self.tiles_done:
            return None
        elapsed = time.monotonic() - self._start
        return elapsed / self.tiles_done * (self.tiles - self.tiles_done)

    def result_name(self, suffix: str | None = None) -> str:
        """Return the name that the command line would give the result."""
        return f"{PurePath(self.name).stem}.denoised{suffix or self._result.suffix}"

    def run(self) -> None:
        """Denoise the image, unless the job was stopped before, and set the final state."""
        outcome: JobState = JobState.FAILED
        failure: AutodenoiseError | None = AutodenoiseError(_BUG)
        try:
            self._check_stopped()
            self.state, self._start = JobState.WORKING, time.monotonic()
            self._denoise(self._result, self._options, cache=self._cache, after=self._count_tile)
            outcome, failure = JobState.DONE, None
        except Interrupted:
            outcome, failure = JobState.CANCELLED, None
        except (AutodenoiseError, OSError, MemoryError) as error:
            failure = self._client_error(error)
        finally:
            if outcome is not JobState.DONE:
                self.drop_cache()
            self.failure, self.state = failure, outcome

    def stop(self) -> None:
        """Stop all work for this job at the next tile or chunk of rows."""
        self._stop.set()

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the files until the block ends, even if the job is removed.

        Raise NotFound if it has been removed already.
        """
        with self._user_lock:
            if self._removed:
                raise NotFound("this image is no longer on the server; send it again")
            self._users += 1
        try:
            yield
        finally:
            with self._user_lock:
                self._users -= 1
            self._delete_if_unused()

    def remove(self) -> None:
        """Delete all files, at once or when the last user is done."""
        with self._user_lock:
            self._removed = True
        self._delete_if_unused()

    def _delete_if_unused(self) -> None:
        with self._user_lock:
            if self._removed and not self._users:
                shutil.rmtree(self.folder, ignore_errors=True)

    def save(
        self,
        strength: float,
        suffix: str | None = None,
        *,
        strip_metadata: bool = False,
        stop: threading.Event | None = None,
    ) -> Path:
        """Return the denoised file at a strength from 0 to 1; pass it to `discard` after use.

        Setting `stop` aborts. Raise NotFound if the job has been removed, Interrupted if it was
        stopped, and the errors of `runtime.denoise_file`.
        """
        suffix = suffix or self._result.suffix
        options = dataclasses.replace(
            self._options, strength=strength, strip_metadata=strip_metadata
        )
        if options == self._options and suffix == self._result.suffix:
            return self._result
        target = self.folder / f"{secrets.token_hex(8)}{suffix}"
        with self.in_use(), self._client_errors():
            rotated = images.open_for_saving(
                self._source, target, strip_metadata=strip_metadata
            ).rotated
            cache = self._open_cache()
            # The cached outputs fit only tiles of the same orientation.
            if cache is None or rotated != self._rotated:
                self._denoise(target, options, stop=stop)
            else:
                with cache:
                    cached = CachedModel(self._card, cache)
                    check = partial(self._check_stopped, stop)
                    runtime.denoise_file(cached, self._source, target, options, progress=check)
        return target

    def discard(self, path: Path) -> None:
        """Delete a file that `save` returned, unless it is the stored result."""
        if path != self._result:
            path.unlink(missing_ok=True)

    def preview_sizes(self, side: Side, page: int) -> list[tuple[int, int]]:
        """Return (width, height) of each level of a page's preview, full size first.

        Raise NotFound if the page does not exist, or the job has been removed.
        """
        with self.in_use(), self._preview_lock, self._client_errors():
            return preview.level_sizes(self._preview(side, page))

    def preview_tile(
        self, side: Side, page: int, level: int, row: int, column: int
    ) -> bytes | None:
        """Return a tile of a page's preview as PNG; None if there is no such tile."""
        with self.in_use(), self._preview_lock, self._client_errors():
            return preview.read_tile(self._preview(side, page), level, row, column)

    def drop_previews(self) -> int:
        """Delete the previews, which are made again on demand; return the bytes freed."""
        if not self._preview_lock.acquire(blocking=False):
            return 0
        try:
            freed = sum(size_of(path) for path in self.folder.glob("preview-*"))
            for path in self.folder.glob("preview-*"):
                shutil.rmtree(path, ignore_errors=True)
        finally:
            self._preview_lock.release()
        return freed

    def drop_cache(self) -> int:
        """Delete the cached model outputs; return the bytes freed.

        Saving at another strength then runs the model again.
        """
        freed = 0
        if self._cache is not None:
            with contextlib.suppress(FileNotFoundError):
                freed = self._cache.stat().st_size
                self._cache.unlink()
        return freed

    def _denoise(
        self,
        target: Path,
        options: DenoiseOptions,
        *,
        cache: Path | None = None,
        after: Callable[[], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        check_stopped = partial(self._check_stopped, stop)
        with contextlib.ExitStack() as stack:
            output = None if cache is None else stack.enter_context(cache.open("wb"))
            model = self._models.get(self.model_name)
            recording = RecordingModel(model, check_stopped, after, output)
            runtime.denoise_file(recording, self._source, target, options, progress=check_stopped)

    def _check_stopped(self, stop: threading.Event | None = None, *_: object) -> None:
        if self._stop.is_set() or (stop is not None and stop.is_set()):
            raise Interrupted(f"{self.name} was cancelled")

    def _count_tile(self) -> None:
        self.tiles_done = min(self.tiles_done + 1, self.tiles)

    def _open_cache(self) -> BinaryIO | None:
        if self._cache is None:
            return None
        try:
            return self._cache.open("rb")
        except FileNotFoundError:
            return None

    def _preview(self, side: Side, page: int) -> Path:
        if not 0 <= page < self.file.pages:
            raise NotFound(f"no page {page}: {self.name} has {self.file.pages}, counted from 0")
        path = self.folder / f"preview-{side}-{page}"
        if not path.exists():
            source = self._source if side == "before" else self._result
            file = images.open_image(source, upright=True)
            preview.write_preview(file, page, path, self._preview_range)
        return path

    @contextlib.contextmanager
    def _client_errors(self) -> Iterator[None]:
        """Replace paths of the server in errors by the client's file name."""
        try:
            yield
        except (AutodenoiseError, OSError, MemoryError) as error:
            raise self._client_error(error) from None

    def _client_error(self, error: Exception) -> AutodenoiseError:
        converted = as_autodenoise_error(self._source, error)
        paths = re.escape(str(self.folder)) + r"[/\\][\w.-]+"
        return type(converted)(re.sub(paths, lambda _: self.name, str(converted)))


def write_archive(
    strengths: Mapping[Job, float],
    target: Path,
    suffix: str | None = None,
    *,
    strip_metadata: bool = False,
    stop: threading.Event | None = None,
) -> None:
    """Write a zip file of the results of finished jobs, each at a strength, as `Job.save` does.

    Duplicate names are numbered. Raise DiskFull if the zip file cannot be written.
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
