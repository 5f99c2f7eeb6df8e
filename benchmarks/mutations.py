"""Fuzz ``denoise`` with 2,000 damaged image files of all formats.

    python benchmarks/mutations.py

Each file is a small image written by Pillow or tifffile and then damaged: truncated, with flipped
bits, a range zeroed or copied elsewhere, or huge numbers near its start, or renamed to the suffix
of another format. A worker process denoises one file after another; if it crashes or takes longer
than 30 seconds for a file, this is recorded and a new worker continues.
"""

from __future__ import annotations

import argparse
import json
import queue
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any

import numpy as np
import tifffile
from _results import write
from PIL import Image

from autodenoise import runtime
from autodenoise.errors import AutodenoiseError

WORKER = "--worker"
MAX_SECONDS = 30.0
HUGE = (b"\xff\xff\xff\x7f", b"\xff" * 4, b"\0\0\4\0")
SUFFIXES = (".png", ".jpg", ".tif", ".webp", ".avif")


def seeds(folder: Path) -> list[Path]:
    """Write undamaged images of many kinds."""
    random_pixels = np.random.default_rng(0)
    gray = random_pixels.integers(0, 256, (61, 83), np.uint8)
    color = random_pixels.integers(0, 256, (61, 83, 3), np.uint8)
    rgba = random_pixels.integers(0, 256, (61, 83, 4), np.uint8)
    tags = Image.Exif()
    tags[0x010F], tags[0x0112] = "Maker", 6
    plans: list[tuple[str, Image.Image, dict[str, Any]]] = [
        ("gray.png", Image.fromarray(gray), {}),
        ("color.png", Image.fromarray(color), {"exif": tags, "dpi": (300, 300)}),
        ("rgba.png", Image.fromarray(rgba), {}),
        ("palette.png", Image.fromarray(color).quantize(16), {}),
        ("color.jpg", Image.fromarray(color), {"exif": tags, "quality": 85}),
        ("progressive.jpg", Image.fromarray(gray), {"progressive": True}),
        ("cmyk.jpg", Image.fromarray(rgba, "CMYK"), {}),
        ("lossy.webp", Image.fromarray(color), {"exif": tags}),
        ("lossless.webp", Image.fromarray(rgba), {"lossless": True}),
        ("color.avif", Image.fromarray(color), {}),
        ("lzw.tif", Image.fromarray(color), {"compression": "tiff_lzw"}),
        ("fax.tif", Image.fromarray(gray > 99), {"compression": "group4"}),
        ("jpeg.tif", Image.fromarray(color), {"compression": "jpeg"}),
    ]
    paths = []
    for name, image, options in plans:
        image.save(folder / name, **options)
        paths.append(folder / name)
    deep = random_pixels.integers(0, 60_000, (61, 83), np.uint16)
    for name, array, settings in (
        ("plain.tif", deep, {}),
        ("tiled.tif", color, {"photometric": "rgb", "tile": (16, 16)}),
        ("big.tif", color, {"photometric": "rgb", "bigtiff": True, "byteorder": ">"}),
        ("float.tif", deep.astype(np.float32), {"compression": "zlib"}),
        ("imagej.tif", np.stack([deep] * 3), {"imagej": True, "metadata": {"axes": "ZYX"}}),
        ("ome.tif", np.stack([deep] * 3), {"ome": True, "metadata": {"axes": "ZYX"}}),
    ):
        tifffile.imwrite(folder / name, array, **settings)
        paths.append(folder / name)
    return paths


def damage(content: bytes, name: str, generator: random.Random) -> tuple[str, bytes, str]:
    """Return the kind of damage, the damaged content, and the name of the file."""
    kind = generator.choice(("cut", "bits", "zeros", "copy", "huge", "name"))
    data = bytearray(content)
    if kind == "cut":
        del data[generator.randrange(len(data)) :]
    elif kind == "bits":
        for _ in range(generator.choice((1, 4, 64))):
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
    elif kind == "zeros":
        start, length = generator.randrange(len(data)), generator.randrange(1, 200)
        data[start : start + length] = bytes(len(data[start : start + length]))
    elif kind == "copy":
        start, there, length = (generator.randrange(len(data)) for _ in range(3))
        data[there : there + length] = data[start : start + length]
    elif kind == "huge":
        for _ in range(generator.choice((1, 2, 8))):
            start = generator.randrange(min(len(data), 600))
            data[start : start + 4] = generator.choice(HUGE)
    else:
        name = Path(name).stem + generator.choice(SUFFIXES)
    return kind, bytes(data), name


