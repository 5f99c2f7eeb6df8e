"""Where pictures are taken in, wait for the model, and are kept until they are fetched."""

from __future__ import annotations

import contextlib
import functools
import logging
import secrets
import shutil
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from autodenoise import runtime, weights
from autodenoise.errors import AutodenoiseError, InputError, unknown_name
from autodenoise.web.job import ENDED, Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autodenoise.runtime import Model, Options
    from autodenoise.web.limits import Limits

__all__ = ["Busy", "Desk", "NotDone", "UnknownJob"]

_Answer = TypeVar("_Answer")

# Previews and downloads beside the model's work: mostly libvips, which has threads of its own.
_CLERKS = 2
_LOG = logging.getLogger(__name__)


class Busy(AutodenoiseError):
    """The server has as much to do as it takes on."""


class NotDone(AutodenoiseError):
    """What was asked for is there when the picture is done."""


class UnknownJob(AutodenoiseError):
    """No job has this name, or it is forgotten."""


@functools.lru_cache(maxsize=2)
def _loaded(path: Path, changed: int) -> Model:
    del changed
    return runtime.load(path)


def _model_named(name: str) -> Model:
    """Load a model that is shipped, or of a run or file in the folder of the server.

    Paths are none of its names, so that no file elsewhere can be asked for.

    Raises
    ------
    UsageError
        No model has this name.
    InputError
        It is damaged.
    """
    known = [entry.name for entry in runtime.list_models()]
    if name not in known:
        raise unknown_name("model", name, known)
    path = runtime.find(name)
    return _loaded(path, path.stat().st_mtime_ns)


