"""What damaged picture files do to ``denoise``: 2,000 of them, of every format.

    python benchmarks/mutations.py

Each file is a small picture that Pillow or tifffile wrote and that was then damaged: cut off, bits
flipped, a stretch zeroed or copied elsewhere, numbers near its beginning made huge, or its name
changed to another format's. A process denoises one after another; if it dies or takes longer than
30 seconds for one, that is written down and another goes on.
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
LIMIT = 30.0
SUFFIXES = (".png", ".jpg", ".tif", ".webp", ".avif")


def seeds(folder: Path) -> list[Path]:
    """Write sound pictures of many kinds."""
    draw = np.random.default_rng(0)
    grey = draw.integers(0, 256, (61, 83), np.uint8)
    colour = draw.integers(0, 256, (61, 83, 3), np.uint8)
    clear = draw.integers(0, 256, (61, 83, 4), np.uint8)
    tags = Image.Exif()
    tags[0x010F], tags[0x0112] = "Maker", 6
    plans: list[tuple[str, Image.Image, dict[str, Any]]] = [
        ("grey.png", Image.fromarray(grey), {}),
        ("colour.png", Image.fromarray(colour), {"exif": tags, "dpi": (300, 300)}),
        ("clear.png", Image.fromarray(clear), {}),
        ("palette.png", Image.fromarray(colour).quantize(16), {}),
        ("colour.jpg", Image.fromarray(colour), {"exif": tags, "quality": 85}),
        ("progressive.jpg", Image.fromarray(grey), {"progressive": True}),
        ("inks.jpg", Image.fromarray(clear, "CMYK"), {}),
        ("lossy.webp", Image.fromarray(colour), {"exif": tags}),
        ("lossless.webp", Image.fromarray(clear), {"lossless": True}),
        ("colour.avif", Image.fromarray(colour), {}),
        ("lzw.tif", Image.fromarray(colour), {"compression": "tiff_lzw"}),
        ("fax.tif", Image.fromarray(grey > 99), {"compression": "group4"}),
        ("jpeg.tif", Image.fromarray(colour), {"compression": "jpeg"}),
    ]
    paths = []
    for name, picture, options in plans:
        picture.save(folder / name, **options)
        paths.append(folder / name)
    deep = draw.integers(0, 60_000, (61, 83), np.uint16)
    for name, array, settings in (
        ("plain.tif", deep, {}),
        ("tiled.tif", colour, {"photometric": "rgb", "tile": (16, 16)}),
        ("big.tif", colour, {"photometric": "rgb", "bigtiff": True, "byteorder": ">"}),
        ("float.tif", deep.astype(np.float32), {"compression": "zlib"}),
        ("imagej.tif", np.stack([deep] * 3), {"imagej": True, "metadata": {"axes": "ZYX"}}),
        ("ome.tif", np.stack([deep] * 3), {"ome": True, "metadata": {"axes": "ZYX"}}),
    ):
        tifffile.imwrite(folder / name, array, **settings)
        paths.append(folder / name)
    return paths


def damage(content: bytes, name: str, dice: random.Random) -> tuple[str, bytes, str]:
    """Give what was done, the damaged content, and the name that it goes under."""
    kind = dice.choice(("cut", "bits", "zeros", "copy", "huge", "name"))
    data = bytearray(content)
    if kind == "cut":
        del data[dice.randrange(len(data)) :]
    elif kind == "bits":
        for _ in range(dice.choice((1, 4, 64))):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    elif kind == "zeros":
        start, length = dice.randrange(len(data)), dice.randrange(1, 200)
        data[start : start + length] = bytes(len(data[start : start + length]))
    elif kind == "copy":
        start, there, length = (dice.randrange(len(data)) for _ in range(3))
        data[there : there + length] = data[start : start + length]
    elif kind == "huge":
        for _ in range(dice.choice((1, 2, 8))):
            start = dice.randrange(min(len(data), 600))
            data[start : start + 4] = dice.choice((b"\xff\xff\xff\x7f", b"\xff" * 4, b"\0\0\4\0"))
    else:
        name = Path(name).stem + dice.choice(SUFFIXES)
    return kind, bytes(data), name


def work(model: str) -> None:
    """Denoise each file that is named on the standard input; say what came of it."""
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
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            outcome = f"fault: {type(error).__name__}: {error}"
        told = {"outcome": outcome, "seconds": time.perf_counter() - begun}
        print(json.dumps(told), flush=True)
    print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}), flush=True)


class Worker:
    """The process that does the work, and what it prints."""

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
        self.noise: queue.Queue[str] = queue.Queue()
        for stream, lines in (
            (self.process.stdout, self.lines),
            (self.process.stderr, self.noise),
        ):
            threading.Thread(target=self._listen, args=(stream, lines), daemon=True).start()

    def _listen(self, stream: IO[str], lines: queue.Queue[str]) -> None:
        for line in stream:
            lines.put(line)
        lines.put("")

    def tell(self, path: Path) -> dict[str, Any]:
        """Have a file denoised, and give what came of it."""
        assert self.process.stdin is not None
        print(path, file=self.process.stdin, flush=True)
        try:
            line = self.lines.get(timeout=LIMIT)
        except queue.Empty:
            self.process.kill()
            return {"outcome": "hang", "seconds": LIMIT, "over": True}
        if not line:
            said = "".join(iter(self.noise.get, ""))
            outcome = f"crash: {self.process.wait()}: {said}"
            return {"outcome": outcome, "seconds": 0.0, "over": True}
        told: dict[str, Any] = json.loads(line)
        return told

    def end(self) -> dict[str, Any]:
        """Let it finish, and give its peak memory and what it wrote to the standard error."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        peak: int = json.loads(self.lines.get(timeout=LIMIT))["peak"]
        said = list(iter(self.noise.get, ""))
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return {"peak": peak, "said": said}


