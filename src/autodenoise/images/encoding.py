"""Save rows of samples as an image file, keeping everything else of the source file."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autodenoise.errors import OutputError
from autodenoise.files import replacing
from autodenoise.images.formats import AVIF, FORMATS, JPEG, PNG, TIFF, WEBP, Format, format_of_name
from autodenoise.images.image_file import ImageFile, open_image
from autodenoise.images.libvips import error_text, pyvips
from autodenoise.images.metadata import imagej
from autodenoise.images.metadata import tiff as tiff_tags
from autodenoise.images.metadata.jpeg import jpeg_halves_chroma, jpeg_quality, webp_is_lossless
from autodenoise.images.metadata.png import read_chunks, write_png
from autodenoise.images.metadata.tiff import Tag, first_value
from autodenoise.images.streaming import RowStream

__all__ = ["open_for_saving", "row_writer", "writable_formats"]

_PROFILE = "icc-profile-data"
_EXIF_ORIENTATION = "exif-ifd0-Orientation"
_DISPLAY_FIELDS = frozenset({"page-height", "delay", "loop", "background", _PROFILE})
_COMPRESSIONS = {1: "none", 5: "lzw", 7: "jpeg", 32773: "packbits", 50001: "webp"}
_PREMULTIPLIED, _STRAIGHT = 1, 2
_CCITT = frozenset({2, 3, 4})
_PREDICTORS = {2: "horizontal", 3: "float"}
# Tags that affect how the samples are displayed: orientation, colors, size.
_DISPLAY_TAGS = tiff_tags.RESOLUTION_TAGS | {
    *(Tag.SUBFILE_TYPE, Tag.ORIENTATION, Tag.EXTRA_SAMPLES, Tag.ICC_PROFILE),
    *(Tag.MIN_SAMPLE, Tag.MAX_SAMPLE),
}
# The 32-bit offsets of a classic TIFF end at 4 GiB; some room is left for tags and tables.
_MAX_CLASSIC_TIFF_BYTES = 3_900_000_000


def open_for_saving(path: Path, target: Path, *, strip_metadata: bool = False) -> ImageFile:
    """Open an image file whose denoised version will be saved as `target`.

    If the target has the same format and keeps the metadata, samples stay as stored and the
    orientation tag is kept. Otherwise the samples are rotated upright.

    Raises
    ------
    InputError
        As `open_image`.
    OutputError
        The target's suffix is unknown, or its format cannot hold the image.
    """
    form = format_of_name(target)
    file = open_image(path)
    if file.format is not form or (strip_metadata and form is not TIFF):
        file = open_image(path, upright=True)
    _check_target(file, target, form)
    return file


def writable_formats(file: ImageFile) -> list[Format]:
    """Return the formats that can hold an image file without loss of pages, bits or channels.

    The file's own format comes first, if it is among them.
    """

    def can_hold(form: Format) -> bool:
        try:
            _check_target(file, file.path.with_suffix(form.suffixes[0]), form)
        except OutputError:
            return False
        return True

    return sorted(filter(can_hold, FORMATS), key=lambda form: form is not file.format)


def _check_target(file: ImageFile, target: Path, form: Format) -> None:
    """Check, before anything is decoded, that the format can hold the image."""
    limit, path = f"{form.name} cannot hold", file.path
    if file.dtype.type not in form.types:
        suitable = "TIFF" if file.dtype.kind == "f" else "PNG or TIFF"
        raise OutputError(f"{limit} the {file.dtype} samples of {path}; write {suitable}")
    extra = file.bands - file.colors
    if extra and not form.alpha:
        raise OutputError(f"{limit} the transparency of {path}; write PNG, TIFF or WebP")
    if (extra > 1 or file.colors not in (1, 3)) and form is not TIFF:
        raise OutputError(f"{limit} the {file.bands} channels of {path}; write TIFF")
    if file.pages > 1 and form is not file.format:
        raise OutputError(
            f"{target} would lose pages: {path} has {file.pages}; write {file.format.name}"
        )
    if max(file.width, file.height) > form.max_side:
        raise OutputError(f"{limit} {file.width}x{file.height} pixels; write TIFF")


@contextlib.contextmanager
def row_writer(
    source: ImageFile, target: Path, *, strip_metadata: bool = False
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Write new samples to an image file as they arrive.

    The block receives a function that takes consecutive rows (r, W, bands) of all pages, one after
    another; a separate thread encodes them. When the block ends normally, `target` is complete,
    with everything but the samples taken from `source`, or only what is needed to display the
    samples correctly with `strip_metadata`. After an error, no file is left. Raise OutputError if
    encoding or writing fails.
    """
    form = format_of_name(target)
    tags = _copied_tags(source, strip_metadata=strip_metadata) if form is TIFF else []
    with replacing(target) as temporary:
        if source.imagej and form is TIFF:
            shape = (source.height, source.width, source.bands)
            with imagej.stack_writer(
                temporary, shape, source.dtype, source.byte_order, tags, source.pages
            ) as put:
                yield put
            return
        with _encoder(source, target, temporary, strip_metadata=strip_metadata) as put:
            yield put
        if tags:
            # libvips writes a resolution even where the source has none.
            removed = tiff_tags.RESOLUTION_TAGS if source.tags else frozenset[int]()
            tiff_tags.add_tags(temporary, tags, removed)


