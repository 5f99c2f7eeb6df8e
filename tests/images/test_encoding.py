"""Round trips of files written by other libraries; the results are read by other libraries, too."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from autodenoise import images
from autodenoise.errors import InputError, OutputError

Pixels = np.ndarray[Any, Any]

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta>'
RANDOM = np.random.default_rng(7)
RGB = RANDOM.integers(0, 256, (40, 60, 3), np.uint8)


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def camera() -> Image.Exif:
    """Return camera metadata with an orientation of a quarter turn clockwise."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0110], tags[0x0112] = "Maker", "Model X", 6
    tags.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    tags.get_ifd(0x8825).update({1: "N", 2: (51.0, 28.0, 38.0)})
    return tags


def copy(source: Path, target: Path, *, strip_metadata: bool = False) -> images.ImageFile:
    image = images.open_for_saving(source, target, strip_metadata=strip_metadata)
    with images.row_writer(image, target, strip_metadata=strip_metadata) as put:
        for rows in images.prefetch(image.rows()):
            put(rows)
    return image


def pillow(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif"])
def test_camera_metadata_is_preserved(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    Image.fromarray(RGB).save(
        source, exif=camera(), icc_profile=PROFILE, xmp=XMP, dpi=(300, 300), quality=90
    )
    copy(source, target)
    with Image.open(target) as image:
        tags = image.getexif()
        assert (tags[0x010F], tags[0x0110]) == ("Maker", "Model X")
        assert tags.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
        assert tags.get_ifd(0x8825)[2] == (51.0, 28.0, 38.0)
        assert image.info["icc_profile"] == PROFILE
        if suffix != ".avif":
            assert tags[0x0112] == 6
            assert image.size == (60, 40)
        else:
            # libheif rotates while decoding, so the tag must not rotate again.
            assert tags[0x0112] == 1
            assert image.size == (40, 60)
        if suffix in (".jpg", ".png"):
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        if suffix != ".png":
            assert image.info["xmp"].rstrip(b"\0") == XMP


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_strip_metadata_keeps_profile_and_rotates_upright(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    Image.fromarray(RGB).save(source, exif=camera(), icc_profile=PROFILE, xmp=XMP, lossless=True)
    copy(source, target, strip_metadata=True)
    with Image.open(target) as image:
        assert not dict(image.getexif())
        assert "xmp" not in image.info
        assert image.info["icc_profile"] == PROFILE
        assert image.size == (40, 60)
        if suffix != ".jpg":
            np.testing.assert_array_equal(np.asarray(image), np.rot90(RGB, -1))


def test_changing_format_rotates_upright(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.webp", exif=camera(), lossless=True)
    copy(tmp_path / "a.webp", tmp_path / "b.png")
    np.testing.assert_array_equal(pillow(tmp_path / "b.png"), np.rot90(RGB, -1))
    with Image.open(tmp_path / "b.png") as image:
        assert image.getexif().get(0x0112, 1) == 1


def test_no_metadata_is_invented(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.webp"):
        Image.fromarray(RGB).save(tmp_path / name)
        copy(tmp_path / name, tmp_path / f"b{name}")
        with Image.open(tmp_path / f"b{name}") as image:
            assert "exif" not in image.info
            assert "icc_profile" not in image.info


def test_png_text_and_gamma_are_preserved(tmp_path: Path) -> None:
    words = PngImagePlugin.PngInfo()
    words.add_text("Title", "Nine")
    words.add_text("Creation Time", "2020", zip=True)
    words.add_itxt("Author", "Jürgen 日本", lang="de")
    words.add_itxt("XML:com.adobe.xmp", XMP.decode())
    words.add(b"gAMA", (45455).to_bytes(4, "big"))
    Image.fromarray(RGB).save(tmp_path / "a.png", pnginfo=words)
    copy(tmp_path / "a.png", tmp_path / "b.png")
    copy(tmp_path / "a.png", tmp_path / "c.png", strip_metadata=True)
    with Image.open(tmp_path / "b.png") as image:
        texts = {key: str(value) for key, value in image.text.items()}  # type: ignore[attr-defined]
        assert texts == {
            "Title": "Nine",
            "Creation Time": "2020",
            "Author": "Jürgen 日本",
            "XML:com.adobe.xmp": XMP.decode(),
        }
        assert image.info["gamma"] == pytest.approx(0.45455)
        np.testing.assert_array_equal(np.asarray(image), RGB)
    with Image.open(tmp_path / "c.png") as image:
        assert image.text == {}  # type: ignore[attr-defined]
        assert image.info["gamma"] == pytest.approx(0.45455)


@pytest.mark.parametrize("quality", [30, 55, 75, 83, 92, 100])
@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_keeps_quality_and_subsampling(
    tmp_path: Path, quality: int, subsampling: int, progressive: bool
) -> None:
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    Image.fromarray(RGB).save(
        source, quality=quality, subsampling=subsampling, progressive=progressive
    )
    copy(source, target)
    with Image.open(source) as before, Image.open(target) as after:
        assert before.quantization == after.quantization  # type: ignore[attr-defined]
        assert before.info.get("progressive") == after.info.get("progressive")
        layers = [[entry[1:3] for entry in image.layer] for image in (before, after)]  # type: ignore[attr-defined]
    assert layers[0] == layers[1]


def test_lossless_webp_stays_lossless(tmp_path: Path) -> None:
    for name, animated in (("a.webp", False), ("m.webp", True)):
        others = [Image.fromarray(255 - RGB)] if animated else []
        Image.fromarray(RGB).save(
            tmp_path / name, lossless=True, save_all=animated, append_images=others, duration=70
        )
        image = copy(tmp_path / name, tmp_path / f"b{name}")
        assert image.pages == 1 + animated
        with Image.open(tmp_path / f"b{name}") as after:
            np.testing.assert_array_equal(np.asarray(after.convert("RGB")), RGB)
            if animated:
                after.seek(1)
                np.testing.assert_array_equal(np.asarray(after.convert("RGB")), 255 - RGB)
                assert after.info["duration"] == 70


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_is_preserved_exactly(tmp_path: Path, suffix: str, mode: str) -> None:
    pixels: Pixels = RANDOM.integers(0, 256, (9, 7, len(mode)), np.uint8)
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    Image.fromarray(pixels, mode).save(source, lossless=True, exact=True)
    image = copy(source, target)
    assert image.bands - image.colors == 1
    with Image.open(source) as before, Image.open(target) as after:
        assert before.mode == after.mode
        np.testing.assert_array_equal(np.asarray(before)[..., -1], np.asarray(after)[..., -1])
        if suffix != ".webp":
            np.testing.assert_array_equal(np.asarray(before), np.asarray(after))


TIFFS: dict[str, dict[str, Any]] = {
    "plain": {},
    "deflate": {"compression": "adobe_deflate"},
    "predicted": {"compression": "adobe_deflate", "predictor": True},
    "tiled": {"tile": (32, 16)},
    "big": {"bigtiff": True},
    "motorola": {"byteorder": ">"},
    "big motorola": {"byteorder": ">", "bigtiff": True},
    "resolution": {"resolution": (118.1, 59.0), "resolutionunit": "CENTIMETER"},
    "described": {"description": "Nine", "software": "S", "datetime": "2020:01:02 03:04:05"},
}


@pytest.mark.parametrize("kind", TIFFS)
@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32]
)
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_tiff_round_trip(tmp_path: Path, kind: str, dtype: type, bands: int) -> None:
    shape = (33, 50, bands) if bands > 1 else (33, 50)
    pixels: Pixels = RANDOM.integers(0, 127, shape).astype(dtype)
    if kind == "predicted" and dtype is np.float32:
        pytest.skip("tifffile needs imagecodecs for this predictor")
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    more: dict[str, Any] = {"extrasamples": ["unassalpha"]} if bands == 4 else {}
    tifffile.imwrite(
        source, pixels, photometric="rgb" if bands > 1 else "minisblack", **more, **TIFFS[kind]
    )
    copy(source, target)
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(target) as after:
        np.testing.assert_array_equal(after.asarray(), pixels)
        ours, theirs = after.pages.first, before.pages.first
        assert ours.dtype == theirs.dtype
        assert ours.tags.get(338, None) == theirs.tags.get(338, None) or (
            ours.tags[338].value == theirs.tags[338].value
        )
        for tag in (270, 305, 306, 282, 283, 296, 317, 322, 323, 259):
            if tag in theirs.tags:
                assert ours.tags[tag].value == theirs.tags[tag].value, tag
        assert (282 in ours.tags) == (282 in theirs.tags)


def test_tags_unknown_to_libvips_are_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    directory[0x010F], directory[0x0112] = "Maker", 6
    directory[0x8769] = {0x9003: "2020:01:02 03:04:05"}
    directory[0x8825] = {1: "N", 2: (51.0, 28.0, 38.0)}
    Image.fromarray(RGB).save(source, tiffinfo=directory, icc_profile=PROFILE, dpi=(300, 300))
    copy(source, target)
    with Image.open(target) as image:
        tags = image.getexif()
        assert (tags[0x010F], tags[0x0112]) == ("Maker", 6)
        assert tags.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
        assert tags.get_ifd(0x8825)[2] == (51.0, 28.0, 38.0)
        assert image.info["icc_profile"] == PROFILE
        assert image.info["dpi"] == (300, 300)
    copy(source, tmp_path / "c.tif", strip_metadata=True)
    with Image.open(tmp_path / "c.tif") as image:
        tags = image.getexif()
        assert 0x010F not in tags
        assert 0x8769 not in tags
        assert tags[0x0112] == 6
        assert image.info["icc_profile"] == PROFILE


def test_geotiff_tags_are_copied(tmp_path: Path) -> None:
    # The tags of GeoTIFF: doubles, shorts, and text.
    geo = [
        (33550, "d", 3, (0.5, 0.5, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 444650.0, 4640510.0, 0.0), True),
        (34735, "H", 8, (1, 1, 0, 1, 1024, 0, 1, 1), True),
        (34737, "s", 0, "UTM Zone 16N|", True),
    ]
    orders: tuple[Literal["<"], Literal[">"]] = ("<", ">")
    for order in orders:
        tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", extratags=geo, byteorder=order)
        copy(tmp_path / "a.tif", tmp_path / "b.tif")
        with tifffile.TiffFile(tmp_path / "b.tif") as after:
            for tag, _, _, value, _ in geo:
                assert after.pages.first.tags[tag].value == value


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("order", ["<", ">"])
def test_imagej_stacks_keep_axes_and_calibration(
    tmp_path: Path, dtype: type, order: Literal["<", ">"]
) -> None:
    stack: Pixels = RANDOM.integers(0, 250, (3, 2, 20, 30)).astype(dtype)
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    tifffile.imwrite(
        source,
        stack,
        imagej=True,
        byteorder=order,
        resolution=(4.0, 4.0),
        metadata={"axes": "ZCYX", "spacing": 0.7, "unit": "um", "Labels": list("abcdef")},
    )
    image = copy(source, target)
    assert image.pages == 6
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(target) as after:
        assert after.is_imagej
        assert after.series[0].axes == "ZCYX"
        assert after.imagej_metadata == before.imagej_metadata
        assert len(after.pages) == 6
        np.testing.assert_array_equal(after.asarray(), stack)
        # ImageJ finds the first plane's offset, and the others right after it.
        first = after.pages.first.dataoffsets[0]
    raw: Pixels = np.frombuffer(
        target.read_bytes(), np.dtype(dtype).newbyteorder(order), stack.size, first
    )
    np.testing.assert_array_equal(raw.reshape(stack.shape), stack)
    for page, plane in enumerate(stack.reshape(6, 20, 30)):
        np.testing.assert_array_equal(tifffile.imread(target, key=page), plane)


@pytest.mark.parametrize("order", ["<", ">"])
def test_imagej_stack_with_one_directory(tmp_path: Path, order: Literal["<", ">"]) -> None:
    stack = RANDOM.integers(0, 60_000, (5, 20, 30), np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif",
        stack[:1],
        photometric="minisblack",
        byteorder=order,
        metadata=None,
        description="ImageJ=1.53t\nimages=5\nslices=5\nloop=false\n",
    )
    with (tmp_path / "a.tif").open("ab") as file:
        file.write(stack[1:].astype(f"{order}u2").tobytes())
    (tmp_path / "short.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:-1])
    with pytest.raises(InputError, match="5 planes, but the file is too short"):
        images.open_image(tmp_path / "short.tif")
    image = copy(tmp_path / "a.tif", tmp_path / "b.tif")
    assert image.pages == 5
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), stack)


def test_ome_description_is_preserved(tmp_path: Path) -> None:
    stack = RANDOM.integers(0, 60_000, (2, 3, 20, 30), np.uint16)
    source, target = tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"
    tifffile.imwrite(
        source, stack, metadata={"axes": "CZYX", "PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "µm"}
    )
    copy(source, target)
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(target) as after:
        assert after.is_ome
        assert after.ome_metadata == before.ome_metadata
        assert after.series[0].axes == "CZYX"
        np.testing.assert_array_equal(after.asarray(), stack)


@pytest.mark.parametrize("where", ["subifds", "pages"])
def test_pyramid_is_rebuilt(tmp_path: Path, where: str) -> None:
    base = RANDOM.integers(0, 256, (256, 320, 3), np.uint8)
    form: dict[str, Any] = {"photometric": "rgb", "tile": (64, 64)}
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(base, subifds=1 if where == "subifds" else 0, metadata=None, **form)
        writer.write(base[::2, ::2], subfiletype=1, metadata=None, **form)
    image = copy(tmp_path / "a.tif", tmp_path / "b.tif")
    assert (image.pages, image.pyramid) == (1, True)
    with tifffile.TiffFile(tmp_path / "b.tif") as after:
        np.testing.assert_array_equal(after.pages.first.asarray(), base)
        if where == "subifds":
            half = after.series[0].levels[1].asarray()
        else:
            half = after.pages[1].asarray()
        assert half.shape == (128, 160, 3)
        boxes = base.reshape(128, 2, 160, 2, 3).mean((1, 3))
        assert np.abs(half - boxes).max() <= 1


@pytest.mark.parametrize("where", ["subifds", "pages"])
@pytest.mark.parametrize(("step", "dtype"), [(10, np.uint16), (2, np.uint8)])
def test_thumbnail_is_not_a_pyramid(tmp_path: Path, where: str, step: int, dtype: type) -> None:
    base = RANDOM.integers(0, 60_000, (120, 160, 3), np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        subifds = 1 if where == "subifds" else 0
        writer.write(base, photometric="rgb", subifds=subifds, metadata=None)
        small: Pixels = base[::step, ::step].astype(dtype)
        writer.write(small, photometric="rgb", subfiletype=1, metadata=None)
    image = copy(tmp_path / "a.tif", tmp_path / "b.tif")
    assert (image.pages, image.pyramid) == (1, False)
    with tifffile.TiffFile(tmp_path / "b.tif") as after:
        assert len(after.pages) == 1
        assert after.pages.first.subifds is None
        assert not after.pages.first.is_tiled
        np.testing.assert_array_equal(after.pages.first.asarray(), base)


def test_one_bit_files_stay_one_bit(tmp_path: Path) -> None:
    bits = RANDOM.integers(0, 2, (30, 41)).astype(bool)
    for name, options in (("a.png", {}), ("a.tif", {}), ("f.tif", {"compression": "group4"})):
        Image.fromarray(bits).save(tmp_path / name, **options)
        copy(tmp_path / name, tmp_path / f"b{name}")
        with Image.open(tmp_path / f"b{name}") as after:
            assert after.mode == "1"
            assert after.info.get("compression") == (
                options.get("compression") or "raw" if name.endswith("tif") else None
            )
            np.testing.assert_array_equal(np.asarray(after), bits)


def test_palette_images_are_converted_to_rgb(tmp_path: Path) -> None:
    palette = Image.fromarray(RGB).quantize(16)
    for suffix in (".png", ".tif"):
        palette.save(tmp_path / f"a{suffix}")
        copy(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
        np.testing.assert_array_equal(
            pillow(tmp_path / f"b{suffix}"), np.asarray(palette.convert("RGB"))
        )


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_is_converted_to_rgb_and_back(tmp_path: Path, suffix: str) -> None:
    # Colors within the gamut: a smooth image converted to CMYK by libvips.
    rows, columns = np.mgrid[0:32, 0:48]
    smooth = np.stack([5 * rows, 4 * columns + 20, 120 + 2 * rows], 2).astype(np.uint8)
    images.write(tmp_path / "rgb.png", smooth)
    import pyvips

    inks = pyvips.Image.new_from_file(str(tmp_path / "rgb.png")).icc_transform(
        "cmyk", input_profile="srgb"
    )
    inks.write_to_file(str(tmp_path / f"a{suffix}"), **({"Q": 98} if suffix == ".jpg" else {}))
    image = copy(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    assert (image.cmyk, image.colors, image.bands) == (True, 3, 3)
    decoded = np.concatenate(list(images.open_image(tmp_path / f"a{suffix}").rows()))
    assert np.abs(decoded.astype(int) - smooth).mean() < 8
    with Image.open(tmp_path / f"b{suffix}") as after:
        assert after.mode == "CMYK"
    again = np.concatenate(list(images.open_image(tmp_path / f"b{suffix}").rows()))
    assert np.abs(again.astype(int) - decoded).mean() < 3
    copy(tmp_path / f"a{suffix}", tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as after:
        assert after.mode == "RGB"
        named = ImageCms.ImageCmsProfile(io.BytesIO(after.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(named)


def test_incompatible_target_is_rejected_before_decoding(tmp_path: Path) -> None:
    deep, clear, stack = tmp_path / "deep.tif", tmp_path / "clear.png", tmp_path / "stack.tif"
    tifffile.imwrite(deep, RANDOM.integers(0, 60_000, (8, 8), np.uint16))
    Image.new("RGBA", (8, 8)).save(clear)
    tifffile.imwrite(stack, np.zeros((3, 8, 8), np.uint8), photometric="minisblack")
    tifffile.imwrite(tmp_path / "f.tif", np.zeros((8, 8), np.float32))
    for source, suffix, message in (
        (deep, ".jpg", "JPEG cannot hold the uint16"),
        (deep, ".webp", "WebP cannot hold the uint16"),
        (tmp_path / "f.tif", ".png", "PNG cannot hold the float32"),
        (clear, ".jpg", "cannot hold the transparency"),
        (stack, ".png", "would lose pages"),
        (clear, ".xyz", "cannot tell the format"),
    ):
        with pytest.raises(OutputError, match=message):
            images.open_for_saving(source, tmp_path / f"b{suffix}")


def test_failed_write_leaves_no_file(tmp_path: Path) -> None:
    Image.fromarray(np.tile(RGB, (8, 1, 1))).save(tmp_path / "a.png")
    image = images.open_image(tmp_path / "a.png")
    first = next(image.rows())
    for suffix in (".png", ".jpg", ".tif", ".webp"):
        with (
            pytest.raises(OutputError, match="cannot write"),
            images.row_writer(image, tmp_path / f"b{suffix}") as put,
        ):
            put(first)
        with (
            pytest.raises(ZeroDivisionError),
            images.row_writer(image, tmp_path / f"b{suffix}") as put,
        ):
            put(first[: 1 // len(first[:0])])
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif"])
def test_exif_survives_conversion_to_tiff_and_back(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(RGB).save(tmp_path / f"a{suffix}", exif=camera())
    copy(tmp_path / f"a{suffix}", tmp_path / "b.tif")
    copy(tmp_path / "b.tif", tmp_path / f"c{suffix}")
    for name in ("b.tif", f"c{suffix}"):
        with Image.open(tmp_path / name) as image:
            tags = image.getexif()
            assert (tags[0x010F], tags[0x0110]) == ("Maker", "Model X")
            assert tags.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
            assert tags.get_ifd(0x8825)[2] == (51.0, 28.0, 38.0)
            assert tags.get(0x0112, 1) == 1
            assert image.size == (40, 60)
    copy(tmp_path / f"a{suffix}", tmp_path / "d.tif", strip_metadata=True)
    with Image.open(tmp_path / "d.tif") as image:
        assert not {0x010F, 0x8769, 0x8825} & image.getexif().keys()


@pytest.mark.parametrize(("subsampling", "factors"), [("4:4:4", (1, 1)), ("4:2:0", (2, 2))])
def test_jpeg_chroma_is_never_subsampled_further(
    tmp_path: Path, subsampling: str, factors: tuple[int, int]
) -> None:
    for name, mode in (("a.jpg", subsampling), ("b.jpg", "4:2:2")):
        Image.fromarray(RGB).save(tmp_path / name, subsampling=mode)
        copy(tmp_path / name, tmp_path / f"c{name}")
    for name, expected in (("ca.jpg", factors), ("cb.jpg", (1, 1))):
        with Image.open(tmp_path / name) as image:
            assert image.layer[0][1:3] == expected  # type: ignore[attr-defined]


def test_colors_of_transparent_pixels_are_preserved(tmp_path: Path) -> None:
    pixels = RANDOM.integers(0, 256, (9, 7, 4), np.uint8)
    pixels[..., 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.webp", lossless=True, exact=True)
    copy(tmp_path / "a.webp", tmp_path / "b.webp")
    np.testing.assert_array_equal(pillow(tmp_path / "b.webp"), pixels)


def test_premultiplied_alpha_becomes_straight_alpha(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:] = (40, 20, 60, 128)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["assocalpha"])
    copy(tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as after:
        assert after.pages.first.tags[338].value == (2,)
        decoded = after.asarray().astype(int)
    assert np.abs(decoded[0, 0] - (80, 40, 120, 128)).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_min_is_white_in_an_imagej_stack_with_one_directory(tmp_path: Path, dtype: type) -> None:
    white = np.iinfo(dtype).max
    stack: Pixels = RANDOM.integers(0, white, (3, 20, 30), dtype)
    tifffile.imwrite(
        tmp_path / "a.tif",
        stack[:1],
        photometric="miniswhite",
        metadata=None,
        description="ImageJ=1.53t\nimages=3\nslices=3\n",
    )
    with (tmp_path / "a.tif").open("ab") as file:
        file.write(stack[1:].tobytes())
    copy(tmp_path / "a.tif", tmp_path / "b.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), white - stack)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_one_bit_survives_change_of_format(tmp_path: Path, suffix: str) -> None:
    bits = np.random.default_rng(0).integers(0, 2, (20, 30)).astype(bool)
    Image.fromarray(bits).save(tmp_path / "a.png")
    copy(tmp_path / "a.png", tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as after:
        assert after.mode == "1"
        np.testing.assert_array_equal(np.asarray(after), bits)
