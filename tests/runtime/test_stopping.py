"""Folders whose work is stopped, killed, or met by a second process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autodenoise import runtime
from autodenoise.errors import Interrupted
from autodenoise.runtime.manifest import MANIFEST_NAME
from tests.helpers.image_files import RecordingProgress, content, picture

# A process that sends itself a signal at its third finished picture, or within its third.
_STOPPED = """
import os, signal, sys
from pathlib import Path
from autodenoise import runtime
from autodenoise.errors import Interrupted
from tests.helpers.image_files import RecordingProgress

number = getattr(signal, sys.argv[1])
# Whoever runs the tests may have had it ignored, as nohup does, which is inherited.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

class Stopping(RecordingProgress):
    def finished(self, task, result):
        super().finished(task, result)
        if len(self.done) == 3:
            os.kill(os.getpid(), number)

try:
    runtime.denoise_folder(
        runtime.load("box.onnx"), Path("in"), Path("out"), jobs=2, report=Stopping()
    )
except Interrupted as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT", "SIGTERM", "SIGHUP"])
def test_stopped_folder_is_continued(
    name: str, model: runtime.Model, noisy: Path, out: Path, tmp_path: Path
) -> None:
    for number in range(40):
        picture(noisy / f"{number:02}.png")
    runtime.denoise_folder(model, noisy, tmp_path / "straight")
    done = subprocess.run(
        [sys.executable, "-c", _STOPPED, name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    named = {file.name for file in out.glob("*.png")}
    assert 3 <= len(named) < 40, done.stderr
    straight = content(tmp_path / "straight")
    assert all((out / file).read_bytes() == straight[file] for file in named)
    if name == "SIGKILL":
        assert done.returncode == -signal.SIGKILL
    else:
        assert done.returncode == 130, done.stderr
        assert (
            done.stdout
            == f"stopped with {len(named)} of 40 done; run the same command to continue\n"
        )
        assert set(content(out)) == named  # and nothing unfinished
    recorded = RecordingProgress()
    summary = runtime.denoise_folder(model, noisy, out, report=recorded)
    assert summary.error is None
    assert summary.unchanged == len(named)
    assert content(out) == straight


def test_kill_between_manifest_and_rename_is_recovered(
    model: runtime.Model, noisy: Path, out: Path, tmp_path: Path
) -> None:
    picture(noisy / "a.png")
    runtime.denoise_folder(model, noisy, tmp_path / "straight")
    script = _STOPPED.replace(
        "try:", "runtime.folders._rename = lambda *_: os.kill(os.getpid(), number)\ntry:"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, "SIGKILL"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert (out / MANIFEST_NAME).read_bytes().count(b"\n") == 1
    assert "a.png" not in content(out)
    assert len(runtime.denoise_folder(model, noisy, out).results) == 1
    assert content(out) == content(tmp_path / "straight")


def stop_within_b(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Let Ctrl-C come within the picture b.png."""
    denoise = runtime.denoise_file

    def stopped_within(
        model: runtime.Model, source: Path, *rest: Any, progress: Any, **named: Any
    ) -> runtime.DenoiseResult:
        progress(0, 48)
        if source.name == "b.png":
            handler = signal.getsignal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            while signal.getsignal(signal.SIGINT) is handler:
                pass
            progress(24, 48)
        return denoise(model, source, *rest, progress=progress, **named)

    monkeypatch.setattr(f"autodenoise.runtime.{module}.denoise_file", stopped_within)


def test_files_in_progress_are_abandoned_on_stop(
    model: runtime.Model, noisy: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        picture(noisy / f"{name}.png")
    stop_within_b(monkeypatch, "folders")
    recorded = RecordingProgress()
    with pytest.raises(Interrupted, match="stopped with 1 of 3 done; run the same command"):
        runtime.denoise_folder(model, noisy, out, jobs=1, report=recorded)
    assert (recorded.names, recorded.done) == (["a.png", "b.png"], ["a.png"])
    assert recorded.summary is not None
    assert recorded.summary.error is None
    assert list(content(out)) == ["a.png"]


@pytest.mark.parametrize(
    ("overwrite", "said"),
    [(False, "to continue, pass only the remaining files"), (True, "the same command starts over")],
)
def test_single_files_have_no_manifest(
    model: runtime.Model, noisy: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool, said: str
) -> None:
    for name in "abc":
        picture(noisy / f"{name}.png")
    stop_within_b(monkeypatch, "batch")
    pairs = [(noisy / f"{name}.png", noisy / f"{name}.clean.png") for name in "abc"]
    with pytest.raises(Interrupted, match=f"stopped with 1 of 3 done; {said}"):
        runtime.denoise_files(model, pairs, overwrite=overwrite, jobs=1)
    assert [clean.exists() for _, clean in pairs] == [True, False, False]
