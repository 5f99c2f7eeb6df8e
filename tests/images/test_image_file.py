from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from autodenoise import images
from autodenoise.errors import InputError
from autodenoise.images.metadata.tiff import read_directories

Pixels = np.ndarray[Any, Any]


def test_header_describes_the_image(tmp_path: Path) -> None:
    Image.new("RGBA", (30, 20)).save(tmp_path / "a.png")
    image = images.open_image(tmp_path / "a.png")
    assert (image.width, image.height, image.pages) == (30, 20, 1)
    assert (image.colors, image.bands) == (3, 4)
    assert image.dtype == np.uint8
    assert image.intensity_range == images.IntensityRange(0, 255)


def test_format_is_detected_from_content(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", "png")
    image = images.open_image(tmp_path / "a.jpg")
    assert image.format.name == "PNG"
    np.testing.assert_array_equal(np.concatenate(list(image.rows())), pixels)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'></svg>"),
        ("a.png", b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'></svg>"),
        ("a.png", b"\x08\xf2\xa6\xb6" + bytes(100)),
        ("a.jpg", b"%PDF-1.7\n"),
        ("a.tif", b"SIMPLE  =                    T"),
        ("a.gif", b"GIF89a\1\0\1\0\0\0\0;"),
    ],
)
def test_other_formats_are_rejected(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="not one of PNG, JPEG, TIFF, WebP, AVIF"):
        images.open_image(tmp_path / name)


def test_float_range_comes_from_tags_or_is_unknown(tmp_path: Path) -> None:
    pixels = np.linspace(-1, 3, 20, dtype=np.float32).reshape(4, 5)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    assert images.open_image(tmp_path / "a.tif").intensity_range is None
    declared = [(340, "f", 1, -2.0, True), (341, "f", 1, 4.0, True)]
    tifffile.imwrite(tmp_path / "b.tif", pixels, extratags=declared)
    assert images.open_image(tmp_path / "b.tif").intensity_range == images.IntensityRange(-2, 4)


def test_declared_range_covers_all_pages(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for low, high in ((0.0, 1.0), (-1.0, 3.0), (0.5, 2.0)):
            declared = [(340, "f", 1, low, True), (341, "f", 1, high, True)]
            page = np.full((4, 5), high, np.float32)
            writer.write(page, extratags=declared, metadata=None)
    assert images.open_image(tmp_path / "a.tif").intensity_range == images.IntensityRange(-1, 3)
    with tifffile.TiffWriter(tmp_path / "a.tif", append=True) as writer:
        writer.write(np.full((4, 5), 9, np.float32), metadata=None)
    assert images.open_image(tmp_path / "a.tif").intensity_range is None


def test_extra_channels_are_distinguished_from_transparency(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 2), np.uint8)
    for meaning, colors in (("unspecified", 2), ("unassalpha", 1), ("assocalpha", 1)):
        tifffile.imwrite(
            tmp_path / "a.tif",
            pixels,
            photometric="minisblack",
            extrasamples=[meaning],
            planarconfig="contig",
        )
        image = images.open_image(tmp_path / "a.tif")
        assert (image.colors, image.bands) == (colors, 2)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.complex64, np.uint64])
def test_unsupported_sample_types_are_rejected(tmp_path: Path, dtype: type) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), dtype))
    with pytest.raises(InputError, match=r"16-bit floats|samples out of range"):
        images.open_image(tmp_path / "a.tif")


def test_camera_raw_files_are_rejected(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.NEF", pixels, photometric="rgb")
    version = [(50706, "B", 4, (1, 4, 0, 0), True)]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extratags=version)
    for name in ("a.NEF", "a.tif"):
        with pytest.raises(InputError, match=r"camera raw file, .* develop it"):
            images.open_image(tmp_path / name)


def test_pages_of_different_sizes_are_rejected(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for side in (8, 9):
            writer.write(np.zeros((side, side), np.uint8), metadata=None)
    with pytest.raises(InputError, match=r"a\.tif"):
        images.open_image(tmp_path / "a.tif")


def chunk(name: bytes, body: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + body))
    return struct.pack(">I", len(body)) + name + body + check


