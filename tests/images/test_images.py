from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.io
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from autodenoise.errors import InputError, OutputError
from autodenoise.images import IntensityRange, encode_png, from_float, read, to_float, write

Pixels = np.ndarray[Any, Any]


@given(arrays(st.sampled_from([np.uint8, np.uint16]), (3, 4, 1)))
def test_scaling_round_trip_is_exact(pixels: Pixels) -> None:
    scaled = to_float(pixels)
    assert scaled.dtype == np.float32
    assert scaled.min() >= 0
    assert scaled.max() <= 1
    np.testing.assert_array_equal(from_float(scaled, pixels.dtype), pixels)


def test_scale_depends_on_dtype_not_content() -> None:
    dark = np.array([[[0], [1]]])
    assert to_float(dark.astype(np.uint8)).max() == np.float32(1 / 255)
    assert to_float(dark.astype(np.uint16)).max() == np.float32(1 / 65535)
    assert to_float(dark.astype(np.float64)).max() == 1


def test_deprecated_range_constructor_warns() -> None:
    with pytest.warns(DeprecationWarning, match="for_dtype"):
        assert IntensityRange.of(np.dtype(np.uint8)) == IntensityRange(0, 255)


def test_out_of_range_values_are_clipped() -> None:
    image = np.array([-0.5, 0.0, 0.5, 1.0, 1.5], np.float32)
    np.testing.assert_array_equal(from_float(image, np.dtype(np.uint8)), [0, 0, 128, 255, 255])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_written_files_are_read_back_by_skimage(
    tmp_path: Path, suffix: str, dtype: type, channels: int
) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, np.iinfo(dtype).max + 1, (7, 5, channels), dtype)
    path = tmp_path / f"a{suffix}"
    write(path, pixels)
    np.testing.assert_array_equal(read(path), pixels)
    assert list(tmp_path.iterdir()) == [path]
    if suffix == ".png" and path.read_bytes()[24] == 16 and channels == 3:
        return  # Pillow, behind scikit-image, opens these as 8 bits
    theirs = skimage.io.imread(path)
    assert theirs.dtype == dtype
    np.testing.assert_array_equal(theirs.reshape(pixels.shape), pixels)


def test_reads_files_written_by_pillow(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png"), pixels)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "CMYK"])
def test_read_rejects_other_channels(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.new(mode, (4, 4)).save(path)
    with pytest.raises(InputError, match="channels of uint8; expected gray or RGB"):
        read(path)


def test_one_pixel(tmp_path: Path) -> None:
    Image.new("L", (1, 1), 7).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png").tolist() == [[[7]]]


def test_read_applies_exif_orientation(tmp_path: Path) -> None:
    image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    tags = Image.Exif()
    tags[0x0112] = 6  # turn a quarter clockwise to view
    image.save(tmp_path / "a.png", exif=tags)
    np.testing.assert_array_equal(read(tmp_path / "a.png")[..., 0], [[3, 0], [4, 1], [5, 2]])


def test_read_rejects_several_pages(tmp_path: Path) -> None:
    page = Image.new("L", (4, 4))
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page, page])
    with pytest.raises(InputError, match="has 3 pages"):
        read(tmp_path / "a.tif")


def test_damaged_files_raise_input_error(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    whole = path.read_bytes()
    for damaged in (b"", whole[:20], whole[: len(whole) // 2], b"not an image"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"cannot read|damaged or cut off"):
            read(path)
    with pytest.raises(InputError, match="no such image"):
        read(tmp_path / "missing.png")
    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path)


def test_write_rejects_before_creating_a_file(tmp_path: Path) -> None:
    deep, shallow = np.zeros((4, 4, 1), np.uint16), np.zeros((4, 4, 1), np.uint8)
    with pytest.raises(OutputError, match="cannot tell the format"):
        write(tmp_path / "a.xyz", shallow)
    with pytest.raises(OutputError, match="cannot hold uint16"):
        write(tmp_path / "a.jpg", deep)
    with pytest.raises(OutputError, match="cannot write"):
        write(tmp_path / "missing" / "a.png", shallow)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_encode_png_is_lossless_and_deterministic(
    tmp_path: Path, dtype: type, channels: int
) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, np.iinfo(dtype).max, (5, 4, channels), dtype)
    encoded = encode_png(pixels)
    assert encode_png(pixels) == encoded
    (tmp_path / "a.png").write_bytes(encoded)
    np.testing.assert_array_equal(read(tmp_path / "a.png"), pixels)