def run(folder: Path, files: int, seed: int, keep: Path | None = None) -> dict[str, Any]:
    """Damage, denoise and count.

    Parameters
    ----------
    folder
        To work in.
    files, seed
        How many, and which.
    keep
        A folder for the files that went wrong.
    """
    dice = random.Random(seed)
    counts: dict[str, Counter[str]] = {}
    slowest, wrong = 0.0, []
    (folder / "clean").mkdir()
    sound = seeds(folder)
    model = _identity(folder / "same.onnx")
    worker = Worker(model)
    for index in range(files):
        whole = dice.choice(sound)
        kind, content, called = damage(whole.read_bytes(), whole.name, dice)
        path = folder / f"{index:05}-{called}"
        path.write_bytes(content)
        told = worker.tell(path)
        slowest = max(slowest, told["seconds"])
        outcome = told["outcome"].partition(":")[0]
        counts.setdefault(kind, Counter())[outcome] += 1
        if outcome in ("crash", "hang", "fault"):
            wrong.append(f"{path.name} ({kind}): {told['outcome']}")
            if keep:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / path.name).write_bytes(content)
        path.unlink()
        if told.get("over"):
            worker = Worker(model)
    last = worker.end()
    total = sum(counts.values(), Counter())
    return {
        "protocol": f"{files} damaged pictures from {len(sound)} sound ones, seed {seed}, through "
        "a model file that answers with its input; denoise_file, one after another in one process; "
        f"a hang is more than {LIMIT:g} s",
        "outcomes": dict(total.most_common()),
        "by_damage": {kind: dict(found.most_common()) for kind, found in sorted(counts.items())},
        "wrong": wrong,
        "half_written_files_left": sorted(
            path.name for path in (folder / "clean").iterdir() if path.name.startswith(".")
        ),
        "said_on_the_standard_error": last["said"],
        "slowest_seconds": round(slowest, 2),
        "peak_rss_mib": last["peak"] // 1024,
    }


def _identity(path: Path) -> Path:
    # The tests' own; not part of the package.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.helpers.model_files import identity

    return identity(path)


def main() -> None:
    """Do what is asked for: the measurement, or the work of the process that is watched."""
    if sys.argv[1:2] == [WORKER]:
        work(sys.argv[2])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the files that went wrong")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        write("mutations", run(Path(name), arguments.files, arguments.seed, arguments.keep))


if __name__ == "__main__":
    main()