def test_decompression_bomb_is_rejected(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0)
    data = zlib.compress(bytes(1_000_000))
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(png)
    with pytest.raises(InputError, match=r"declares 60,000 x 60,000 pixels.*not decoded"):
        images.open_image(tmp_path / "a.png")


def test_malicious_tiff_directories(tmp_path: Path) -> None:
    """A list that bites its tail, a count beyond the file, values behind its end."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((2, 8, 8), np.uint8), photometric="minisblack", metadata=None)
    whole = path.read_bytes()
    assert len(read_directories(path)) == 2
    first = struct.unpack_from("<I", whole, 4)[0]
    (entries,) = struct.unpack_from("<H", whole, first)
    tail = first + 2 + 12 * entries

    def changed(place: int, form: str, value: int) -> None:
        damaged = bytearray(whole)
        struct.pack_into(form, damaged, place, value)
        path.write_bytes(damaged)

    changed(tail, "<I", first)
    with pytest.raises(InputError, match="list of the TIFF's pages is damaged"):
        read_directories(path)
    changed(tail, "<I", len(whole) - 3)
    with pytest.raises(InputError, match="list of the TIFF's pages is damaged"):
        read_directories(path)
    changed(first, "<H", 65_535)
    with pytest.raises(InputError, match="list of the TIFF's pages is damaged"):
        read_directories(path)
    changed(first + 2 + 4, "<I", 0xFFFFFFFF)
    assert len(read_directories(path)) == 2
    changed(4, "<I", len(whole) + 1)
    with pytest.raises(InputError, match="list of the TIFF's pages is damaged"):
        read_directories(path)


def test_layouts_that_libvips_decodes_wrongly_are_rejected(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "zstd.tif", compression="zstd")
    tifffile.imwrite(
        tmp_path / "apart.tif",
        pixels.transpose(2, 0, 1)[:2],
        photometric="minisblack",
        planarconfig="separate",
        metadata=None,
    )
    inks = np.zeros((8, 8, 5), np.uint16)
    tifffile.imwrite(
        tmp_path / "inks.tif", inks, photometric="separated", extrasamples=["unassalpha"]
    )
    Image.fromarray(pixels).save(
        tmp_path / "moving.png", save_all=True, append_images=[Image.fromarray(255 - pixels)]
    )
    for name, message in (
        ("zstd.tif", "compression 50000, which is not supported"),
        ("apart.tif", "separate planes"),
        ("inks.tif", "16-bit CMYK with extra channels"),
        ("moving.png", "animated PNG"),
    ):
        with pytest.raises(InputError, match=message):
            images.open_image(tmp_path / name)
    tifffile.imwrite(
        tmp_path / "rgb.tif", pixels.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"
    )
    np.testing.assert_array_equal(images.read(tmp_path / "rgb.tif"), pixels)


def test_damaged_page_list_is_an_error(tmp_path: Path) -> None:
    """Not by a file's end, and not by much that its pages say."""
    stack = np.zeros((20, 30, 30), np.uint8)
    path = tmp_path / "a.tif"
    note = [(65000, "B", 5_000_000, bytes(5_000_000), False)]
    tifffile.imwrite(path, stack, photometric="minisblack", extratags=note, metadata=None)
    assert images.open_image(path).pages == 20
    whole = path.read_bytes()
    for share in (0.3, 0.6, 0.95):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match="list of the TIFF's pages"):
            images.open_image(path)


def test_intensity_range_may_exceed_the_dtype() -> None:
    image = np.array([0, 0.1, 0.5, 1], np.float32)
    for intensity_range, expected in (
        (images.IntensityRange(0, 4095), [0, 255, 255, 255]),
        (images.IntensityRange(-20, 255), [0, 8, 118, 255]),
    ):
        found = intensity_range.from_float(image, np.dtype(np.uint8))
        np.testing.assert_allclose(found.astype(int), expected, atol=1)