class Desk:
    """One model at work, a queue before it, and clerks for everything else.

    Pictures are denoised one at a time, since one keeps all cores busy, in the order in which they
    arrived whole. Files lie in a folder that only this user may look into, and are removed with
    their job, or when the desk closes. Any thread may use it.

    Parameters
    ----------
    limits
        What it takes on.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._home = tempfile.TemporaryDirectory(
            prefix="autodenoise-serve-", ignore_cleanup_errors=True
        )
        self._most_bytes = min(limits.kept_bytes, shutil.disk_usage(self._home.name).free // 2)
        self._jobs: dict[str, Job] = {}
        # Those that wait, after the one that is worked on.
        self._queue: dict[Job, Future[None]] = {}
        self._arriving = self._asked = 0
        self._lock = threading.RLock()
        self._worker = ThreadPoolExecutor(1, "denoising")
        self._clerks = ThreadPoolExecutor(_CLERKS, "clerk")

    def stop(self) -> None:
        """Stop all work, without waiting for its end."""
        with self._lock:
            for job in self._jobs.values():
                job.stop()

    def close(self) -> None:
        """Stop all work, and remove all files."""
        self.stop()
        for pool in (self._worker, self._clerks):
            pool.shutdown(cancel_futures=True)
        self._home.cleanup()

    @contextlib.contextmanager
    def place(self) -> Iterator[Path]:
        """Hold a place in the queue while a picture arrives, and give a folder for it.

        Unless the block ends well, the folder is removed.

        Raises
        ------
        Busy
            No place is free, or no room.
        """
        with self._lock:
            if self._arriving + len(self._queue) >= self.limits.waiting:
                raise Busy(f"busy with {len(self._queue)} pictures; try again in a moment")
            kept = len(self._jobs) + self._arriving
            if kept >= self.limits.kept or self._used() > self._most_bytes:
                raise Busy(
                    f"there is no room for more than the {kept} pictures that are here; fetch some "
                    "and remove them, or wait until they are forgotten"
                )
            self._arriving += 1
        folder = Path(self._home.name) / secrets.token_hex(8)
        with contextlib.ExitStack() as removing:
            removing.callback(shutil.rmtree, folder, ignore_errors=True)
            try:
                folder.mkdir()
                yield folder
            finally:
                with self._lock:
                    self._arriving -= 1
            removing.pop_all()

    def open(
        self,
        folder: Path,
        name: str,
        model: str | None,
        options: Options,
        *,
        suffix: str | None = None,
        keep_answers: bool = False,
    ) -> Job:
        """Look at a picture that has arrived.

        Parameters
        ----------
        folder, name, options, suffix
            As `Job` takes them.
        model
            Its name; None for the one that autodenoise ships for photos.
        keep_answers
            Whether the picture will be wanted at other strengths; they are kept if there is room.

        Raises
        ------
        AutodenoiseError
            As `Job` does; also, no model has this name, or it is damaged.
        InputError
            The picture has too many pixels.
        """
        room = self._most_bytes - self._used() if keep_answers else 0
        chosen = next(iter(weights.FILES)) if model is None else model
        job = Job(
            folder, name, chosen, _model_named(chosen), options, suffix=suffix, most_answers=room
        )
        pixels = job.picture.width * job.picture.height * job.picture.pages
        if pixels > self.limits.pixels:
            raise InputError(
                f"{name} has {pixels:,} pixels, and {self.limits.pixels:,} are the most that is "
                "taken here; the command line takes any number: autodenoise denoise"
            )
        return job

    def take(self, job: Job) -> Future[None]:
        """Put a job into the queue; the future ends with the work."""
        with self._lock:
            self._jobs[job.id] = job
            future = self._worker.submit(self._work, job)
            self._queue[job] = future
        future.add_done_callback(_tell_faults)
        return future

    def find(self, name: str) -> Job:
        """Give the job that has this id.

        Raises
        ------
        UnknownJob
            There is none.
        """
        with self._lock:
            job = self._jobs.get(name)
        if job is None:
            raise UnknownJob("this picture is not here, or no longer; send it again")
        job.touched = time.monotonic()
        return job

    def ahead(self, job: Job) -> int:
        """Count the jobs that come before one that waits."""
        with self._lock:
            queue = list(self._queue)
        return queue.index(job) if job in queue else 0

    def forget(self, job: Job) -> None:
        """Stop what is done for a job, and remove its files, at once or when that has ended."""
        job.stop()
        with self._lock:
            self._jobs.pop(job.id, None)
            future = self._queue.get(job)
            if future is not None and future.cancel():
                del self._queue[job]
            elif future is not None:
                return
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
        """Have a clerk do something.

        Raises
        ------
        Busy
            There is too much to do already.
        """
        with self._lock:
            if self._asked >= self.limits.previews:
                raise Busy("busy with other previews and downloads; try again in a moment")
            self._asked += 1
        future = self._clerks.submit(task)
        future.add_done_callback(self._answered)
        return future

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give the path of a file that is removed unless the block ends well."""
        path = Path(self._home.name) / secrets.token_hex(8)
        try:
            yield path
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def tidy(self) -> None:
        """Remove what can be made again, first of those longest not asked about, until all fits."""
        with self._lock:
            ended = [job for job in self._jobs.values() if job.state in ENDED]
        for drop in (Job.drop_previews, Job.drop_answers):
            for job in sorted(ended, key=lambda job: job.touched):
                if self._used() <= self._most_bytes:
                    return
                drop(job)

    def _work(self, job: Job) -> None:
        try:
            job.clean()
        finally:
            with self._lock:
                del self._queue[job]
                forgotten = job.id not in self._jobs
            if forgotten:
                job.remove()
        self.tidy()

    def _answered(self, future: Future[_Answer]) -> None:
        del future
        with self._lock:
            self._asked -= 1

    def _used(self) -> int:
        with self._lock:
            jobs = list(self._jobs.values())
        return sum(job.size() for job in jobs)


def _tell_faults(future: Future[None]) -> None:
    fault = None if future.cancelled() else future.exception()
    if fault is not None:
        _LOG.error("a picture could not be denoised", exc_info=fault)
