"""A server as a process of its own, as people start it."""

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
from autodenoise.web.jobs import SOURCE
from tests.helpers.model_files import box_blur

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["QUICK", "SLOW", "Serving", "serving"]

QUICK, SLOW = "quick.onnx", "slow.onnx"
"""Models in the server's folder: means of 3x3 pixels, and of many, which takes long."""

_PROGRAM = """
import sys
from autodenoise.web import Limits, serve
serve(port=0, limits=Limits(**{limits}), on_ready=lambda url, _: print(url, flush=True))
"""


@dataclass(frozen=True)
class Serving:
    """A server at work.

    Attributes
    ----------
    url
        With a slash at the end.
    folder
        That it was started in, which holds the models.
    temporary
        The folder for its temporary files.
    process
        The server.
    client
        Somebody who talks to it.
    """

    url: str
    folder: Path
    temporary: Path
    process: subprocess.Popen[str]
    client: httpx.Client

    def send(self, content: bytes, **parameters: Any) -> httpx.Response:
        """Send a picture as a job."""
        return self.client.post("/api/jobs", content=content, params=parameters)

    def state(self, job: str) -> dict[str, Any]:
        """Ask how far a job is."""
        said: dict[str, Any] = self.client.get(f"/api/jobs/{job}").raise_for_status().json()
        return said

    def ended(self, job: str) -> dict[str, Any]:
        """Wait for a job's end."""
        while (said := self.state(job))["state"] in ("waiting", "working"):
            time.sleep(0.02)
        return said

    def begun(self, job: str) -> dict[str, Any]:
        """Wait until a job is worked on."""
        while (said := self.state(job))["state"] == "waiting":
            time.sleep(0.02)
        return said

    def done(self, content: bytes, **parameters: Any) -> str:
        """Send a picture, wait until it is clean, and give the job's id."""
        job: str = self.send(content, **parameters).raise_for_status().json()["id"]
        assert self.ended(job)["state"] == "done"
        return job

    def files(self) -> set[Path]:
        """Give its temporary files and folders; those that just go may be among them."""
        walked = os.walk(self.temporary)
        return {Path(folder, name) for folder, *within in walked for name in chain(*within)}

    def settled(self) -> set[Path]:
        """Wait until its temporary files stay as they are, and give them."""
        files, since = self.files(), time.monotonic()
        while time.monotonic() < since + 0.2:
            time.sleep(0.02)
            if (now := self.files()) != files:
                files, since = now, time.monotonic()
        return files

    def settles(self, files: set[Path]) -> None:
        """Wait until these are the temporary files."""
        wait_until(lambda: self.files() == files)

    def receives(self, uploading: bool = True) -> None:
        """Wait until it is writing what somebody sends, or until it is not."""
        wait_until(lambda: any(path.name == SOURCE for path in self.files()) == uploading)

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """End it; give its exit code and all that it has printed."""
        self.process.send_signal(number)
        printed, _ = self.process.communicate(timeout=60)
        return self.process.returncode, printed


def wait_until(condition: Callable[[], bool]) -> None:
    """Look every now and then whether something holds, until it does."""
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


@contextlib.contextmanager
def serving(folder: Path, **limits: Any) -> Iterator[Serving]:
    """Start a server in a folder, with the models there that tests use."""
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
        preexec_fn=_hear_signals,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with httpx.Client(base_url=url, timeout=120) as client:
            yield Serving(url, home, temporary, process, client)
    finally:
        process.kill()
        process.communicate()


def _hear_signals() -> None:
    # Whoever starts the tests in the background may have them ignored, which is inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