def work(model: str) -> None:
    """Denoise each file named on standard input and print the outcome."""
    denoiser = runtime.load(model)
    for line in sys.stdin:
        source = Path(line.strip())
        target = source.parent / "clean" / source.name
        begun = time.perf_counter()
        try:
            runtime.denoise_file(denoiser, source, target, overwrite=True)
            outcome = "denoised"
        except AutodenoiseError as error:
            outcome = type(error).__name__
        except Exception as error:  # noqa: BLE001 - unexpected errors are what we look for
            outcome = f"fault: {type(error).__name__}: {error}"
        result = {"outcome": outcome, "seconds": time.perf_counter() - begun}
        print(json.dumps(result), flush=True)
    print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}), flush=True)


class Worker:
    """A process that denoises files, and its output."""

    def __init__(self, model: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", __file__, WORKER, str(model)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.lines: queue.Queue[str] = queue.Queue()
        self.errors: queue.Queue[str] = queue.Queue()
        for stream, lines in (
            (self.process.stdout, self.lines),
            (self.process.stderr, self.errors),
        ):
            threading.Thread(target=self._listen, args=(stream, lines), daemon=True).start()

    def _listen(self, stream: IO[str], lines: queue.Queue[str]) -> None:
        for line in stream:
            lines.put(line)
        lines.put("")

    def denoise(self, path: Path) -> dict[str, Any]:
        """Denoise a file and return the outcome."""
        assert self.process.stdin is not None
        print(path, file=self.process.stdin, flush=True)
        try:
            line = self.lines.get(timeout=MAX_SECONDS)
        except queue.Empty:
            self.process.kill()
            return {"outcome": "hang", "seconds": MAX_SECONDS, "ended": True}
        if not line:
            message = "".join(iter(self.errors.get, ""))
            outcome = f"crash: {self.process.wait()}: {message}"
            return {"outcome": outcome, "seconds": 0.0, "ended": True}
        result: dict[str, Any] = json.loads(line)
        return result

    def end(self) -> dict[str, Any]:
        """End the process; return its peak memory and what it wrote to standard error."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        peak: int = json.loads(self.lines.get(timeout=MAX_SECONDS))["peak"]
        messages = list(iter(self.errors.get, ""))
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return {"peak": peak, "stderr": messages}


def run(folder: Path, files: int, seed: int, keep: Path | None = None) -> dict[str, Any]:
    """Damage and denoise files, and count the outcomes.

    Parameters
    ----------
    folder
        Working folder.
    files, seed
        Number of files, and random seed.
    keep
        Folder for copies of the files that caused crashes, hangs or unexpected errors.
    """
    generator = random.Random(seed)
    counts: dict[str, Counter[str]] = {}
    slowest, wrong = 0.0, []
    (folder / "clean").mkdir()
    intact = seeds(folder)
    model = _identity(folder / "same.onnx")
    worker = Worker(model)
    for index in range(files):
        source = generator.choice(intact)
        kind, content, name = damage(source.read_bytes(), source.name, generator)
        path = folder / f"{index:05}-{name}"
        path.write_bytes(content)
        result = worker.denoise(path)
        slowest = max(slowest, result["seconds"])
        outcome = result["outcome"].partition(":")[0]
        counts.setdefault(kind, Counter())[outcome] += 1
        if outcome in ("crash", "hang", "fault"):
            wrong.append(f"{path.name} ({kind}): {result['outcome']}")
            if keep:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / path.name).write_bytes(content)
        path.unlink()
        if result.get("ended"):
            worker = Worker(model)
    last = worker.end()
    total = sum(counts.values(), Counter())
    return {
        "protocol": f"{files} damaged images from {len(intact)} intact ones, seed {seed}; "
        "denoise_file with an identity model, one after another in one process; "
        f"a hang is more than {MAX_SECONDS:g} s",
        "outcomes": dict(total.most_common()),
        "by_damage": {kind: dict(found.most_common()) for kind, found in sorted(counts.items())},
        "wrong": wrong,
        "half_written_files_left": sorted(
            path.name for path in (folder / "clean").iterdir() if path.name.startswith(".")
        ),
        "standard_error": last["stderr"],
        "slowest_seconds": round(slowest, 2),
        "peak_rss_mib": last["peak"] // 1024,
    }


def _identity(path: Path) -> Path:
    # A helper of the tests, which are not part of the package.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.helpers.model_files import identity

    return identity(path)


def main() -> None:
    """Run the measurement, or the worker process."""
    if sys.argv[1:2] == [WORKER]:
        work(sys.argv[2])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for copies of the files that went wrong")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        write("mutations", run(Path(name), arguments.files, arguments.seed, arguments.keep))


if __name__ == "__main__":
    main()
