"""A hundred people send a photo at once: what the server takes on, and what memory that costs.

    pip install -c constraints.txt -e '.[dev]'
    python benchmarks/serving.py

Each sends the same 3-megapixel JPEG to ``POST /api/denoise`` at the same moment, and tries again as
often as it is told that the server is busy, until it has its picture. Memory and disk are the
server process's and its folder's, looked at every 50 ms; what is answered is compared with what the
command line writes.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from _results import write
from denoising import picture

from autodenoise import images, runtime
from autodenoise.web import Limits

PEOPLE = 100
HEIGHT, WIDTH = 1500, 2000


class Watch:
    """Looks at the memory of a process and at the size of its folder, until it is told to stop."""

    def __init__(self, process: int, folder: Path) -> None:
        self.disk = 0
        self._status, self._folder = Path(f"/proc/{process}/status"), folder
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def memory(self) -> float:
        """Give the most that the process ever held, in MiB."""
        lines = self._status.read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.05):
            total = 0
            for path in self._folder.rglob("*"):
                try:
                    total += path.stat().st_size
                except FileNotFoundError:
                    continue
            self.disk = max(self.disk, total)


def main() -> None:
    """Serve, send, and write what happened."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "temporary").mkdir()
        photo, clean = folder / "photo.jpg", folder / "clean.jpg"
        images.write(photo, picture(HEIGHT, WIDTH))
        runtime.denoise_file(runtime.load(), photo, clean)
        content, expected = photo.read_bytes(), clean.read_bytes()
        server = subprocess.Popen(
            [sys.executable, "-m", "autodenoise", "serve", "--port", "0"],
            env={**os.environ, "TMPDIR": str(folder / "temporary"), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdout is not None
        url = server.stdout.readline().split()[3]
        watch = Watch(server.pid, folder / "temporary")
        idle = watch.memory()
        said: Counter[int] = Counter()
        taken: list[float] = []
        began = threading.Barrier(PEOPLE + 1)

        def send(_: int) -> bool:
            with httpx.Client(base_url=url, timeout=None) as client:
                began.wait()
                for _attempt in itertools.count():
                    answer = client.post("/api/denoise?name=photo.jpg", content=content)
                    said[answer.status_code] += 1
                    if answer.status_code != 503:
                        taken.append(time.perf_counter())
                        return answer.content == expected
                    time.sleep(float(answer.headers["retry-after"]))
                raise AssertionError

        with ThreadPoolExecutor(PEOPLE) as people:
            waiting = [people.submit(send, person) for person in range(PEOPLE)]
            began.wait()
            begun = time.perf_counter()
            equal = sum(future.result() for future in waiting)
        memory = watch.memory()
        watch.stop()
        left = [path for path in (folder / "temporary").rglob("*") if path.is_file()]
        server.terminate()
        server.wait()
    write(
        "serving",
        {
            "people": PEOPLE,
            "picture": f"JPEG, {WIDTH}x{HEIGHT}, {len(content):,} bytes",
            "places in the queue": Limits().max_waiting,
            "answers by status": {str(status): count for status, count in said.items()},
            "pictures equal to the command line's": equal,
            "seconds until the last": round(max(taken) - begun, 1),
            "megapixels a second": round(PEOPLE * HEIGHT * WIDTH / 1e6 / (max(taken) - begun), 2),
            "memory of the server before, MiB": round(idle),
            "memory of the server at most, MiB": round(memory),
            "temporary files at most, MiB": round(watch.disk / 2**20, 1),
            "temporary files left": len(left),
        },
    )


if __name__ == "__main__":
    main()
