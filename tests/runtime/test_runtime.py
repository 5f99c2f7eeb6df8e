from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autodenoise import images, runtime
from autodenoise.errors import InputError, OutputError, UsageError
from tests.helpers.model_files import box_blur, identity


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (8, 4, 1), (1, 1)])
def test_output_has_shape_and_dtype_of_the_input_which_is_unchanged(
    tmp_path: Path, dtype: type, shape: tuple[int, ...]
) -> None:
    model = runtime.load(box_blur(tmp_path / "box.onnx"))
    image: np.ndarray[Any, Any] = np.random.default_rng(0).random(shape)
    if np.issubdtype(dtype, np.integer):
        image = image * np.iinfo(dtype).max
    image = image.astype(dtype)
    original = image.copy()
    clean = model(image)
    assert (clean.shape, clean.dtype) == (image.shape, image.dtype)
    np.testing.assert_array_equal(image, original)


def test_repr_describes_the_model(tmp_path: Path) -> None:
    model = runtime.load(box_blur(tmp_path / "box.onnx", channels=3))
    assert repr(model) == "<Model box: RGB, box, 9 parameters>"
    shipped = repr(runtime.load("photo-fast-gray-int8"))
    assert shipped.startswith("<Model photo-fast-gray-int8: gray, unet, ")
    assert ", int8, license: trained on BSDS500" in shipped


def test_image_is_padded_by_reflection_and_cropped(tmp_path: Path) -> None:
    model = runtime.load(box_blur(tmp_path / "box.onnx", multiple=8))
    image = np.random.default_rng(0).random((13, 10), np.float32)
    extended = np.pad(image, ((0, 3), (0, 6)), mode="reflect")
    np.testing.assert_allclose(model(image), model(extended)[:13, :10], atol=1e-6)


def test_images_that_do_not_fit_the_model_are_errors(tmp_path: Path) -> None:
    fixed = runtime.load(box_blur(tmp_path / "a.onnx", size=(28, 28)))
    with pytest.raises(InputError, match="accepts images of 28x28 pixels, this one has 30x29"):
        fixed(np.zeros((29, 30), np.uint8))
    with pytest.raises(InputError, match=r"takes 1 channel\(s\), the image has 3"):
        fixed.batch(np.zeros((1, 28, 28, 3), np.float32))
    with pytest.raises(InputError, match="expected an image"):
        fixed(np.zeros((2, 28, 28, 1), np.float32))
    with pytest.raises(InputError, match="expected an image"):
        fixed(np.zeros((0, 28), np.float32))
    with pytest.raises(InputError, match="expected uint8, uint16 or float"):
        fixed(np.zeros((28, 28), np.int32))


def test_unknown_intensity_range_is_an_error(tmp_path: Path) -> None:
    same = runtime.load(identity(tmp_path / "same.onnx"))
    counts = np.array([[0, 100, 4095]], np.int32)
    with pytest.raises(InputError, match=r"got int32; for other types pass intensity_range="):
        same(counts)
    np.testing.assert_array_equal(
        same.denoise(counts, intensity_range=images.IntensityRange(0, 4095)), counts
    )
    with pytest.raises(InputError, match=r"values from 0 to 4095; pass intensity_range="):
        same(counts.astype(np.float32))
    noisy = np.array([[-0.9, 0.5, 1.9]])
    np.testing.assert_array_equal(same(noisy), [[0, 0.5, 1]])


def test_strength_0_returns_a_copy(tmp_path: Path) -> None:
    same = runtime.load(identity(tmp_path / "same.onnx"))
    noisy = np.array([[-0.9, 0.5, 1.9]])
    copy = same.denoise(noisy, strength=0)
    np.testing.assert_array_equal(copy, noisy)
    assert not np.shares_memory(copy, noisy)
    with pytest.raises(UsageError, match="got 2"):
        same.denoise(noisy, strength=2)


def test_arrays_are_tiled_to_fit_the_memory_limit(tmp_path: Path) -> None:
    blur = runtime.load(box_blur(tmp_path / "box.onnx"))
    image = np.random.default_rng(0).random((90, 110), np.float32)
    tiled = blur.denoise(image, memory=2_000_000)
    np.testing.assert_allclose(tiled, blur(image), atol=1e-6)
    with pytest.raises(InputError, match="the limit is 0 MiB; raise it with --memory"):
        blur.denoise(image, memory=10_000)


@pytest.mark.parametrize("content", [b"", b"no model", None])
def test_damaged_model_files_are_input_errors(tmp_path: Path, content: bytes | None) -> None:
    path = box_blur(tmp_path / "a.onnx")
    path.write_bytes(path.read_bytes()[:-40] if content is None else content)
    with pytest.raises(InputError):
        runtime.load(path)
    with pytest.raises(InputError, match="no such model"):
        runtime.load(tmp_path / "missing.onnx")


def test_denoise_file_does_not_overwrite(tmp_path: Path) -> None:
    model = runtime.load(box_blur(tmp_path / "box.onnx", channels=3))
    pixels = np.random.default_rng(0).integers(0, 65536, (10, 11, 3), np.uint16)
    images.write(tmp_path / "noisy.png", pixels)
    runtime.denoise_file(model, tmp_path / "noisy.png", tmp_path / "clean.png")
    np.testing.assert_array_equal(images.read(tmp_path / "clean.png"), model(pixels))
    before = (tmp_path / "clean.png").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        runtime.denoise_file(model, tmp_path / "noisy.png", tmp_path / "clean.png")
    assert (tmp_path / "clean.png").read_bytes() == before


def test_denoising_works_without_the_train_extra(tmp_path: Path) -> None:
    box_blur(tmp_path / "box.onnx")
    images.write(tmp_path / "a.png", np.zeros((8, 8, 1), np.uint8))
    program = (
        "import sys\n"
        "heavy = ('torch', 'matplotlib', 'sklearn', 'scipy', 'onnx', 'safetensors')\n"
        "for name in heavy: sys.modules[name] = None\n"
        "sys.argv[0] = 'autodenoise'\n"
        "from autodenoise.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, "denoise", "a.png", "-o", "b.png"]
    done = subprocess.run(
        [*command, "--model", "box.onnx"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "b.png").exists()
    # Commands that need the extra say how to install it.
    missing = subprocess.run(
        [sys.executable, "-c", program, "train", "digits"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert missing.returncode == 2
    assert "pip install 'autodenoise[train]'" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_onnx_runtime_has_no_telemetry_and_leaves_no_files(tmp_path: Path) -> None:
    box_blur(tmp_path / "box.onnx")
    places = {"HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"}
    for name in places:
        (tmp_path / name).mkdir()
    # With telemetry, ONNX Runtime writes a file into the temporary folder, except if it finds the
    # environment variables of a CI system.
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")}
    program = (
        "import numpy, autodenoise\n"
        "autodenoise.load('box.onnx')(numpy.zeros((8, 8), numpy.float32))\n"
        "import os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**clean, **{name: str(tmp_path / name) for name in places}},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert not [path for name in places for path in (tmp_path / name).rglob("*")]