@contextlib.contextmanager
def _encoder(
    source: ImageFile, target: Path, temporary: Path, *, strip_metadata: bool
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Encode rows with libvips in a separate thread."""
    form = format_of_name(target)
    stream = RowStream(source.width, source.height * source.pages, source.bands, source.dtype)

    def encode() -> None:
        try:
            image = _with_metadata(stream.image(), source, form, strip_metadata=strip_metadata)
            # libvips adds an EXIF block to files that had none. Only a JPEG with a resolution needs
            # it, because libvips stores the resolution of a JPEG nowhere else.
            had_exif = source.tags or "exif-data" in source.metadata
            needs_exif = form is JPEG and "resolution-unit" in source.metadata
            keep = pyvips.enums.ForeignKeep.ALL
            if strip_metadata or not (had_exif or needs_exif):
                keep &= ~pyvips.enums.ForeignKeep.EXIF
            options = _save_options(source, form)
            if form is PNG and source.format is PNG:
                chunks = read_chunks(source.path, colors_only=strip_metadata)
                write_png(image, temporary, chunks, keep=keep, **options)
            else:
                # The temporary file has the suffix of the target, which selects the encoder.
                image.write_to_file(str(temporary), keep=keep, **options)
        except pyvips.Error as error:
            raise OutputError(f"cannot write {target}: {error_text(error)}") from None
        finally:
            stream.close()

    def put(rows: NDArray[Any]) -> None:
        if not stream.put(rows):
            encoded.result()
            raise RuntimeError("more rows than the image has")

    with ThreadPoolExecutor(1) as executor:
        encoded = executor.submit(encode)
        try:
            yield put
        finally:
            stream.end()
        encoded.result()


def _with_metadata(
    image: pyvips.Image, source: ImageFile, form: Format, *, strip_metadata: bool
) -> pyvips.Image:
    """Return an image with the source's interpretation, resolution, profile and metadata."""
    rgb = "rgb16" if source.dtype == np.uint16 else "srgb"
    interpretation = rgb if source.cmyk else source.interpretation
    horizontal, vertical = source.resolution
    image = image.copy(interpretation=interpretation, xres=horizontal, yres=vertical)
    profile = source.field(_PROFILE)
    if source.cmyk and form.cmyk:
        image = _to_cmyk(image, profile)
    for name, (kind, value) in source.metadata.items():
        # PNG texts are copied as chunks instead, because libvips truncates their keys.
        if name in _DISPLAY_FIELDS or not (strip_metadata or name.startswith("png-comment-")):
            image.set_type(kind, name, value)
    if source.tags and form is not TIFF and not strip_metadata:
        exif = tiff_tags.to_exif(source.tags[0])
        image.set_type(pyvips.GValue.blob_type, "exif-data", exif)
    if _EXIF_ORIENTATION not in source.metadata and image.get_typeof(_EXIF_ORIENTATION):
        # libvips read it from the EXIF block, but the samples are upright already.
        image.remove(_EXIF_ORIENTATION)
        image.set_type(pyvips.GValue.gint_type, "orientation", 1)
    if source.cmyk:
        if form.cmyk and profile is not None:
            image.set_type(pyvips.GValue.blob_type, _PROFILE, profile)
        elif image.get_typeof(_PROFILE):
            image.remove(_PROFILE)
    return image


def _to_cmyk(image: pyvips.Image, profile: bytes | None) -> pyvips.Image:
    depth = 16 if image.format == "ushort" else 8
    if profile is None:
        return image.icc_transform("cmyk", input_profile="srgb", depth=depth)
    image = image.icc_import(input_profile="srgb")
    image.set_type(pyvips.GValue.blob_type, _PROFILE, profile)
    return image.icc_export(depth=depth)


def _save_options(source: ImageFile, form: Format) -> dict[str, Any]:
    """Return the encoder's options: those of the source, as far as they can be known."""
    same = source.format is form
    bits = {"bitdepth": source.bits} if source.bits < 8 and source.colors == 1 else {}
    # CMYK was converted to sRGB.
    profile = {"profile": "srgb"} if source.cmyk else {}
    if form is PNG:
        interlaced = same and bool(source.field("interlaced"))
        depth = bits if source.bands == 1 else {}
        return {"interlace": interlaced, **depth, **profile}
    if form is JPEG:
        quality = jpeg_quality(source.path) if same else None
        return {
            "Q": quality or form.quality,
            # libvips halves the chroma in both directions or not at all.
            "subsample_mode": "on" if same and jpeg_halves_chroma(source.path) else "off",
            "interlace": bool(same and source.field("jpeg-multiscan")),
        }
    if form is WEBP:
        lossless = source.format is PNG or (same and webp_is_lossless(source.path))
        return {"lossless": lossless, "exact": True, "Q": form.quality, **profile}
    if form is AVIF:
        depth = {"bitdepth": min(12, source.bits) if same else 12} if source.bits > 8 else {}
        return {"Q": form.quality, "compression": "av1", **depth, **profile}
    return _tiff_options(source, bits)


def _tiff_options(source: ImageFile, bits: dict[str, int]) -> dict[str, Any]:
    size = source.width * source.height * source.pages * source.bands * source.dtype.itemsize
    pyramid_factor = 4 / 3 if source.pyramid else 1
    big = {"bigtiff": size * pyramid_factor > _MAX_CLASSIC_TIFF_BYTES}
    if not source.tags:
        # Predictors need whole bytes.
        predictor = "none" if bits else "horizontal"
        return {"compression": "deflate", "predictor": predictor, **big, **bits}
    page = source.tags[0]
    code = first_value(page, Tag.COMPRESSION, 1)
    bilevel = source.bits == 1 and code in _CCITT
    compression = "ccittfax4" if bilevel else _COMPRESSIONS.get(code, "deflate")
    options: dict[str, Any] = {"compression": compression, **big, **bits}
    if compression in ("jpeg", "webp"):
        options["Q"] = 90
    if compression in ("lzw", "deflate"):
        options["predictor"] = _PREDICTORS.get(first_value(page, Tag.PREDICTOR, 1), "none")
    tile = (first_value(page, Tag.TILE_WIDTH, 0), first_value(page, Tag.TILE_HEIGHT, 0))
    if all(0 < side <= 8192 and side % 16 == 0 for side in tile):
        options |= {"tile": True, "tile_width": tile[0], "tile_height": tile[1]}
    if source.pyramid:
        options |= {"pyramid": True, "tile": True, "subifd": Tag.SUBIFDS in page}
    return options


def _copied_tags(source: ImageFile, *, strip_metadata: bool) -> list[tiff_tags.Directory]:
    """Return the tags that are copied from the source to each page of a TIFF file."""
    layout = tiff_tags.LAYOUT_TAGS - {Tag.EXTRA_SAMPLES}
    # ImageJ's description holds the number of planes.
    display = _DISPLAY_TAGS | ({Tag.DESCRIPTION} if source.imagej else set())
    pages = source.tags
    if source.format is not TIFF and "exif-data" in source.metadata and not strip_metadata:
        # libvips writes resolution and orientation itself, since it may have rotated the samples.
        exif = tiff_tags.from_exif(source.metadata["exif-data"][1])
        written = tiff_tags.RESOLUTION_TAGS | {Tag.ORIENTATION}
        pages = ({tag: value for tag, value in exif.items() if tag not in written},)
    return [
        {
            tag: _straight_alpha(value) if tag == Tag.EXTRA_SAMPLES else value
            for tag, value in page.items()
            if (tag in display if strip_metadata else tag not in layout)
        }
        for page in pages
    ]


def _straight_alpha(value: tiff_tags.TagValue) -> tiff_tags.TagValue:
    """Declare premultiplied alpha as straight alpha, to which libvips converts it."""
    kinds = np.frombuffer(value.data, "<u2")
    straight = np.where(kinds == _PREMULTIPLIED, _STRAIGHT, kinds)
    return dataclasses.replace(value, data=straight.astype("<u2").tobytes())
