"""The desk by itself: what it keeps, and what it lets go of."""

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
from autodenoise.web.cache import Kept
from autodenoise.web.errors import Busy, Unknown
from autodenoise.web.jobs import SOURCE, Job, State, bare_name
from autodenoise.web.limits import Limits
from autodenoise.web.queue import Desk
from tests.helpers import web_pictures as pictures
from tests.helpers.model_files import box_blur

PHOTO = pictures.encoded(pictures.noise(60, 80))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    box_blur(Path("box.onnx"), channels=3)


def sent(desk: Desk) -> Job:
    with desk.place(len(PHOTO)) as folder:
        (folder / SOURCE).write_bytes(PHOTO)
        job = desk.look(folder, "a.png", "box.onnx", DenoiseOptions(), keep_answers=True).result()
        desk.take(job).result()
    return job


@pytest.mark.parametrize(
    ("kept_bytes", "left"),
    [(10**9, {"answers", "preview-after-0"}), (60_000, {"preview-after-0"}), (30_000, set[str]())],
)
def test_what_can_be_made_again_goes_first(kept_bytes: int, left: set[str]) -> None:
    source, clean = Path("../source.png"), Path("../clean.png")
    source.write_bytes(PHOTO)
    denoise_file(load("box.onnx"), source, clean, DenoiseOptions(strength=0.4))
    desk = Desk(Limits(kept_bytes=kept_bytes))
    try:
        job = sent(desk)
        sizes = job.preview_sizes("after", 0)
        desk.tidy()
        assert {path.name for path in job.folder.iterdir()} == {SOURCE, "result.png", *left}
        # Where its answers are gone, the model works again.
        assert job.saved(0.4).read_bytes() == clean.read_bytes()
        assert job.preview_sizes("after", 0) == sizes
    finally:
        desk.close()


def test_room_is_made_for_the_next() -> None:
    with Desk(Limits(kept_bytes=120_000)) as desk:
        job = sent(desk)
        job.preview_sizes("before", 0)
        assert (job.folder / "answers").exists()
        # Beside the picture and its result there is room for this, and not for more.
        with desk.place(80_000):
            assert {path.name for path in job.folder.iterdir()} == {SOURCE, "result.png"}
            with pytest.raises(Busy, match="no room beside the 1 pictures"), desk.place(80_000):
                pass
        with desk.scratch() as path:
            path.write_bytes(bytes(200_000))
            with pytest.raises(Busy, match="no room for an archive"), desk.scratch():
                pass
        assert not path.exists()


def test_files_stay_while_somebody_uses_them() -> None:
    with Desk(Limits()) as desk:
        job = sent(desk)
        with job.in_use():
            desk.forget(job)
            assert (job.folder / "result.png").exists()
            with pytest.raises(Unknown), job.in_use():
                pass
        assert not job.folder.exists()
        for ask in (lambda: job.saved(0.5), lambda: job.preview_sizes("before", 0)):
            with pytest.raises(Unknown):
                ask()


def test_pictures_that_nobody_asks_about_are_forgotten() -> None:
    desk = Desk(Limits(idle_seconds=0))
    try:
        job = sent(desk)
        assert job.state is State.DONE
        assert desk.find(job.id) is job
        desk.forget_idle()
        with pytest.raises(Unknown, match="not here, or no longer"):
            desk.find(job.id)
        assert not job.folder.exists()
    finally:
        desk.close()


def test_nothing_is_left_when_the_desk_closes() -> None:
    desk = Desk(Limits())
    job = sent(desk)
    assert (job.folder.parent.stat().st_mode & 0o777) == 0o700
    with desk.scratch() as path:
        path.write_bytes(b"zip")
    desk.close()
    assert not job.folder.parent.exists()


def test_what_a_killed_server_left_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = """
import signal, sys
from autodenoise.web.queue import Desk
from autodenoise.web.limits import Limits
print(Desk(Limits())._folder, flush=True)
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
            left = Path(other.stdout.readline().strip())
            (left / "job").mkdir()
            (left / "job" / "photo").write_bytes(PHOTO)
            Desk(Limits()).close()
            assert left.exists(), "its server lives"
        finally:
            other.kill()
    Desk(Limits()).close()
    assert {path.name for path in tmp_path.iterdir()} == {"here", link.name}
    assert Path("box.onnx").exists()


def test_answers_that_end_too_soon_are_an_error() -> None:
    with tempfile.TemporaryFile() as empty, pytest.raises(InputError, match="end too soon"):
        Kept(Card("a", "a", 1, 0), empty).batch(np.zeros((1, 2, 2, 1), np.float32))


@given(st.text(max_size=300) | st.text("界.é/ ", max_size=300))
def test_a_name_is_a_name_whatever_is_sent(sent_name: str) -> None:
    name = bare_name(sent_name)
    assert name
    assert name.isprintable()
    assert not {"/", "\\"} & set(name)
    assert name not in (".", "..")
    assert len(name.encode()) <= 200
    # What was called by a decent name keeps it.
    assert bare_name(name) == name


@given(st.text(string.ascii_letters + string.digits + "-_ ", min_size=1, max_size=40))
def test_plain_names_stay_as_they_are(stem: str) -> None:
    plain = f"{stem.strip() or 'a'}.png"
    assert bare_name(f"C:\\photos\\{plain}") == bare_name(f"/home/{plain}") == plain
