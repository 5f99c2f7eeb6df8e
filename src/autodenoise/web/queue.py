"""Where pictures are taken in, wait for the model, and are kept until they are fetched."""

from __future__ import annotations

import contextlib
import logging
import secrets
import shutil
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from autodenoise.files import size_of
from autodenoise.web.errors import Busy, Unknown
from autodenoise.web.jobs import ENDED, Job
from autodenoise.web.models import Models
from autodenoise.web.workspace import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autodenoise.runtime import DenoiseOptions
    from autodenoise.web.limits import Limits

__all__ = ["Desk"]

_Answer = TypeVar("_Answer")

# Previews and downloads beside the model's work: mostly libvips, which has threads of its own.
_CLERKS = 2
_LOG = logging.getLogger(__name__)


class Desk:
    """One model at work, a queue before it, and clerks for everything else.

    Pictures are denoised one at a time, since one keeps all cores busy, in the order in which they
    arrived whole. Files lie in a folder that only this user may look into, and are removed with
    their job, or when the desk closes. Any thread may use it.

    Parameters
    ----------
    limits
        What it takes on.

    Raises
    ------
    OSError
        There is no folder for temporary files.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.stopping = threading.Event()
        self._home = Home()
        self._folder = self._home.path
        self._most_bytes = min(limits.kept_bytes, shutil.disk_usage(self._folder).free // 2)
        self._models = Models()
        self._jobs: dict[str, Job] = {}
        # Those that wait, after the one that is worked on.
        self._queue: dict[Job, Future[None]] = {}
        self._arriving: list[int] = []
        self._asked = 0
        self._lock, self._tidying = threading.RLock(), threading.Lock()
        self._worker = ThreadPoolExecutor(1, "denoising")
        # One, so that pictures are looked at in the order in which they arrived.
        self._reader = ThreadPoolExecutor(1, "reader")
        self._clerks = ThreadPoolExecutor(_CLERKS, "clerk")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stop(self) -> None:
        """Stop all work, without waiting for its end."""
        self.stopping.set()
        # Without the lock: a signal may come while it is held.
        for job in list(self._jobs.values()):
            job.stop()

    def close(self) -> None:
        """Stop all work, and remove all files."""
        self.stop()
        for pool in (self._reader, self._worker, self._clerks):
            pool.shutdown(cancel_futures=True)
        self._home.close()

    @contextlib.contextmanager
    def place(self, size: int) -> Iterator[Path]:
        """Hold a place in the queue while a picture of so many bytes arrives, and give a folder.

        Unless the block ends well, the folder is removed.

        Raises
        ------
        Busy
            No place is free, or no room.
        """
        room = self.tidy(size)
        with self._lock:
            waiting, kept = len(self._arriving) + len(self._queue), len(self._jobs)
            if waiting >= self.limits.waiting:
                raise Busy(f"busy with {waiting} pictures; try again in a moment")
            full = kept + len(self._arriving) >= self.limits.kept
            if full or size > room - sum(self._arriving):
                raise Busy(
                    f"there is no room beside the {kept} pictures that are here; fetch some and "
                    "remove them, or wait until they are forgotten"
                )
            self._arriving.append(size)
        folder = self._folder / secrets.token_hex(8)
        with contextlib.ExitStack() as removing:
            removing.callback(shutil.rmtree, folder, ignore_errors=True)
            try:
                folder.mkdir()
                yield folder
            finally:
                with self._lock:
                    self._arriving.remove(size)
            removing.pop_all()

    def look(
        self,
        folder: Path,
        name: str,
        model: str | None,
        options: DenoiseOptions,
        *,
        suffix: str | None = None,
        keep_answers: bool = False,
    ) -> Future[Job]:
        """Look at a picture that has arrived, after those that arrived before it.

        Parameters
        ----------
        folder, name, options, suffix
            As `Job` takes them.
        model
            Its name; None for the one that autodenoise ships for photos.
        keep_answers
            Whether the picture will be wanted at other strengths; they are kept if there is room.

        Returns
        -------
        Future
            Raises what `Job` does.
        """

        def make() -> Job:
            return Job(
                folder,
                name,
                self._models.default if model is None else model,
                self._models,
                options,
                suffix=suffix,
                most_pixels=self.limits.pixels,
                most_answers=self._most_bytes - size_of(self._folder) if keep_answers else 0,
            )

        return self._reader.submit(make)

    def take(self, job: Job) -> Future[None]:
        """Put a job into the queue; the future ends with the work."""
        with self._lock:
            self._jobs[job.id] = job
            future = self._worker.submit(self._work, job)
            self._queue[job] = future
        if self.stopping.is_set():
            job.stop()
        future.add_done_callback(_tell_faults)
        return future

    def find(self, name: str) -> Job:
        """Give the job that has this id.

        Raises
        ------
        Unknown
            There is none.
        """
        with self._lock:
            job = self._jobs.get(name)
        if job is None:
            raise Unknown("this picture is not here, or no longer; send it again")
        job.touched = time.monotonic()
        return job

    def ahead(self, job: Job) -> int:
        """Count the jobs that come before one that waits."""
        with self._lock:
            queue = list(self._queue)
        return queue.index(job) if job in queue else 0

    def forget(self, job: Job) -> None:
        """Stop what is done for a job, and remove its files when nobody uses them any more."""
        job.stop()
        with self._lock:
            self._jobs.pop(job.id, None)
            future = self._queue.get(job)
            if future is not None and future.cancel():
                del self._queue[job]
        job.remove()

    def forget_idle(self) -> None:
        """Forget the jobs that nobody has asked about for long."""
        since = time.monotonic() - self.limits.idle_seconds
        with self._lock:
            idle = [job for job in self._jobs.values() if job.touched < since]
        for job in idle:
            if job.state in ENDED:
                self.forget(job)

    def ask(self, task: Callable[[], _Answer]) -> Future[_Answer]:
        """Have a clerk do something that may leave files behind.

        Raises
        ------
        Busy
            There is too much to do already.
        """
        with self._lock:
            if self._asked >= self.limits.asked:
                raise Busy("busy with other previews and downloads; try again in a moment")
            self._asked += 1
        future = self._clerks.submit(task)
        future.add_done_callback(self._answered)
        return future

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give the path of a file for as long as the block lasts.

        Raises
        ------
        Busy
            There is no room for one.
        """
        if self.tidy() < 0:
            raise Busy("there is no room for an archive; fetch single pictures, and remove some")
        path = self._folder / secrets.token_hex(8)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def tidy(self, room: int = 0) -> int:
        """Remove what can be made again, until there is room for so many bytes; give what there is.

        Previews go first, then answers, in either case those longest not asked about.
        """
        with self._tidying:
            free = self._most_bytes - size_of(self._folder)
            with self._lock:
                ended = [job for job in self._jobs.values() if job.state in ENDED]
            ended.sort(key=lambda job: job.touched)
            for drop in (Job.drop_previews, Job.drop_answers):
                for job in ended:
                    if free >= room:
                        return free
                    free += drop(job)
        return free

    def _work(self, job: Job) -> None:
        try:
            # Forgotten at the last moment, there is nothing to do.
            with contextlib.suppress(Unknown), job.in_use():
                job.clean()
        finally:
            with self._lock:
                del self._queue[job]
        self._tidy_later()

    def _answered(self, future: Future[_Answer]) -> None:
        del future
        with self._lock:
            self._asked -= 1
        self._tidy_later()

    def _tidy_later(self) -> None:
        # Nobody waits for it; a pool that has closed takes no more.
        with contextlib.suppress(RuntimeError):
            self._reader.submit(self.tidy)


def _tell_faults(future: Future[None]) -> None:
    fault = None if future.cancelled() else future.exception()
    if fault is not None:
        _LOG.error("a picture could not be denoised", exc_info=fault)
