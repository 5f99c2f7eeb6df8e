"""The queue: jobs wait here for the model, and are stored until they are downloaded."""

from __future__ import annotations

import contextlib
import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from autodenoise.files import size_of
from autodenoise.runtime import DenoiseOptions
from autodenoise.web.cache import ModelCache
from autodenoise.web.errors import NotFound, ServerBusy
from autodenoise.web.jobs import FINISHED, Job
from autodenoise.web.limits import Limits
from autodenoise.web.workspace import Workspace

__all__ = ["JobQueue"]

_Result = TypeVar("_Result")

# Threads for previews and downloads: mostly libvips, which has threads of its own.
_TASK_THREADS = 2
_LOG = logging.getLogger(__name__)


class JobQueue:
    """Runs jobs one at a time, and other tasks, such as previews, in separate threads.

    A single image keeps all cores busy, so jobs run in the order in which their uploads finished.
    Files are in a folder that only the current user can read. They are deleted with their job, or
    when the queue closes. Thread-safe.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.stopping = threading.Event()
        self._workspace = Workspace()
        self._folder = self._workspace.path
        free = shutil.disk_usage(self._folder).free
        self._max_bytes = min(limits.max_disk_bytes, free // 2)
        self._models = ModelCache()
        self._jobs: dict[str, Job] = {}
        # The running job, then the waiting ones.
        self._queue: dict[Job, Future[None]] = {}
        self._upload_sizes: list[int] = []
        self._tasks = 0
        self._lock, self._space_lock = threading.RLock(), threading.Lock()
        self._worker = ThreadPoolExecutor(1, "denoising")
        # A single thread, so that jobs are queued in the order in which their uploads finished.
        self._reader = ThreadPoolExecutor(1, "reader")
        self._task_pool = ThreadPoolExecutor(_TASK_THREADS, "task")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stop(self) -> None:
        """Stop all work, without waiting for it to end."""
        self.stopping.set()
        # Without the lock, because a signal handler may interrupt a thread that holds it.
        for job in list(self._jobs.values()):
            job.stop()

    def close(self) -> None:
        """Stop all work, and delete all files."""
        self.stop()
        for pool in (self._reader, self._worker, self._task_pool):
            pool.shutdown(cancel_futures=True)
        self._workspace.close()

    @contextlib.contextmanager
    def reserve(self, size: int) -> Iterator[Path]:
        """Reserve a place in the queue for an upload of `size` bytes, and yield a folder for it.

        The folder is deleted if the block raises. Raise ServerBusy if the queue or the disk is
        full.
        """
        free = self.free_space(size)
        with self._lock:
            waiting, stored = len(self._upload_sizes) + len(self._queue), len(self._jobs)
            if waiting >= self.limits.max_waiting:
                raise ServerBusy(f"busy with {waiting} images; try again in a moment")
            full = stored + len(self._upload_sizes) >= self.limits.max_jobs
            if full or size > free - sum(self._upload_sizes):
                raise ServerBusy(
                    f"no space left beside {stored} stored images; download and remove some, or "
                    "wait until they expire"
                )
            self._upload_sizes.append(size)
        folder = self._folder / secrets.token_hex(8)
        with contextlib.ExitStack() as on_error:
            on_error.callback(shutil.rmtree, folder, ignore_errors=True)
            try:
                folder.mkdir()
                yield folder
            finally:
                with self._lock:
                    self._upload_sizes.remove(size)
            on_error.pop_all()

    def open(
        self,
        folder: Path,
        name: str,
        model: str | None,
        options: DenoiseOptions,
        *,
        suffix: str | None = None,
        cache_outputs: bool = False,
    ) -> Future[Job]:
        """Read the header of an upload and create its job, after those of earlier uploads.

        `cache_outputs` caches the model's outputs for other strengths, if there is space. The
        future has the job, or the exception that `Job` raises.
        """

        def create() -> Job:
            free = self._max_bytes - size_of(self._folder)
            return Job(
                folder,
                name,
                self._models.default if model is None else model,
                self._models,
                options,
                suffix=suffix,
                max_pixels=self.limits.max_pixels,
                max_cache_bytes=free if cache_outputs else 0,
            )

        return self._reader.submit(create)

    def submit(self, job: Job) -> Future[None]:
        """Append a job to the queue; the future completes when the job is finished."""
        with self._lock:
            self._jobs[job.id] = job
            future = self._worker.submit(self._run, job)
            self._queue[job] = future
        if self.stopping.is_set():
            job.stop()
        future.add_done_callback(_log_exception)
        return future

    def find(self, job_id: str) -> Job:
        """Return the job with an id, and mark it as used; NotFound if there is none."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise NotFound("this image is not on the server, or no longer; send it again")
        job.last_used = time.monotonic()
        return job

    def position(self, job: Job) -> int:
        """Return the number of jobs before this one; 0 if it does not wait."""
        with self._lock:
            queue = list(self._queue)
        return queue.index(job) if job in queue else 0

    def remove(self, job: Job) -> None:
        """Stop a job, and delete its files as soon as they are not in use."""
        job.stop()
        with self._lock:
            self._jobs.pop(job.id, None)
            future = self._queue.get(job)
            if future is not None and future.cancel():
                del self._queue[job]
        job.remove()

    def remove_idle(self) -> None:
        """Remove finished jobs without a request for `Limits.idle_seconds`."""
        since = time.monotonic() - self.limits.idle_seconds
        with self._lock:
            idle = [job for job in self._jobs.values() if job.last_used < since]
        for job in idle:
            if job.state in FINISHED:
                self.remove(job)

    def run_task(self, task: Callable[[], _Result]) -> Future[_Result]:
        """Run a task, such as a preview or download, in another thread.

        Raise ServerBusy if too many tasks are running or waiting.
        """
        with self._lock:
            if self._tasks >= self.limits.max_tasks:
                raise ServerBusy("busy with other previews and downloads; try again in a moment")
            self._tasks += 1
        future = self._task_pool.submit(task)
        future.add_done_callback(self._task_done)
        return future

    @contextlib.contextmanager
    def temporary_file(self) -> Iterator[Path]:
        """Yield the path of a file that is deleted after the block.

        Raise ServerBusy if the disk space is full.
        """
        if self.free_space() < 0:
            raise ServerBusy("no space for an archive; download single images, and remove some")
        path = self._folder / secrets.token_hex(8)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def free_space(self, needed: int = 0) -> int:
        """Delete what can be recomputed until `needed` bytes are free; return the free bytes.

        Previews are deleted first, then cached model outputs, least recently used jobs first.
        """
        with self._space_lock:
            free = self._max_bytes - size_of(self._folder)
            with self._lock:
                finished = [job for job in self._jobs.values() if job.state in FINISHED]
            finished.sort(key=lambda job: job.last_used)
            for drop in (Job.drop_previews, Job.drop_cache):
                for job in finished:
                    if free >= needed:
                        return free
                    free += drop(job)
        return free

    def _run(self, job: Job) -> None:
        try:
            # The job may have been removed just before.
            with contextlib.suppress(NotFound), job.in_use():
                job.run()
        finally:
            with self._lock:
                del self._queue[job]
        self._free_space_later()

    def _task_done(self, future: Future[_Result]) -> None:
        del future
        with self._lock:
            self._tasks -= 1
        self._free_space_later()

    def _free_space_later(self) -> None:
        # A pool that was shut down raises RuntimeError.
        with contextlib.suppress(RuntimeError):
            self._reader.submit(self.free_space)


def _log_exception(future: Future[None]) -> None:
    exception = None if future.cancelled() else future.exception()
    if exception is not None:
        _LOG.error("unexpected error while denoising an image", exc_info=exception)
