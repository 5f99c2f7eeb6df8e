"""Measure speed, time per step and memory of denoising.

    pip install -c constraints.txt -e '.[dev]'
    python benchmarks/denoising.py photo       # a 12-megapixel JPEG, next to OpenCV; cold start
    python benchmarks/denoising.py photo --model A --model B    # compare models
    python benchmarks/denoising.py gigapixel   # needs 6 GB of disk

Models are named as for ``autodenoise denoise``. The default is the network ``unet`` in size
``fast`` (0.42 M parameters) with random weights, which take as long as trained ones.
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
from autodenoise.runtime.session import onnxruntime
from autodenoise.runtime.tiling import denoise_rows

HEIGHT, WIDTH = 3000, 4000
ROUNDS = 5
OPENCV = """
import sys, cv2
image = cv2.imread(sys.argv[1])
cv2.imwrite(sys.argv[2], cv2.fastNlMeansDenoisingColored(image, None, 10, 10, 7, 21))
"""

LAUNCHER = """
import json, os, subprocess, sys, time
begun = time.perf_counter()
running = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(running.pid, 0)
print(json.dumps([time.perf_counter() - begun, usage.ru_maxrss]))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def noisy_image(height: int, width: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Draw smooth shapes and edges with noise of sigma 15."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    clean = np.empty((height, width, 3), np.float32)
    for channel in range(3):
        waves = np.sin(rows / (90 + 20 * channel)) + np.cos(columns / (70 + 30 * channel))
        clean[:, :, channel] = 110 + 40 * waves + 25 * np.sign(np.sin((rows + columns) / 300))
    noisy = clean + random.normal(0, 15, clean.shape).astype(np.float32)
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
    """Run a command; return its wall time in seconds and its peak memory in MiB."""
    # Peak memory includes that of the parent at the fork, so a small process starts the command.
    result = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCHER, *map(str, command)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    took, peak = json.loads(result.stdout)
    return took, peak / 1024


def denoise(model: Path, source: Path, target: Path) -> tuple[float, float]:
    """Denoise one file by the command line; return wall time and peak memory."""
    target.unlink(missing_ok=True)
    autodenoise = (sys.executable, "-m", "autodenoise", "denoise")
    return process(*autodenoise, source, "-o", target, "--model", model)


def spread(values: list[float], digits: int = 2) -> dict[str, Any]:
    """Return the median and all values, rounded."""
    return {
        "median": round(statistics.median(values), digits),
        "all": [round(value, digits) for value in values],
    }


def ratios(one: list[float], other: list[float]) -> list[float]:
    """Divide times round by round."""
    return [first / second for first, second in zip(one, other, strict=True)]


def seconds(work: Callable[[], object]) -> float:
    """Return the shortest of three times, the one least affected by other load."""
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def breakdown(model: Path, source: Path, folder: Path) -> dict[str, Any]:
    """Time each step of denoising a file separately, in this process."""
    denoiser = runtime.load(model)
    opened = images.open_image(source)
    rows = list(opened.rows())
    plan = runtime.preview(denoiser, source).plan
    network = plan.input_pixels * min(runtime.pace(denoiser, plan) for _ in range(3))

    def encode() -> None:
        with images.row_writer(opened, folder / "again.jpg") as put:
            for chunk in rows:
                put(chunk)

    def tile_and_stitch() -> None:
        for _ in denoise_rows(
            _IdentityModel(denoiser),
            plan,
            rows,
            intensity_range=images.IntensityRange(0, 255),
            strength=1,
            channels=3,
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
            network * (1 - plan.height * plan.width / plan.input_pixels), 3
        ),
        "scaling_and_layout_seconds": round(seconds(tile_and_stitch), 3),
        "encode_seconds": round(seconds(encode), 3),
        "tiles": plan.tiles,
        "tile": list(plan.tile),
        **threads,
    }


def opened_rows(source: Path) -> list[Any]:
    """Return the decoded rows of a file."""
    return list(images.open_image(source).rows())


class _IdentityModel(runtime.Model):
    """A model whose output is a copy of its input, in the layout of a network's output."""

    def __init__(self, model: runtime.Model) -> None:
        self.card, self.path = model.card, model.path
        self._session, self._input = _IdentitySession(), "noisy"


class _IdentitySession:
    def run(self, _: None, inputs: dict[str, Any]) -> list[Any]:
        return [inputs["noisy"].copy()]


def photo(folder: Path, models: list[Path]) -> None:
    """Time a photo, next to OpenCV's non-local means, and a small image."""
    samples = noisy_image(HEIGHT, WIDTH)
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

    def measurements(model: Path) -> dict[str, Any]:
        card = runtime.load(model).card
        times, first = ([took for took, _ in ours[each]] for each in (model, models[0]))
        nlmeans = [took for took, _ in theirs]
        return {
            "precision": card.precision,
            "megapixels_per_second": spread([megapixels / took for took in times]),
            "times_faster_than_opencv": spread(ratios(nlmeans, times), 1),
            f"times_faster_than_{runtime.load(models[0]).card.name}": spread(ratios(first, times)),
            "peak_rss_mib": round(max(peak for _, peak in ours[model])),
            "cold_start_512_png_seconds": spread([took for took, _ in starts[model]]),
            "cold_start_peak_rss_mib": round(max(peak for _, peak in starts[model])),
            "parts_of_the_photo": breakdown(model, big, folder),
        }

    result = {
        "protocol": f"whole processes, from start to end; {ROUNDS} interleaved rounds, warm "
        f"caches; a JPEG of {WIDTH}x{HEIGHT} pixels, quality 92, and a 512x512 crop of it as PNG; "
        "steps are timed separately in one process, shortest of three times",
        "opencv": metadata.version("opencv-python-headless"),
        "opencv_nlmeans_megapixels_per_second": spread([megapixels / took for took, _ in theirs]),
        "opencv_peak_rss_mib": round(max(peak for _, peak in theirs)),
        "models": {runtime.load(model).card.name: measurements(model) for model in models},
    }
    write("denoising-photo", result)


def gigapixel(folder: Path, model: Path) -> None:
    """Denoise a TIFF of 40,000 x 25,000 pixels, and photos before and after for comparison."""
    height, width, band = 25_000, 40_000, 500
    big, photo_file = folder / "big.tif", folder / "photo.jpg"
    samples = noisy_image(band, width)
    pyvips.Image.new_from_array(noisy_image(HEIGHT, WIDTH)).write_to_file(str(photo_file), Q=92)
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
    """Run the chosen measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["photo", "gigapixel"])
    parser.add_argument("--model", action="append", type=runtime.find_model)
    options = parser.parse_args()
    if options.what == "gigapixel" and options.model and len(options.model) > 1:
        parser.error("gigapixel takes one model")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = options.model or [model_file(folder)]
        if options.what == "photo":
            photo(folder, models)
        else:
            gigapixel(folder, models[0])


if __name__ == "__main__":
    main()
