"""How fast pictures are denoised, where the time goes, and how much memory it takes.

    pip install -c constraints.txt -e '.[dev]'
    python benchmarks/denoising.py photo       # a 12-megapixel JPEG, beside OpenCV; a cold start
    python benchmarks/denoising.py photo --model A --model B    # models beside each other
    python benchmarks/denoising.py gigapixel   # needs 6 GB of disk

Models are named as for ``autodenoise denoise``. Without any it is the U-Net ``unet`` in its size
``fast`` with random weights, 0.42 M parameters: which numbers the weights are costs no time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
import torch
from _results import write

from autodenoise import images, nets, runtime
from autodenoise.export.to_onnx import export
from autodenoise.images.streaming import RowStream
from autodenoise.runtime.engine import onnxruntime
from autodenoise.runtime.tiling import denoise_rows

HEIGHT, WIDTH = 3000, 4000
ROUNDS = 5
OPENCV = """
import sys, cv2
picture = cv2.imread(sys.argv[1])
cv2.imwrite(sys.argv[2], cv2.fastNlMeansDenoisingColored(picture, None, 10, 10, 7, 21))
"""

LAUNCHER = """
import json, os, subprocess, sys, time
begun = time.perf_counter()
running = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(running.pid, 0)
print(json.dumps([time.perf_counter() - begun, usage.ru_maxrss]))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def picture(height: int, width: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Draw soft shapes and edges under noise of a standard deviation of 15."""
    draw = np.random.default_rng(0)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    clean = np.empty((height, width, 3), np.float32)
    for colour in range(3):
        waves = np.sin(rows / (90 + 20 * colour)) + np.cos(columns / (70 + 30 * colour))
        clean[:, :, colour] = 110 + 40 * waves + 25 * np.sign(np.sin((rows + columns) / 300))
    noisy = clean + draw.normal(0, 15, clean.shape).astype(np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def model_file(folder: Path) -> Path:
    """Export the network with random weights."""
    network = nets.build("unet", {"channels": 3}, torch.Generator().manual_seed(0))
    card = runtime.Card(
        name="fast-random",
        network="unet",
        channels=3,
        parameters=nets.parameter_count(network),
        size_multiple=network.multiple or 1,
        halo=nets.halo(network),
    )
    export(network, card, folder / "fast.onnx")
    return folder / "fast.onnx"


def process(*command: str | Path) -> tuple[float, float]:
    """Run a command; give its seconds from start to end, and its peak memory in MiB."""
    # A process counts the memory of the one that it was forked from, so a small one stands between.
    told = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCHER, *map(str, command)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    took, peak = json.loads(told.stdout)
    return took, peak / 1024


def denoise(model: Path, source: Path, target: Path) -> tuple[float, float]:
    """Run the command line on one file."""
    target.unlink(missing_ok=True)
    autodenoise = (sys.executable, "-m", "autodenoise", "denoise")
    return process(*autodenoise, source, "-o", target, "--model", model)


def spread(values: list[float], digits: int = 2) -> dict[str, Any]:
    """Give the median and all values."""
    return {
        "median": round(statistics.median(values), digits),
        "all": [round(value, digits) for value in values],
    }


def ratios(one: list[float], other: list[float]) -> list[float]:
    """Divide the times of one by those of another, round by round."""
    return [first / second for first, second in zip(one, other, strict=True)]


def seconds(work: Callable[[], object]) -> float:
    """Give the least of three times; the others are the machine's."""
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def breakdown(model: Path, source: Path, folder: Path) -> dict[str, Any]:
    """Time each part of a file's way by itself, in this process."""
    denoiser = runtime.load(model)
    opened = images.open_image(source)
    rows = list(opened.rows())
    plan = runtime.preview(denoiser, source).plan
    network = plan.fed_pixels * min(runtime.pace(denoiser, plan) for _ in range(3))

    def encode() -> None:
        with images.row_writer(opened, folder / "again.jpg") as put:
            for chunk in rows:
                put(chunk)

    def without_the_network() -> None:
        for _ in denoise_rows(
            _Copies(denoiser),
            plan,
            rows,
            intensity_range=images.IntensityRange(0, 255),
            strength=1,
            colours=3,
        ):
            pass

    tile = np.random.default_rng(0).random((1, 3, *plan.tile), np.float32)
    threads = {}
    for count in (1, 2):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = count
        session = onnxruntime.InferenceSession(str(model), options)
        took = seconds(partial(session.run, None, {"noisy": tile}))
        threads[f"tile_seconds_with_{count}_threads"] = round(took, 3)
    return {
        "decode_seconds": round(seconds(lambda: list(opened_rows(source))), 3),
        "network_seconds": round(network, 3),
        "of_these_for_the_halo": round(
            network * (1 - plan.height * plan.width / plan.fed_pixels), 3
        ),
        "scaling_and_layout_seconds": round(seconds(without_the_network), 3),
        "encode_seconds": round(seconds(encode), 3),
        "tiles": plan.tiles,
        "tile": list(plan.tile),
        **threads,
    }


def opened_rows(source: Path) -> list[Any]:
    """Decode a file."""
    return list(images.open_image(source).rows())


class _Copies(runtime.Model):
    """A model that gives back what it is given, laid out as the network's answer is."""

    def __init__(self, model: runtime.Model) -> None:
        self.card, self.path = model.card, model.path
        self._session, self._input = _Same(), "noisy"


class _Same:
    def run(self, _: None, inputs: dict[str, Any]) -> list[Any]:
        return [inputs["noisy"].copy()]


def photo(folder: Path, models: list[Path]) -> None:
    """Time a photo, beside OpenCV's non-local means, and a small picture."""
    samples = picture(HEIGHT, WIDTH)
    big, small = folder / "photo.jpg", folder / "small.png"
    pyvips.Image.new_from_array(samples).write_to_file(str(big), Q=92)
    images.write(small, np.ascontiguousarray(samples[:512, :512]))
    opencv = (sys.executable, "-c", OPENCV, big, folder / "opencv.jpg")
    starts: dict[Path, list[tuple[float, float]]] = {model: [] for model in models}
    ours: dict[Path, list[tuple[float, float]]] = {model: [] for model in models}
    theirs = []
    denoise(models[0], small, folder / "clean.png")
    for _ in range(ROUNDS):
        for model in models:
            starts[model].append(denoise(model, small, folder / "clean.png"))
            ours[model].append(denoise(model, big, folder / "clean.jpg"))
        theirs.append(process(*opencv))
    megapixels = HEIGHT * WIDTH / 1e6

    def of_one(model: Path) -> dict[str, Any]:
        card = runtime.load(model).card
        own, first = ([took for took, _ in ours[each]] for each in (model, models[0]))
        nlmeans = [took for took, _ in theirs]
        return {
            "precision": card.precision,
            "megapixels_per_second": spread([megapixels / took for took in own]),
            "times_faster_than_opencv": spread(ratios(nlmeans, own), 1),
            f"times_faster_than_{runtime.load(models[0]).card.name}": spread(ratios(first, own)),
            "peak_rss_mib": round(max(peak for _, peak in ours[model])),
            "cold_start_512_png_seconds": spread([took for took, _ in starts[model]]),
            "cold_start_peak_rss_mib": round(max(peak for _, peak in starts[model])),
            "parts_of_the_photo": breakdown(model, big, folder),
        }

    result = {
        "protocol": f"whole processes, from start to end; {ROUNDS} interleaved rounds, caches "
        f"warm; a JPEG of {WIDTH}x{HEIGHT}, quality 92, and a PNG of 512x512 cut from it; the "
        "parts are timed alone in one process, the least of three times",
        "opencv": metadata.version("opencv-python-headless"),
        "opencv_nlmeans_megapixels_per_second": spread([megapixels / took for took, _ in theirs]),
        "opencv_peak_rss_mib": round(max(peak for _, peak in theirs)),
        "models": {runtime.load(model).card.name: of_one(model) for model in models},
    }
    write("denoising-photo", result)


def gigapixel(folder: Path, model: Path) -> None:
    """Denoise a TIFF of 40,000 x 25,000, and photos before and after it for comparison."""
    height, width, band = 25_000, 40_000, 500
    big, photo_file = folder / "big.tif", folder / "photo.jpg"
    samples = picture(band, width)
    pyvips.Image.new_from_array(picture(HEIGHT, WIDTH)).write_to_file(str(photo_file), Q=92)
    stream = RowStream(width, height, 3, np.dtype(np.uint8))

    def feed() -> None:
        for index in range(height // band):
            stream.put(np.roll(samples, 997 * index, 1))
        stream.end()

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        stream.image().tiffsave(str(big), tile=True, tile_width=256, tile_height=256)
    finally:
        stream.close()
        feeder.join()

    def photo_rates() -> list[float]:
        times = [denoise(model, photo_file, folder / "clean.jpg")[0] for _ in range(3)]
        return [HEIGHT * WIDTH / 1e6 / took for took in times]

    rates = photo_rates()
    took, peak = denoise(model, big, folder / "clean.tif")
    rates += photo_rates()
    after = pyvips.Image.new_from_file(str(folder / "clean.tif"))
    rate = height * width / 1e6 / took
    result = {
        "protocol": f"whole processes; an uncompressed, tiled RGB TIFF of {width}x{height}, once; "
        f"a JPEG of {WIDTH}x{HEIGHT} three times before and three times after it",
        "gigabytes": round(big.stat().st_size / 1e9, 2),
        "size_of_the_result": [after.width, after.height, after.bands],
        "minutes": round(took / 60, 2),
        "megapixels_per_second": round(rate, 2),
        "photo_megapixels_per_second": spread(rates),
        "ratio_to_the_photo": round(rate / statistics.median(rates), 3),
        "peak_rss_mib": round(peak),
    }
    write("denoising-gigapixel", result)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["photo", "gigapixel"])
    parser.add_argument("--model", action="append", type=runtime.find)
    asked = parser.parse_args()
    if asked.what == "gigapixel" and asked.model and len(asked.model) > 1:
        parser.error("gigapixel takes one model")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = asked.model or [model_file(folder)]
        if asked.what == "photo":
            photo(folder, models)
        else:
            gigapixel(folder, models[0])


if __name__ == "__main__":
    main()
