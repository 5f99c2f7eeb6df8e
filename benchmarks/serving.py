"""Measure the server's speed and memory with 100 clients that upload a photo at the same moment.

    pip install -c constraints.txt -e '.[dev]'
    python benchmarks/serving.py

Each client sends the same 3-megapixel JPEG to ``POST /api/denoise``, and retries while the server
is busy, until it has its result. Memory is that of the server process, disk space that of its
temporary folder, polled every 50 ms. Results are compared with the command line's file.
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
from denoising import noisy_image

from autodenoise import images, runtime
from autodenoise.web import Limits

CLIENTS = 100
HEIGHT, WIDTH = 1500, 2000


class Monitor:
    """Measures the memory of a process and the size of its folder until it is stopped."""

    def __init__(self, process: int, folder: Path) -> None:
        self.disk = 0
        self._status, self._folder = Path(f"/proc/{process}/status"), folder
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()

    def memory(self) -> float:
        """Return the peak memory of the process, in MiB."""
        lines = self._status.read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

    def stop(self) -> None:
        """Stop measuring."""
        self._stopped.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._stopped.wait(0.05):
            total = 0
            for path in self._folder.rglob("*"):
                try:
                    total += path.stat().st_size
                except FileNotFoundError:
                    continue
            self.disk = max(self.disk, total)


def main() -> None:
    """Run the server and the clients, and write the results."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "temporary").mkdir()
        photo, clean = folder / "photo.jpg", folder / "clean.jpg"
        images.write(photo, noisy_image(HEIGHT, WIDTH))
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
        monitor = Monitor(server.pid, folder / "temporary")
        idle = monitor.memory()
        statuses: Counter[int] = Counter()
        finish_times: list[float] = []
        barrier = threading.Barrier(CLIENTS + 1)

        def send(_: int) -> bool:
            with httpx.Client(base_url=url, timeout=None) as client:
                barrier.wait()
                for _attempt in itertools.count():
                    response = client.post("/api/denoise?name=photo.jpg", content=content)
                    statuses[response.status_code] += 1
                    if response.status_code != 503:
                        finish_times.append(time.perf_counter())
                        return response.content == expected
                    time.sleep(float(response.headers["retry-after"]))
                raise AssertionError

        with ThreadPoolExecutor(CLIENTS) as executor:
            futures = [executor.submit(send, client) for client in range(CLIENTS)]
            barrier.wait()
            start = time.perf_counter()
            equal = sum(future.result() for future in futures)
        memory = monitor.memory()
        monitor.stop()
        remaining = [path for path in (folder / "temporary").rglob("*") if path.is_file()]
        server.terminate()
        server.wait()
    write(
        "serving",
        {
            "clients": CLIENTS,
            "image": f"JPEG, {WIDTH}x{HEIGHT}, {len(content):,} bytes",
            "queue length": Limits().max_waiting,
            "responses by status": {str(status): count for status, count in statuses.items()},
            "results equal to the command line's": equal,
            "seconds until the last result": round(max(finish_times) - start, 1),
            "megapixels per second": round(
                CLIENTS * HEIGHT * WIDTH / 1e6 / (max(finish_times) - start), 2
            ),
            "memory of the idle server, MiB": round(idle),
            "peak memory of the server, MiB": round(memory),
            "peak size of temporary files, MiB": round(monitor.disk / 2**20, 1),
            "temporary files remaining": len(remaining),
        },
    )


if __name__ == "__main__":
    main()
