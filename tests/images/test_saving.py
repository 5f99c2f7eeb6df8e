"""Pictures that others wrote, opened and saved again: what comes back is read by others too."""

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
    """What a camera says, with a picture to be turned a quarter clockwise."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0110], tags[0x0112] = "Maker", "Model X", 6
    tags.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    tags.get_ifd(0x8825).update({1: "N", 2: (51.0, 28.0, 38.0)})
    return tags


def copy(source: Path, target: Path, *, strip_metadata: bool = False) -> images.ImageFile:
    picture = images.open_for_saving(source, target, strip_metadata=strip_metadata)
    with images.row_writer(picture, target, strip_metadata=strip_metadata) as put:
        for rows in images.prefetch(picture.rows()):
            put(rows)
    return picture


def pillow(path: Path) -> Pixels:
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif"])
def test_what_a_camera_says_is_kept(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    Image.fromarray(RGB).save(
        source, exif=camera(), icc_profile=PROFILE, xmp=XMP, dpi=(300, 300), quality=90
    )
    copy(source, target)
    with Image.open(target) as picture:
        tags = picture.getexif()
        assert (tags[0x010F], tags[0x0110]) == ("Maker", "Model X")
        assert tags.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
        assert tags.get_ifd(0x8825)[2] == (51.0, 28.0, 38.0)
        assert picture.info["icc_profile"] == PROFILE
        if suffix != ".avif":
            assert tags[0x0112] == 6
            assert picture.size == (60, 40)
        else:
            # libheif turns a picture as it decodes it, so its tag must not turn it again.
            assert tags[0x0112] == 1
            assert picture.size == (40, 60)
        if suffix in (".jpg", ".png"):
            assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        if suffix != ".png":
            assert picture.info["xmp"].rstrip(b"\0") == XMP


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_stripped_pictures_keep_their_colours_and_stand_upright(
    tmp_path: Path, suffix: str
) -> None:
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    Image.fromarray(RGB).save(source, exif=camera(), icc_profile=PROFILE, xmp=XMP, lossless=True)
    copy(source, target, strip_metadata=True)
    with Image.open(target) as picture:
        assert not dict(picture.getexif())
        assert "xmp" not in picture.info
        assert picture.info["icc_profile"] == PROFILE
        assert picture.size == (40, 60)
        if suffix != ".jpg":
            np.testing.assert_array_equal(np.asarray(picture), np.rot90(RGB, -1))


def test_a_picture_is_turned_when_its_format_changes(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.webp", exif=camera(), lossless=True)
    copy(tmp_path / "a.webp", tmp_path / "b.png")
    np.testing.assert_array_equal(pillow(tmp_path / "b.png"), np.rot90(RGB, -1))
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.getexif().get(0x0112, 1) == 1


def test_nothing_is_made_up(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.webp"):
        Image.fromarray(RGB).save(tmp_path / name)
        copy(tmp_path / name, tmp_path / f"b{name}")
        with Image.open(tmp_path / f"b{name}") as picture:
            assert "exif" not in picture.info
            assert "icc_profile" not in picture.info


def test_the_words_and_the_gamma_of_a_png_are_kept(tmp_path: Path) -> None:
    words = PngImagePlugin.PngInfo()
    words.add_text("Title", "Nine")
    words.add_text("Creation Time", "2020", zip=True)
    words.add_itxt("Author", "Jürgen 日本", lang="de")
    words.add_itxt("XML:com.adobe.xmp", XMP.decode())
    words.add(b"gAMA", (45455).to_bytes(4, "big"))
    Image.fromarray(RGB).save(tmp_path / "a.png", pnginfo=words)
    copy(tmp_path / "a.png", tmp_path / "b.png")
    copy(tmp_path / "a.png", tmp_path / "c.png", strip_metadata=True)
    with Image.open(tmp_path / "b.png") as picture:
        texts = {key: str(value) for key, value in picture.text.items()}  # type: ignore[attr-defined]
        assert texts == {
            "Title": "Nine",
            "Creation Time": "2020",
            "Author": "Jürgen 日本",
            "XML:com.adobe.xmp": XMP.decode(),
        }
        assert picture.info["gamma"] == pytest.approx(0.45455)
        np.testing.assert_array_equal(np.asarray(picture), RGB)
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.text == {}  # type: ignore[attr-defined]
        assert picture.info["gamma"] == pytest.approx(0.45455)


@pytest.mark.parametrize("quality", [30, 55, 75, 83, 92, 100])
@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_compressed_as_it_was(
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
        layers = [[entry[1:3] for entry in picture.layer] for picture in (before, after)]  # type: ignore[attr-defined]
    assert layers[0] == layers[1]


def test_lossless_webp_stays_lossless(tmp_path: Path) -> None:
    for name, animated in (("a.webp", False), ("m.webp", True)):
        others = [Image.fromarray(255 - RGB)] if animated else []
        Image.fromarray(RGB).save(
            tmp_path / name, lossless=True, save_all=animated, append_images=others, duration=70
        )
        picture = copy(tmp_path / name, tmp_path / f"b{name}")
        assert picture.pages == 1 + animated
        with Image.open(tmp_path / f"b{name}") as after:
            np.testing.assert_array_equal(np.asarray(after.convert("RGB")), RGB)
            if animated:
                after.seek(1)
                np.testing.assert_array_equal(np.asarray(after.convert("RGB")), 255 - RGB)
                assert after.info["duration"] == 70


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_is_kept_bit_by_bit(tmp_path: Path, suffix: str, mode: str) -> None:
    pixels: Pixels = RANDOM.integers(0, 256, (9, 7, len(mode)), np.uint8)
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    Image.fromarray(pixels, mode).save(source, lossless=True, exact=True)
    picture = copy(source, target)
    assert picture.bands - picture.colors == 1
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
def test_every_tiff_comes_back(tmp_path: Path, kind: str, dtype: type, bands: int) -> None:
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


def test_tags_that_libvips_does_not_know_are_carried_over(tmp_path: Path) -> None:
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    directory[0x010F], directory[0x0112] = "Maker", 6
    directory[0x8769] = {0x9003: "2020:01:02 03:04:05"}
    directory[0x8825] = {1: "N", 2: (51.0, 28.0, 38.0)}
    Image.fromarray(RGB).save(source, tiffinfo=directory, icc_profile=PROFILE, dpi=(300, 300))
    copy(source, target)
    with Image.open(target) as picture:
        kept = picture.getexif()
        assert (kept[0x010F], kept[0x0112]) == ("Maker", 6)
        assert kept.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
        assert kept.get_ifd(0x8825)[2] == (51.0, 28.0, 38.0)
        assert picture.info["icc_profile"] == PROFILE
        assert picture.info["dpi"] == (300, 300)
    copy(source, tmp_path / "c.tif", strip_metadata=True)
    with Image.open(tmp_path / "c.tif") as picture:
        kept = picture.getexif()
        assert 0x010F not in kept
        assert 0x8769 not in kept
        assert kept[0x0112] == 6
        assert picture.info["icc_profile"] == PROFILE


def test_a_map_stays_on_the_earth(tmp_path: Path) -> None:
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
    picture = copy(source, target)
    assert picture.pages == 6
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(target) as after:
        assert after.is_imagej
        assert after.series[0].axes == "ZCYX"
        assert after.imagej_metadata == before.imagej_metadata
        assert len(after.pages) == 6
        np.testing.assert_array_equal(after.asarray(), stack)
        # As ImageJ reads it: the first plane's place, and the others behind it.
        first = after.pages.first.dataoffsets[0]
    raw: Pixels = np.frombuffer(
        target.read_bytes(), np.dtype(dtype).newbyteorder(order), stack.size, first
    )
    np.testing.assert_array_equal(raw.reshape(stack.shape), stack)
    for page, plane in enumerate(stack.reshape(6, 20, 30)):
        np.testing.assert_array_equal(tifffile.imread(target, key=page), plane)


@pytest.mark.parametrize("order", ["<", ">"])
def test_imagej_stacks_of_one_directory(tmp_path: Path, order: Literal["<", ">"]) -> None:
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
    with pytest.raises(InputError, match="5 planes, but it is too short"):
        images.open_image(tmp_path / "short.tif")
    picture = copy(tmp_path / "a.tif", tmp_path / "b.tif")
    assert picture.pages == 5
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), stack)


def test_ome_stacks_keep_their_description(tmp_path: Path) -> None:
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
def test_pyramids_are_built_anew(tmp_path: Path, where: str) -> None:
    base = RANDOM.integers(0, 256, (256, 320, 3), np.uint8)
    form: dict[str, Any] = {"photometric": "rgb", "tile": (64, 64)}
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(base, subifds=1 if where == "subifds" else 0, metadata=None, **form)
        writer.write(base[::2, ::2], subfiletype=1, metadata=None, **form)
    picture = copy(tmp_path / "a.tif", tmp_path / "b.tif")
    assert (picture.pages, picture.pyramid) == (1, True)
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
def test_a_thumbnail_makes_no_pyramid(tmp_path: Path, where: str, step: int, dtype: type) -> None:
    base = RANDOM.integers(0, 60_000, (120, 160, 3), np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        subifds = 1 if where == "subifds" else 0
        writer.write(base, photometric="rgb", subifds=subifds, metadata=None)
        small: Pixels = base[::step, ::step].astype(dtype)
        writer.write(small, photometric="rgb", subfiletype=1, metadata=None)
    picture = copy(tmp_path / "a.tif", tmp_path / "b.tif")
    assert (picture.pages, picture.pyramid) == (1, False)
    with tifffile.TiffFile(tmp_path / "b.tif") as after:
        assert len(after.pages) == 1
        assert after.pages.first.subifds is None
        assert not after.pages.first.is_tiled
        np.testing.assert_array_equal(after.pages.first.asarray(), base)


def test_shallow_pictures_stay_shallow(tmp_path: Path) -> None:
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


def test_palettes_become_the_colours_they_stand_for(tmp_path: Path) -> None:
    palette = Image.fromarray(RGB).quantize(16)
    for suffix in (".png", ".tif"):
        palette.save(tmp_path / f"a{suffix}")
        copy(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
        np.testing.assert_array_equal(
            pillow(tmp_path / f"b{suffix}"), np.asarray(palette.convert("RGB"))
        )


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_goes_through_rgb_and_comes_back(tmp_path: Path, suffix: str) -> None:
    # Colours of a photograph rather than any inks: a smooth picture brought to CMYK by libvips.
    rows, columns = np.mgrid[0:32, 0:48]
    smooth = np.stack([5 * rows, 4 * columns + 20, 120 + 2 * rows], 2).astype(np.uint8)
    images.write(tmp_path / "rgb.png", smooth)
    import pyvips

    inks = pyvips.Image.new_from_file(str(tmp_path / "rgb.png")).icc_transform(
        "cmyk", input_profile="srgb"
    )
    inks.write_to_file(str(tmp_path / f"a{suffix}"), **({"Q": 98} if suffix == ".jpg" else {}))
    picture = copy(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    assert (picture.cmyk, picture.colors, picture.bands) == (True, 3, 3)
    seen = np.concatenate(list(images.open_image(tmp_path / f"a{suffix}").rows()))
    assert np.abs(seen.astype(int) - smooth).mean() < 8
    with Image.open(tmp_path / f"b{suffix}") as after:
        assert after.mode == "CMYK"
    again = np.concatenate(list(images.open_image(tmp_path / f"b{suffix}").rows()))
    assert np.abs(again.astype(int) - seen).mean() < 3
    copy(tmp_path / f"a{suffix}", tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as after:
        assert after.mode == "RGB"
        named = ImageCms.ImageCmsProfile(io.BytesIO(after.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(named)


def test_what_a_format_cannot_hold_is_said_before_anything_is_decoded(tmp_path: Path) -> None:
    deep, clear, stack = tmp_path / "deep.tif", tmp_path / "clear.png", tmp_path / "stack.tif"
    tifffile.imwrite(deep, RANDOM.integers(0, 60_000, (8, 8), np.uint16))
    Image.new("RGBA", (8, 8)).save(clear)
    tifffile.imwrite(stack, np.zeros((3, 8, 8), np.uint8), photometric="minisblack")
    tifffile.imwrite(tmp_path / "f.tif", np.zeros((8, 8), np.float32))
    for source, suffix, said in (
        (deep, ".jpg", "JPEG cannot hold uint16"),
        (deep, ".webp", "WebP cannot hold uint16"),
        (tmp_path / "f.tif", ".png", "PNG cannot hold float32"),
        (clear, ".jpg", "cannot hold the transparency"),
        (stack, ".png", "would lose pages"),
        (clear, ".xyz", "cannot tell the format"),
    ):
        with pytest.raises(OutputError, match=said):
            images.open_for_saving(source, tmp_path / f"b{suffix}")


def test_nothing_is_left_of_a_picture_that_was_not_finished(tmp_path: Path) -> None:
    Image.fromarray(np.tile(RGB, (8, 1, 1))).save(tmp_path / "a.png")
    picture = images.open_image(tmp_path / "a.png")
    first = next(picture.rows())
    for suffix in (".png", ".jpg", ".tif", ".webp"):
        with (
            pytest.raises(OutputError, match="cannot write"),
            images.row_writer(picture, tmp_path / f"b{suffix}") as put,
        ):
            put(first)
        with (
            pytest.raises(ZeroDivisionError),
            images.row_writer(picture, tmp_path / f"b{suffix}") as put,
        ):
            put(first[: 1 // len(first[:0])])
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif"])
def test_what_a_camera_says_goes_into_a_tiff_and_out_of_one(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(RGB).save(tmp_path / f"a{suffix}", exif=camera())
    copy(tmp_path / f"a{suffix}", tmp_path / "b.tif")
    copy(tmp_path / "b.tif", tmp_path / f"c{suffix}")
    for name in ("b.tif", f"c{suffix}"):
        with Image.open(tmp_path / name) as picture:
            tags = picture.getexif()
            assert (tags[0x010F], tags[0x0110]) == ("Maker", "Model X")
            assert tags.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
            assert tags.get_ifd(0x8825)[2] == (51.0, 28.0, 38.0)
            assert tags.get(0x0112, 1) == 1
            assert picture.size == (40, 60)
    copy(tmp_path / f"a{suffix}", tmp_path / "d.tif", strip_metadata=True)
    with Image.open(tmp_path / "d.tif") as picture:
        assert not {0x010F, 0x8769, 0x8825} & picture.getexif().keys()


@pytest.mark.parametrize(("subsampling", "kept"), [("4:4:4", (1, 1)), ("4:2:0", (2, 2))])
def test_colours_of_a_jpeg_are_never_thinned_further(
    tmp_path: Path, subsampling: str, kept: tuple[int, int]
) -> None:
    for name, given in (("a.jpg", subsampling), ("b.jpg", "4:2:2")):
        Image.fromarray(RGB).save(tmp_path / name, subsampling=given)
        copy(tmp_path / name, tmp_path / f"c{name}")
    for name, expected in (("ca.jpg", kept), ("cb.jpg", (1, 1))):
        with Image.open(tmp_path / name) as picture:
            assert picture.layer[0][1:3] == expected  # type: ignore[attr-defined]


def test_colours_under_full_transparency_stay(tmp_path: Path) -> None:
    pixels = RANDOM.integers(0, 256, (9, 7, 4), np.uint8)
    pixels[..., 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.webp", lossless=True, exact=True)
    copy(tmp_path / "a.webp", tmp_path / "b.webp")
    np.testing.assert_array_equal(pillow(tmp_path / "b.webp"), pixels)


def test_premultiplied_colours_are_taken_apart_and_told_so(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:] = (40, 20, 60, 128)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["assocalpha"])
    copy(tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as after:
        assert after.pages.first.tags[338].value == (2,)
        seen = after.asarray().astype(int)
    assert np.abs(seen[0, 0] - (80, 40, 120, 128)).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_is_zero_in_a_stack_of_one_directory(tmp_path: Path, dtype: type) -> None:
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
def test_one_bit_stays_one_bit_in_another_format(tmp_path: Path, suffix: str) -> None:
    bits = np.random.default_rng(0).integers(0, 2, (20, 30)).astype(bool)
    Image.fromarray(bits).save(tmp_path / "a.png")
    copy(tmp_path / "a.png", tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as after:
        assert after.mode == "1"
        np.testing.assert_array_equal(np.asarray(after), bits)