def test_invalid_declared_range_is_ignored(tmp_path: Path) -> None:
    endless = [(340, "f", 1, 0.0, True), (341, "f", 1, float("inf"), True)]
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.float32), extratags=endless)
    assert images.open_image(tmp_path / "a.tif").intensity_range is None


# --- parts ----------------------------------------------------------------------------------------


def write_file(path: Path, kind: str) -> tuple[Path, Pixels]:
    """Write one image or 3 pages, and return the upright samples, (pages, H, W, C)."""
    random = np.random.default_rng(0)
    colors = random.integers(0, 256, (40, 50, 3), np.uint8)
    stack = random.integers(0, 65536, (3, 70, 60), np.uint16)
    if kind == "png":
        Image.fromarray(colors).save(path)
        return path, colors[None]
    if kind == "rotated":
        exif = Image.Exif()
        exif[0x0112] = 6  # rotate a quarter turn
        Image.fromarray(colors).save(path, exif=exif)
        return path, np.rot90(colors, -1)[None]
    options = {
        "tiled": {"tile": (16, 32), "compression": "deflate"},
        "strips": {"rowsperstrip": 7, "compression": "deflate"},
        "imagej": {"imagej": True},
        "big-endian": {"byteorder": ">"},
    }
    tifffile.imwrite(path, stack, **options[kind], photometric="minisblack")  # type: ignore[arg-type]
    if kind == "imagej":
        # An ImageJ stack beyond 4 GiB has one directory for all planes.
        content = bytearray(path.read_bytes())
        first = struct.unpack_from("<I", content, 4)[0]
        entries = struct.unpack_from("<H", content, first)[0]
        struct.pack_into("<I", content, first + 2 + 12 * entries, 0)
        path.write_bytes(content)
    return path, stack[..., None]


@pytest.mark.parametrize("kind", ["png", "rotated", "tiled", "strips", "imagej", "big-endian"])
def test_region_equals_crop_of_the_page(tmp_path: Path, kind: str) -> None:
    path, whole = write_file(tmp_path / ("a.png" if kind in ("png", "rotated") else "a.tif"), kind)
    image = images.open_image(path, upright=True)
    assert image.pages == len(whole)
    parts = [(0, 5, 7, 20, 30), (image.pages - 1, 0, 0, *whole.shape[1:3]), (0, 39, 3, 1, 37)]
    # From several threads, in any order.
    with ThreadPoolExecutor(4) as pool:
        regions = list(pool.map(lambda part: image.read_region(*part), 3 * parts))
    for (page, top, left, height, width), samples in zip(3 * parts, regions, strict=True):
        expected = whole[page, top : top + height, left : left + width]
        np.testing.assert_array_equal(samples, expected)
    np.testing.assert_array_equal(
        np.concatenate(list(image.rows())), whole.reshape(-1, *whole.shape[2:])
    )


@pytest.mark.parametrize(
    "layout",
    [{}, {"rowsperstrip": 7}, {"tile": (64, 64)}, {"tile": (64, 64), "compression": "zlib"}],
)
@pytest.mark.parametrize("more", [{}, {"bigtiff": True}, {"byteorder": ">"}])
def test_truncated_tiff_is_an_error(
    tmp_path: Path, layout: dict[str, Any], more: dict[str, Any]
) -> None:
    path = tmp_path / "a.tif"
    samples = np.random.default_rng(0).integers(1, 2**16, (200, 150, 3), np.uint16)
    tifffile.imwrite(path, samples, photometric="rgb", **layout, **more)
    np.testing.assert_array_equal(images.read(path), samples)
    whole = path.read_bytes()
    for share in (0.2, 0.6, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match=r"a\.tif is damaged or cut off"):
            images.read(path)


def test_region_of_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    path, _ = write_file(tmp_path / "a.tif", "strips")
    image = images.open_image(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match="is damaged or cut off"):
        image.read_region(2, 0, 0, 70, 60)
