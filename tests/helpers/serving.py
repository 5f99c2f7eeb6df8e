"""A server in a separate process, as users start it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from autodenoise.web import Limits
from autodenoise.web.jobs import SOURCE_NAME
from tests.helpers.model_files import box_blur

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["QUICK", "SLOW", "RunningServer", "running_server"]

QUICK, SLOW = "quick.onnx", "slow.onnx"
"""Models in the server's folder: box blurs of 3x3 pixels, and of many, which is slow."""

_PROGRAM = """
import sys
from autodenoise.web import Limits, serve
serve(port=0, limits=Limits(**{limits}), on_ready=lambda url, _: print(url, flush=True))
"""


@dataclass(frozen=True)
class RunningServer:
    """A running server.

    Attributes
    ----------
    url
        Address, with a trailing slash.
    folder
        Its working directory, which holds the models.
    temporary
        Its folder for temporary files.
    process
        The server process.
    client
        An HTTP client for it.
    """

    url: str
    folder: Path
    temporary: Path
    process: subprocess.Popen[str]
    client: httpx.Client

    def send(self, content: bytes, **parameters: Any) -> httpx.Response:
        """Upload an image file as a job."""
        return self.client.post("/api/jobs", content=content, params=parameters)

    def state(self, job: str) -> dict[str, Any]:
        """Return the state of a job."""
        message: dict[str, Any] = self.client.get(f"/api/jobs/{job}").raise_for_status().json()
        return message

    def wait_finished(self, job: str) -> dict[str, Any]:
        """Wait until a job is finished, and return its state."""
        while (message := self.state(job))["state"] in ("waiting", "working"):
            time.sleep(0.02)
        return message

    def wait_started(self, job: str) -> dict[str, Any]:
        """Wait until a job has started, and return its state."""
        while (message := self.state(job))["state"] == "waiting":
            time.sleep(0.02)
        return message

    def denoise(self, content: bytes, **parameters: Any) -> str:
        """Upload an image file, wait until it is denoised, and return the job's id."""
        job: str = self.send(content, **parameters).raise_for_status().json()["id"]
        assert self.wait_finished(job)["state"] == "done"
        return job

    def files(self) -> set[Path]:
        """Return its temporary files and folders, perhaps with some that are being deleted."""
        walked = os.walk(self.temporary)
        return {Path(folder, name) for folder, *within in walked for name in chain(*within)}

    def stable_files(self) -> set[Path]:
        """Wait until its temporary files do not change any more, and return them."""
        files, since = self.files(), time.monotonic()
        while time.monotonic() < since + 0.2:
            time.sleep(0.02)
            if (now := self.files()) != files:
                files, since = now, time.monotonic()
        return files

    def wait_for_files(self, files: set[Path]) -> None:
        """Wait until its temporary files are these."""
        wait_until(lambda: self.files() == files)

    def wait_for_upload(self, uploading: bool = True) -> None:
        """Wait until an upload is being written, or until none is."""
        wait_until(lambda: any(path.name == SOURCE_NAME for path in self.files()) == uploading)

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Stop it; return its exit code and output."""
        self.process.send_signal(number)
        printed, _ = self.process.communicate(timeout=60)
        return self.process.returncode, printed


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true, for at most a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "timeout"
        time.sleep(0.02)


@contextlib.contextmanager
def running_server(folder: Path, **limits: Any) -> Iterator[RunningServer]:
    """Run a server in a folder with the models that tests use."""
    temporary, home = folder / "temporary", folder / "home"
    for path in (temporary, home):
        path.mkdir()
    box_blur(home / QUICK, channels=3)
    box_blur(home / SLOW, radius=16)
    program = _PROGRAM.format(limits=asdict(Limits(**limits)))
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=home,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=_enable_signals,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with httpx.Client(base_url=url, timeout=120) as client:
            yield RunningServer(url, home, temporary, process, client)
    finally:
        process.kill()
        process.communicate()


def _enable_signals() -> None:
    # Tests that run in the background may inherit ignored signals.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
