"""Previews against what Pillow and NumPy make of the same files."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from autodenoise.errors import InputError
from autodenoise.images import IntensityRange, open_image, preview


def build(path: Path, page: int = 0, display: IntensityRange | None = None) -> Path:
    folder = path.with_name("preview")
    preview.write_preview(open_image(path, upright=True), page, folder, display)
    return folder


def assemble(folder: Path, level: int = 0) -> NDArray[np.uint8]:
    """Assemble a level from its tiles."""
    width, height = preview.level_sizes(folder)[level]
    rows = []
    for row in range(-(-height // preview.TILE_SIZE)):
        tiles = []
        for column in range(-(-width // preview.TILE_SIZE)):
            png = preview.read_tile(folder, level, row, column)
            assert png is not None
            tiles.append(np.asarray(Image.open(io.BytesIO(png))))
        rows.append(np.concatenate(tiles, axis=1))
    return np.concatenate(rows)


def random_samples(*shape: int, dtype: type = np.uint8, seed: int = 0) -> NDArray[Any]:
    top = np.iinfo(dtype).max + 1
    return np.random.default_rng(seed).integers(0, top, shape).astype(dtype)


@pytest.mark.parametrize(
    "shape", [(1, 1, 3), (40, 30, 3), (700, 20, 3), (512, 513, 3), (30, 2000, 4), (1100, 900)]
)
def test_tiles_add_up_to_the_image(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = random_samples(*shape)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    folder = build(tmp_path / "a.png")
    np.testing.assert_array_equal(assemble(folder), pixels)
    sizes = preview.level_sizes(folder)
    assert sizes[0] == (shape[1], shape[0])
    for above, below in itertools.pairwise(sizes):
        assert below == (-(-above[0] // 2), -(-above[1] // 2))
    assert max(sizes[-1]) <= preview.TILE_SIZE
    assert not [size for size in sizes[:-1] if max(size) <= preview.TILE_SIZE]
    for place in ((len(sizes), 0, 0), (0, 99, 0), (0, 0, 99), (-1, 0, 0), (0, -1, 0)):
        assert preview.read_tile(folder, *place) is None


def test_levels_are_box_averages(tmp_path: Path) -> None:
    pixels = random_samples(600, 520)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    half = pixels.reshape(300, 2, 260, 2).mean((1, 3))
    pixels_shown = assemble(build(tmp_path / "a.png"), 1)
    assert np.abs(pixels_shown - half).max() <= 1


def test_preview_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(random_samples(30, 50, 3)).save(tmp_path / "a.jpg", exif=exif, quality=100)
    pixels_shown = assemble(build(tmp_path / "a.jpg"))
    with Image.open(tmp_path / "a.jpg") as image:
        expected = np.rot90(np.asarray(image), -1)
    assert pixels_shown.shape == (50, 30, 3)
    assert np.abs(pixels_shown.astype(int) - expected).mean() < 2


@pytest.mark.parametrize("page", [0, 2])
@pytest.mark.parametrize("imagej", [False, True])
def test_preview_shows_the_requested_page(tmp_path: Path, page: int, imagej: bool) -> None:
    stack = random_samples(3, 20, 30)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=imagej, photometric="minisblack")
    np.testing.assert_array_equal(assemble(build(tmp_path / "a.tif", page)), stack[page])


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    deep = random_samples(20, 30, 3, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb")
    assert preview.display_range(open_image(tmp_path / "a.tif"), IntensityRange(0, 65_535)) is None
    np.testing.assert_array_equal(assemble(build(tmp_path / "a.tif")), np.rint(deep / 257))


def test_dim_images_are_stretched(tmp_path: Path) -> None:
    dim = (200 + 3800 * np.random.default_rng(0).random((60, 80))).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", dim)
    display = preview.display_range(open_image(tmp_path / "a.tif"), IntensityRange(0, 65_535))
    assert display is not None
    assert (display.low, display.high) == tuple(np.percentile(dim, (0.1, 99.9)))
    expected = np.clip((dim - display.low) / (display.high - display.low) * 255, 0, 255)
    pixels_shown = assemble(build(tmp_path / "a.tif", display=display))
    assert np.abs(pixels_shown - expected).max() <= 0.51


def test_floats_use_the_intensity_range(tmp_path: Path) -> None:
    values = np.linspace(-1, 1, 600, dtype=np.float32).reshape(20, 30)
    tifffile.imwrite(tmp_path / "a.tif", values)
    image = open_image(tmp_path / "a.tif")
    assert preview.display_range(image, IntensityRange(-1, 1)) is None
    unknown = preview.display_range(image, None)
    assert unknown is not None
    assert -1 <= unknown.low < -0.99 < 0.99 < unknown.high <= 1
    pixels_shown = assemble(build(tmp_path / "a.tif", display=IntensityRange(-1, 1)))
    assert np.abs(pixels_shown - (values + 1) * 127.5).max() <= 0.51


def test_display_range_ignores_nan(tmp_path: Path) -> None:
    values = np.full((20, 30), np.nan, np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values)
    assert preview.display_range(open_image(tmp_path / "a.tif"), None) is None
    values[3:9] = 5
    tifffile.imwrite(tmp_path / "a.tif", values)
    assert preview.display_range(open_image(tmp_path / "a.tif"), None) == IntensityRange(5, 6)


def test_preview_includes_transparency(tmp_path: Path) -> None:
    deep = random_samples(20, 30, 4, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(assemble(build(tmp_path / "a.tif")), np.rint(deep / 257))


def test_extra_channel_is_not_shown_as_transparency(tmp_path: Path) -> None:
    pixels = random_samples(20, 30, 4)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unspecified"])
    np.testing.assert_array_equal(assemble(build(tmp_path / "a.tif")), pixels[:, :, :3])


@pytest.mark.parametrize("channels", [2, 5])
def test_unnamed_channels_are_shown_as_rgb(tmp_path: Path, channels: int) -> None:
    pixels = random_samples(20, 30, channels)
    extra = ["unspecified"] * (channels - 1)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", extrasamples=extra)
    pixels_shown = assemble(build(tmp_path / "a.tif"))
    known = min(3, channels)
    np.testing.assert_array_equal(pixels_shown[:, :, :known], pixels[:, :, :known])
    assert not pixels_shown[:, :, known:].any()


def test_colors_are_converted_through_the_profile(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = random_samples(20, 30, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=lab)
    pixels_shown = assemble(build(tmp_path / "a.png"))
    assert np.abs(pixels_shown.astype(int) - pixels).max() <= 2


def test_cmyk_preview_is_rgb(tmp_path: Path) -> None:
    inks = np.zeros((20, 30, 4), np.uint8)
    inks[:, 15:, 1:3] = 255
    Image.fromarray(inks, "CMYK").save(tmp_path / "a.jpg", quality=100)
    pixels_shown = assemble(build(tmp_path / "a.jpg"))
    white, red = pixels_shown[10, 5].astype(int), pixels_shown[10, 25].astype(int)
    assert white.min() > 245
    assert red[0] > 180
    assert red[1:].max() < 80


def test_damaged_file_leaves_no_preview(tmp_path: Path) -> None:
    Image.fromarray(random_samples(300, 300, 3)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[:-9000])
    with pytest.raises(InputError, match=r"a\.png is damaged or cut off"):
        build(tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
