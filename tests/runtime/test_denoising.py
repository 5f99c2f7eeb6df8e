"""Files and arrays through a model: what changes, what does not, and what is refused."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import tifffile
from PIL import Image

from autodenoise import images, runtime
from autodenoise.errors import InputError, OutputError, UsageError
from tests.helpers.model_files import box_blur, gains, identity

Pixels = np.ndarray[Any, Any]
RANDOM = np.random.default_rng(3)


@pytest.fixture
def blur(tmp_path: Path) -> runtime.Model:
    return runtime.load(box_blur(tmp_path / "blur.onnx", multiple=1))


@pytest.fixture
def same(tmp_path: Path) -> runtime.Model:
    return runtime.load(identity(tmp_path / "same.onnx"))


def smoothed(pixels: Pixels, white: float) -> Pixels:
    """Take means of 3x3 in each band, zeros around, as SciPy does it."""
    size = (3, 3) + (1,) * (pixels.ndim - 2)
    mean: Pixels = scipy.ndimage.uniform_filter(pixels / white, size, mode="constant") * white
    return mean


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("mode", ["grey", "colour", "clear"])
def test_only_samples_are_changed(
    tmp_path: Path, blur: runtime.Model, suffix: str, dtype: type, mode: str
) -> None:
    bands = {"grey": 1, "colour": 3, "clear": 4}[mode]
    white = np.iinfo(dtype).max
    pixels: Pixels = RANDOM.integers(0, white + 1, (37, 53, bands), dtype)
    tifffile.imwrite(
        tmp_path / "a.tif",
        pixels if bands > 1 else pixels[..., 0],
        photometric="rgb" if bands > 1 else "minisblack",
        extrasamples=["unassalpha"] if bands == 4 else None,
    )
    source = tmp_path / "a.tif"
    if suffix != ".tif":
        runtime.denoise_file(
            blur, source, tmp_path / f"a{suffix}", runtime.DenoiseOptions(strength=0)
        )
        source = tmp_path / f"a{suffix}"
    result = runtime.denoise_file(blur, source, tmp_path / f"b{suffix}")
    assert (result.width, result.height, result.pages) == (53, 37, 1)
    picture = images.open_image(result.target)
    after = np.concatenate(list(picture.rows()))
    assert (after.shape, after.dtype) == (pixels.shape, pixels.dtype)
    colours = min(bands, 3)
    assert np.abs(after[..., :colours] - smoothed(pixels, white)[..., :colours]).max() < 0.6
    np.testing.assert_array_equal(after[..., colours:], pixels[..., colours:])


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_strength_zero_returns_the_samples(tmp_path: Path, blur: runtime.Model, name: str) -> None:
    source, target = tmp_path / name, tmp_path / f"b{name}"
    Image.fromarray(RANDOM.integers(0, 256, (20, 30, 3), np.uint8)).save(source)
    runtime.denoise_file(blur, source, target, runtime.DenoiseOptions(strength=0))
    assert target.read_bytes() == source.read_bytes()


def test_stack_is_denoised_plane_by_plane(tmp_path: Path, blur: runtime.Model) -> None:
    stack = RANDOM.integers(0, 60_000, (3, 2, 20, 30), np.uint16)
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    tifffile.imwrite(source, stack, imagej=True, metadata={"axes": "ZCYX", "unit": "um"})
    runtime.denoise_file(blur, source, target, runtime.DenoiseOptions(axes="ZCYX"))
    with tifffile.TiffFile(target) as after:
        assert after.series[0].axes == "ZCYX"
        assert after.imagej_metadata is not None
        assert after.imagej_metadata["unit"] == "um"
        clean = after.asarray()
    planes = np.stack([smoothed(plane, 65535) for plane in stack.reshape(6, 20, 30)])
    assert np.abs(clean - planes.reshape(stack.shape)).max() < 0.6
    np.testing.assert_array_equal(runtime.denoise(stack, blur, axes="ZCYX"), clean)
    np.testing.assert_array_equal(runtime.denoise(source, blur), clean.reshape(6, 20, 30))


def test_axes_group_channels(tmp_path: Path) -> None:
    colour = runtime.load(gains(tmp_path / "gains.onnx", (0.0, 0.0, 0.75)))
    pixels = RANDOM.integers(0, 256, (9, 7, 3), np.uint8)
    np.testing.assert_array_equal(runtime.denoise(pixels, colour, axes="YXS")[..., :2], 0)
    # By itself each channel is grey, and the mean of the three gains is a quarter.
    apart = runtime.denoise(pixels, colour, axes="YXC")
    np.testing.assert_allclose(apart, pixels / 4, atol=0.51)
    turned = runtime.denoise(pixels.transpose(2, 1, 0), colour, axes="CXY")
    np.testing.assert_array_equal(turned, apart.transpose(2, 1, 0))
    images.write(tmp_path / "a.png", pixels)
    for axes in ("YXC", "yxc"):
        options = runtime.DenoiseOptions(axes=axes)
        runtime.denoise_file(
            colour, tmp_path / "a.png", tmp_path / "b.png", options, overwrite=True
        )
        np.testing.assert_array_equal(images.read(tmp_path / "b.png"), apart)


def test_axes_that_do_not_match_raise(tmp_path: Path, same: runtime.Model) -> None:
    stack = np.zeros((3, 8, 9), np.uint8)
    for axes in ("ZZX", "ZX", "Z1X", ""):
        with pytest.raises(UsageError, match="one different letter for each dimension"):
            runtime.denoise(stack, same, axes=axes)
    with pytest.raises(UsageError, match="name 4 dimensions, the array has 3"):
        runtime.denoise(stack, same, axes="TZYX")
    with pytest.raises(UsageError, match="is ambiguous"):
        runtime.denoise(stack[None], same)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    for axes in ("YX", "YXZ", "ZXY"):
        options = runtime.DenoiseOptions(axes=axes)
        with pytest.raises(UsageError, match="do not describe"):
            runtime.denoise_file(same, tmp_path / "a.tif", tmp_path / "b.tif", options)
    assert not (tmp_path / "b.tif").exists()


def test_floats_need_an_intensity_range(tmp_path: Path, blur: runtime.Model) -> None:
    field = RANDOM.uniform(-2, 5, (20, 30)).astype(np.float32)
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    tifffile.imwrite(source, field)
    with pytest.raises(InputError, match=r"float32 samples of unknown intensity range.*--range"):
        runtime.denoise_file(blur, source, target)
    options = runtime.DenoiseOptions(intensity_range=images.IntensityRange(-2, 5))
    runtime.denoise_file(blur, source, target, options)
    expected = smoothed((field + 2) / 7, 1) * 7 - 2
    np.testing.assert_allclose(tifffile.imread(target), expected, atol=1e-5)
    field[3, 4] = np.nan
    tifffile.imwrite(source, field)
    with pytest.raises(InputError, match=r"1 samples .* NaN or infinite, the first at row 3"):
        runtime.denoise_file(blur, source, target, options, overwrite=True)
    np.testing.assert_allclose(tifffile.imread(target), expected, atol=1e-5)


def test_floats_use_the_range_of_the_model(tmp_path: Path) -> None:
    half = runtime.load(gains(tmp_path / "gains.onnx", (0.5,)))
    half.card = dataclasses.replace(half.card, range=(-100.0, 300.0))
    for dtype in (np.float32, np.int16):
        field = RANDOM.uniform(-100, 300, (20, 30)).astype(dtype)
        tifffile.imwrite(tmp_path / "a.tif", field)
        runtime.denoise_file(half, tmp_path / "a.tif", tmp_path / "b.tif", overwrite=True)
        expected = (field.astype(np.float64) + 100) / 2 - 100
        np.testing.assert_allclose(tifffile.imread(tmp_path / "b.tif"), expected, atol=0.51)
        np.testing.assert_allclose(half(field), expected, atol=0.51)
    # Whoever knows better says so, and so may the file; samples of 8 and 16 bits have a range.
    ten = RANDOM.uniform(0, 10, (20, 30)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", ten)
    options = runtime.DenoiseOptions(intensity_range=images.IntensityRange(0, 10))
    runtime.denoise_file(half, tmp_path / "a.tif", tmp_path / "b.tif", options, overwrite=True)
    np.testing.assert_allclose(tifffile.imread(tmp_path / "b.tif"), ten / 2, atol=1e-5)
    declared = [(340, "f", 1, 0.0, True), (341, "f", 1, 10.0, True)]
    tifffile.imwrite(tmp_path / "a.tif", ten, extratags=declared)
    runtime.denoise_file(half, tmp_path / "a.tif", tmp_path / "b.tif", overwrite=True)
    np.testing.assert_allclose(tifffile.imread(tmp_path / "b.tif"), ten / 2, atol=1e-5)
    pixels = RANDOM.integers(0, 256, (20, 30), np.uint8)
    np.testing.assert_allclose(half(pixels), pixels / 2, atol=0.51)


def test_twelve_bits_in_sixteen(tmp_path: Path) -> None:
    half = runtime.load(gains(tmp_path / "gains.onnx", (0.5,)))
    pixels = RANDOM.integers(0, 4096, (20, 30), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    options = runtime.DenoiseOptions(intensity_range=images.IntensityRange(0, 4095))
    runtime.denoise_file(half, tmp_path / "a.tif", tmp_path / "b.tif", options)
    np.testing.assert_allclose(tifffile.imread(tmp_path / "b.tif"), pixels / 2, atol=0.51)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_range_of_an_inverted_image_is_in_its_samples(tmp_path: Path, dtype: type) -> None:
    halved = runtime.load(gains(tmp_path / "gains.onnx", (0.5,)))
    most = np.iinfo(dtype).max
    # Black is 200 and white 0.
    pixels: Pixels = RANDOM.integers(0, 201, (20, 30), np.uint8).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
    options = runtime.DenoiseOptions(intensity_range=images.IntensityRange(0, 200))
    runtime.denoise_file(halved, tmp_path / "a.tif", tmp_path / "b.tif", options)
    expected = most - 200 + (200 - pixels.astype(np.float64)) / 2
    after = tifffile.imread(tmp_path / "b.tif").astype(np.float64)
    # A float32 tells numbers of 32 bits apart by 256 and more.
    assert np.abs(after - expected).max() <= max(0.51, most / 2**24)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_inverted_image_that_cannot_be_written_back_is_refused(
    tmp_path: Path, dtype: type, same: runtime.Model
) -> None:
    zeros: Pixels = np.zeros((8, 8), dtype)
    tifffile.imwrite(tmp_path / "a.tif", zeros, photometric="miniswhite")
    with pytest.raises(InputError, match="save it as MinIsBlack"):
        runtime.denoise_file(same, tmp_path / "a.tif", tmp_path / "b.tif")


def test_replaced_file_is_read_again(tmp_path: Path, same: runtime.Model) -> None:
    path, upside_down = tmp_path / "a.jpg", Image.Exif()
    upside_down[0x0112] = 3
    for value, size in ((40, (16, 8)), (200, (16, 8)), (90, (24, 32))):
        Image.new("L", size, value).save(path, exif=upside_down)
        answer = runtime.denoise(path, same)
        assert answer.shape == size[::-1]
        assert np.abs(answer.astype(int) - value).max() <= 1


def test_image_larger_than_memory(tmp_path: Path, blur: runtime.Model) -> None:
    pixels = RANDOM.integers(0, 256, (700, 900, 3), np.uint8)
    images.write(tmp_path / "a.tif", pixels)
    little = runtime.DenoiseOptions(memory=4 << 20)
    seen = runtime.preview(blur, tmp_path / "a.tif", little)
    assert seen.plan.tiles > 4
    # A model of one channel is fed each colour.
    assert seen.input_pixels == 3 * seen.plan.input_pixels
    assert runtime.pace(blur, seen.plan) > 0
    told: list[tuple[int, int]] = []
    runtime.denoise_file(
        blur, tmp_path / "a.tif", tmp_path / "b.tif", little, progress=lambda *n: told.append(n)
    )
    after = images.read(tmp_path / "b.tif")
    assert np.abs(after - smoothed(pixels, 255)).max() < 0.6
    assert told[-1] == (630_000, 630_000)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_image_is_upright_in_python(tmp_path: Path, same: runtime.Model) -> None:
    pixels = RANDOM.integers(0, 256, (5, 8, 3), np.uint8)
    tags = Image.Exif()
    tags[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=tags)
    np.testing.assert_array_equal(runtime.denoise(tmp_path / "a.png", same), np.rot90(pixels, -1))


def test_source_and_other_files_are_not_overwritten(tmp_path: Path, same: runtime.Model) -> None:
    source = tmp_path / "a.png"
    Image.new("L", (8, 8), 99).save(source)
    before = source.read_bytes()
    with pytest.raises(OutputError, match="is the input itself"):
        runtime.denoise_file(same, source, source, overwrite=True)
    (tmp_path / "link.png").hardlink_to(source)
    with pytest.raises(OutputError, match="is the input itself"):
        runtime.denoise_file(same, source, tmp_path / "link.png", overwrite=True)
    (tmp_path / "b.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        runtime.denoise_file(same, source, tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes() == b"mine"
    assert source.read_bytes() == before


def _fail(*_: int) -> None:
    raise ZeroDivisionError


def test_exception_in_progress_stops_denoising(tmp_path: Path, same: runtime.Model) -> None:
    Image.new("L", (80, 80), 99).save(tmp_path / "a.png")

    with pytest.raises(ZeroDivisionError):
        runtime.denoise_file(same, tmp_path / "a.png", tmp_path / "b.png", progress=_fail)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "same.onnx"]


PROGRAM = """
import os, signal, sys
from pathlib import Path
from autodenoise import runtime
from autodenoise.errors import Interrupted

# A job in the background of a script is started with it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def press(done, total):
    os.kill(os.getpid(), int(sys.argv[1]))

folder = Path(sys.argv[2])
try:
    runtime.denoise_file(
        runtime.load(folder / "same.onnx"), folder / "a.tif", folder / "b.tif", progress=press
    )
except Interrupted as error:
    sys.exit(str(error))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.usefixtures("same")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_stopped_process_leaves_no_file(tmp_path: Path, sent: signal.Signals) -> None:
    images.write(tmp_path / "a.tif", np.zeros((3000, 500, 1), np.uint8))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(sent.value), str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert not (tmp_path / "b.tif").exists()
    if sent == signal.SIGINT:
        assert done.stderr.startswith("stopped; nothing was written to")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "same.onnx"]
    else:
        assert done.returncode == -signal.SIGKILL
