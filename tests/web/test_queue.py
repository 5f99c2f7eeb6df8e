"""The job queue: which files it keeps, and which it deletes."""

from __future__ import annotations

import os
import string
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodenoise.errors import InputError
from autodenoise.runtime import Card, DenoiseOptions, denoise_file, load
from autodenoise.web.cache import CachedModel
from autodenoise.web.errors import NotFound, ServerBusy
from autodenoise.web.jobs import SOURCE_NAME, Job, JobState, clean_name
from autodenoise.web.limits import Limits
from autodenoise.web.queue import JobQueue
from tests.helpers import web_images
from tests.helpers.model_files import box_blur

PHOTO = web_images.encoded(web_images.noise(60, 80))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    box_blur(Path("box.onnx"), channels=3)


def run_job(queue: JobQueue) -> Job:
    with queue.reserve(len(PHOTO)) as folder:
        (folder / SOURCE_NAME).write_bytes(PHOTO)
        options = DenoiseOptions()
        job = queue.open(folder, "a.png", "box.onnx", options, cache_outputs=True).result()
        queue.submit(job).result()
    return job


@pytest.mark.parametrize(
    ("max_disk_bytes", "remaining"),
    [(10**9, {"cache", "preview-after-0"}), (60_000, {"preview-after-0"}), (30_000, set[str]())],
)
def test_previews_and_cache_are_deleted_before_results(
    max_disk_bytes: int, remaining: set[str]
) -> None:
    source, clean = Path("../source.png"), Path("../clean.png")
    source.write_bytes(PHOTO)
    denoise_file(load("box.onnx"), source, clean, DenoiseOptions(strength=0.4))
    queue = JobQueue(Limits(max_disk_bytes=max_disk_bytes))
    try:
        job = run_job(queue)
        sizes = job.preview_sizes("after", 0)
        queue.free_space()
        assert {path.name for path in job.folder.iterdir()} == {
            SOURCE_NAME,
            "result.png",
            *remaining,
        }
        # Without cached outputs, the model runs again.
        assert job.save(0.4).read_bytes() == clean.read_bytes()
        assert job.preview_sizes("after", 0) == sizes
    finally:
        queue.close()


def test_reserving_frees_space() -> None:
    with JobQueue(Limits(max_disk_bytes=120_000)) as queue:
        job = run_job(queue)
        job.preview_sizes("before", 0)
        assert (job.folder / "cache").exists()
        # Beside the image and its result there is space for this, but not for more.
        with queue.reserve(80_000):
            assert {path.name for path in job.folder.iterdir()} == {SOURCE_NAME, "result.png"}
            with (
                pytest.raises(ServerBusy, match="no space left beside 1 stored images"),
                queue.reserve(80_000),
            ):
                pass
        with queue.temporary_file() as path:
            path.write_bytes(bytes(200_000))
            with pytest.raises(ServerBusy, match="no space for an archive"), queue.temporary_file():
                pass
        assert not path.exists()


def test_files_in_use_are_kept() -> None:
    with JobQueue(Limits()) as queue:
        job = run_job(queue)
        with job.in_use():
            queue.remove(job)
            assert (job.folder / "result.png").exists()
            with pytest.raises(NotFound), job.in_use():
                pass
        assert not job.folder.exists()
        for request in (lambda: job.save(0.5), lambda: job.preview_sizes("before", 0)):
            with pytest.raises(NotFound):
                request()


def test_idle_jobs_are_removed() -> None:
    queue = JobQueue(Limits(idle_seconds=0))
    try:
        job = run_job(queue)
        assert job.state is JobState.DONE
        assert queue.find(job.id) is job
        queue.remove_idle()
        with pytest.raises(NotFound, match="not on the server, or no longer"):
            queue.find(job.id)
        assert not job.folder.exists()
    finally:
        queue.close()


def test_closing_the_queue_deletes_all_files() -> None:
    queue = JobQueue(Limits())
    job = run_job(queue)
    assert (job.folder.parent.stat().st_mode & 0o777) == 0o700
    with queue.temporary_file() as path:
        path.write_bytes(b"zip")
    queue.close()
    assert not job.folder.parent.exists()


def test_files_of_a_killed_server_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = """
import signal, sys
from autodenoise.web.queue import JobQueue
from autodenoise.web.limits import Limits
print(JobQueue(Limits())._folder, flush=True)
signal.pause()
"""
    command = [sys.executable, "-c", program]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    link = tmp_path / "autodenoise-serve-link"
    link.symlink_to(tmp_path / "here")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as other:
        try:
            assert other.stdout is not None
            folder = Path(other.stdout.readline().strip())
            (folder / "job").mkdir()
            (folder / "job" / "photo").write_bytes(PHOTO)
            JobQueue(Limits()).close()
            assert folder.exists(), "its server is still running"
        finally:
            other.kill()
    JobQueue(Limits()).close()
    assert {path.name for path in tmp_path.iterdir()} == {"here", link.name}
    assert Path("box.onnx").exists()


def test_incomplete_cache_is_an_error() -> None:
    with tempfile.TemporaryFile() as empty, pytest.raises(InputError, match="are incomplete"):
        CachedModel(Card("a", "a", 1, 0), empty).batch(np.zeros((1, 2, 2, 1), np.float32))


@given(st.text(max_size=300) | st.text("界.é/ ", max_size=300))
def test_clean_name_is_safe_for_any_input(sent_name: str) -> None:
    name = clean_name(sent_name)
    assert name
    assert name.isprintable()
    assert not {"/", "\\"} & set(name)
    assert name not in (".", "..")
    assert len(name.encode()) <= 200
    # It is idempotent.
    assert clean_name(name) == name


@given(st.text(string.ascii_letters + string.digits + "-_ ", min_size=1, max_size=40))
def test_clean_name_keeps_plain_names(stem: str) -> None:
    plain = f"{stem.strip() or 'a'}.png"
    assert clean_name(f"C:\\photos\\{plain}") == clean_name(f"/home/{plain}") == plain
