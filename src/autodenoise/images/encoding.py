"""Rows of samples become a picture file that keeps everything else of the one they came from."""

from __future__ import annotations

import contextlib
import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from autodenoise.errors import OutputError
from autodenoise.files import replacing
from autodenoise.images.formats import (
    AVIF,
    FORMATS,
    JPEG,
    PNG,
    TIFF,
    WEBP,
    Format,
    format_of_name,
    reason,
)
from autodenoise.images.image_file import ImageFile, open_image
from autodenoise.images.libvips import pyvips
from autodenoise.images.metadata import imagej
from autodenoise.images.metadata import png as png_chunks
from autodenoise.images.metadata import tiff as tiff_tags
from autodenoise.images.metadata.jpeg import jpeg_is_halved, jpeg_quality, webp_is_lossless
from autodenoise.images.metadata.tiff import Tag, number
from autodenoise.images.streaming import RowStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray


__all__ = ["open_for_saving", "row_writer", "writable_formats"]

_PROFILE = "icc-profile-data"
_EXIF_ORIENTATION = "exif-ifd0-Orientation"
_SHOWN = frozenset({"page-height", "delay", "loop", "background", _PROFILE})
_COMPRESSIONS = {1: "none", 5: "lzw", 7: "jpeg", 32773: "packbits", 50001: "webp"}
_PREMULTIPLIED, _TRANSPARENCY = 1, 2
_CCITT = frozenset({2, 3, 4})
_PREDICTORS = {2: "horizontal", 3: "float"}
# Without these the samples would be shown as something else: turned, in other colours or sizes.
_MEANING = tiff_tags.RESOLUTION | {
    *(Tag.SUBFILE_TYPE, Tag.ORIENTATION, Tag.EXTRA_SAMPLES, Tag.PROFILE),
    *(Tag.MIN_SAMPLE, Tag.MAX_SAMPLE),
}
# Where a classic TIFF's 32-bit places would get short, tags and tables counted in.
_BIG = 3_900_000_000


def open_for_saving(path: Path, target: Path, *, strip_metadata: bool = False) -> ImageFile:
    """Open a picture that is to be saved as another.

    The orientation tag is kept, and the samples as they lie, where the target can be trusted to
    hold the tag: in the same format with its metadata. Everywhere else the samples are turned.

    Raises
    ------
    InputError
        As `open_image` does.
    OutputError
        The target's ending names no format, or one that cannot hold what the picture has.
    """
    form = format_of_name(target)
    picture = open_image(path)
    if picture.format is not form or (strip_metadata and form is not TIFF):
        picture = open_image(path, upright=True)
    _check_target(picture, target, form)
    return picture


def writable_formats(picture: ImageFile) -> list[Format]:
    """Give the formats that can hold all that a picture has, its own first if it is among them."""

    def holds(form: Format) -> bool:
        try:
            _check_target(picture, picture.path.with_suffix(form.suffixes[0]), form)
        except OutputError:
            return False
        return True

    return sorted(filter(holds, FORMATS), key=lambda form: form is not picture.format)


def _check_target(picture: ImageFile, target: Path, form: Format) -> None:
    """Check, before anything is decoded, that the format can hold what the picture has."""
    if picture.dtype.type not in form.types:
        raise OutputError(
            f"{form.name} cannot hold {picture.dtype} samples, as {picture.path} has; "
            f"write {'TIFF' if picture.dtype.kind == 'f' else 'PNG or TIFF'}"
        )
    extra = picture.bands - picture.colors
    if extra and not form.alpha:
        raise OutputError(
            f"{form.name} cannot hold the transparency of {picture.path}; write PNG, TIFF or WebP"
        )
    if (extra > 1 or picture.colors not in (1, 3)) and form is not TIFF:
        raise OutputError(
            f"{form.name} cannot hold the {picture.bands} channels of {picture.path}; write TIFF"
        )
    if picture.pages > 1 and form is not picture.format:
        raise OutputError(
            f"{target} would lose pages: {picture.path} has {picture.pages}; "
            f"write {picture.format.name}"
        )
    if max(picture.width, picture.height) > form.side:
        raise OutputError(
            f"{form.name} cannot hold {picture.width}x{picture.height} pixels; write TIFF"
        )


@contextlib.contextmanager
def row_writer(
    picture: ImageFile, target: Path, *, strip_metadata: bool = False
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Write a picture's new samples to a file while they come.

    The samples are encoded by a thread of their own. The file is whole, with everything but the
    samples taken from `picture`, when the block ends well; otherwise nothing is left of it.

    Parameters
    ----------
    picture
        What the samples were made from.
    target
        Replaced if it exists: whoever calls decides about that.
    strip_metadata
        Leave out what is not needed to show the samples as they are meant.

    Yields
    ------
    Callable
        Takes consecutive rows, (r, W, bands), of all pages one after another.

    Raises
    ------
    OutputError
        The encoder or the disk refuses.
    """
    form = format_of_name(target)
    tags = _carried(picture, strip_metadata=strip_metadata) if form is TIFF else []
    with replacing(target) as temporary:
        if picture.imagej and form is TIFF:
            shape = (picture.height, picture.width, picture.bands)
            order = picture.byte_order
            with imagej.writing(temporary, shape, picture.dtype, order, tags, picture.pages) as put:
                yield put
            return
        with _encoding(picture, target, temporary, strip_metadata=strip_metadata) as put:
            yield put
        if tags:
            made_up = tiff_tags.RESOLUTION if picture.tags else frozenset[int]()
            tiff_tags.add_tags(temporary, tags, made_up)


@contextlib.contextmanager
def _encoding(
    picture: ImageFile, target: Path, temporary: Path, *, strip_metadata: bool
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Let libvips encode rows in a thread of its own."""
    form = format_of_name(target)
    stream = RowStream(picture.width, picture.height * picture.pages, picture.bands, picture.dtype)

    def encode() -> None:
        try:
            image = _dressed(stream.image(), picture, form, strip_metadata=strip_metadata)
            keep = _blocks(picture, form, strip_metadata=strip_metadata)
            options = _options(picture, form)
            if form is PNG and picture.format is PNG:
                chunks = png_chunks.read(picture.path, colours_only=strip_metadata)
                png_chunks.write(image, temporary, chunks, keep=keep, **options)
            else:
                # The ending of the temporary file is the target's: it names the encoder.
                image.write_to_file(str(temporary), keep=keep, **options)
        except pyvips.Error as error:
            raise OutputError(f"cannot write {target}: {reason(error)}") from None
        finally:
            stream.close()

    def put(rows: NDArray[Any]) -> None:
        if not stream.put(rows):
            encoded.result()
            raise RuntimeError("more rows than the picture has")

    with ThreadPoolExecutor(1) as encoder:
        encoded = encoder.submit(encode)
        try:
            yield put
        finally:
            stream.end()
        encoded.result()


def _dressed(
    image: pyvips.Image, picture: ImageFile, form: Format, *, strip_metadata: bool
) -> pyvips.Image:
    """Give the bare samples the source's meaning, resolution, profile and metadata."""
    deep = "rgb16" if picture.dtype == np.uint16 else "srgb"
    across, down = picture.resolution
    image = image.copy(
        interpretation=deep if picture.cmyk else picture.interpretation, xres=across, yres=down
    )
    profile = picture.field(_PROFILE)
    if picture.cmyk and form.cmyk:
        image = _to_cmyk(image, profile)
    for name, (kind, value) in picture.metadata.items():
        # libvips cuts the keys of a PNG's texts; they go another way.
        if name in _SHOWN or not (strip_metadata or name.startswith("png-comment-")):
            image.set_type(kind, name, value)
    if picture.tags and form is not TIFF and not strip_metadata:
        exif = tiff_tags.to_exif(picture.tags[0])
        image.set_type(pyvips.GValue.blob_type, "exif-data", exif)
    if _EXIF_ORIENTATION not in picture.metadata and image.get_typeof(_EXIF_ORIENTATION):
        # It comes back out of the EXIF block, though the samples have been turned.
        image.remove(_EXIF_ORIENTATION)
        image.set_type(pyvips.GValue.gint_type, "orientation", 1)
    if picture.cmyk:
        if form.cmyk and profile is not None:
            image.set_type(pyvips.GValue.blob_type, _PROFILE, profile)
        elif image.get_typeof(_PROFILE):
            image.remove(_PROFILE)
    return image


def _blocks(picture: ImageFile, form: Format, *, strip_metadata: bool) -> int:
    """Choose which kinds of metadata are written.

    libvips makes an EXIF block where there was none. That is wanted in a JPEG of known resolution
    alone, which has no other place for it in libvips's hands.
    """
    exif = (
        picture.tags
        or "exif-data" in picture.metadata
        or (form is JPEG and "resolution-unit" in picture.metadata)
    )
    every: int = pyvips.enums.ForeignKeep.ALL
    return every if exif and not strip_metadata else every & ~pyvips.enums.ForeignKeep.EXIF


def _to_cmyk(image: pyvips.Image, profile: bytes | None) -> pyvips.Image:
    depth = 16 if image.format == "ushort" else 8
    if profile is None:
        return image.icc_transform("cmyk", input_profile="srgb", depth=depth)
    image = image.icc_import(input_profile="srgb")
    image.set_type(pyvips.GValue.blob_type, _PROFILE, profile)
    return image.icc_export(depth=depth)


def _options(picture: ImageFile, form: Format) -> dict[str, Any]:
    """Choose how to encode: as the source was, where that can be known."""
    same = picture.format is form
    bits = {"bitdepth": picture.bits} if picture.bits < 8 and picture.colors == 1 else {}
    if form is PNG:
        interlaced = same and bool(picture.field("interlaced"))
        depth = bits if picture.bands == 1 else {}
        return {"interlace": interlaced, **depth, **_profile(picture)}
    if form is JPEG:
        quality = jpeg_quality(picture.path) if same else None
        return {
            "Q": quality or form.quality,
            # libvips halves the colours both ways or not at all.
            "subsample_mode": "on" if same and jpeg_is_halved(picture.path) else "off",
            "interlace": bool(same and picture.field("jpeg-multiscan")),
        }
    if form is WEBP:
        lossless = picture.format is PNG or (same and webp_is_lossless(picture.path))
        return {"lossless": lossless, "exact": True, "Q": form.quality, **_profile(picture)}
    if form is AVIF:
        depth = {"bitdepth": min(12, picture.bits) if same else 12} if picture.bits > 8 else {}
        return {"Q": form.quality, "compression": "av1", **depth, **_profile(picture)}
    return _tiff_options(picture, bits)


def _profile(picture: ImageFile) -> dict[str, Any]:
    # What came as CMYK leaves as sRGB, and says so.
    return {"profile": "srgb"} if picture.cmyk else {}


def _tiff_options(picture: ImageFile, bits: dict[str, int]) -> dict[str, Any]:
    size = picture.width * picture.height * picture.pages * picture.bands * picture.dtype.itemsize
    big: dict[str, Any] = {"bigtiff": size * (4 / 3 if picture.pyramid else 1) > _BIG}
    if not picture.tags:
        # Predictors are for samples of whole bytes.
        predictor = "none" if bits else "horizontal"
        return {"compression": "deflate", "predictor": predictor, **big, **bits}
    page = picture.tags[0]
    code = number(page, Tag.COMPRESSION, 1)
    bilevel = picture.bits == 1 and code in _CCITT
    compression = "ccittfax4" if bilevel else _COMPRESSIONS.get(code, "deflate")
    options = {"compression": compression, **big, **bits}
    if compression in ("jpeg", "webp"):
        options["Q"] = 90
    if compression in ("lzw", "deflate"):
        options["predictor"] = _PREDICTORS.get(number(page, Tag.PREDICTOR, 1), "none")
    tile = (number(page, Tag.TILE_WIDTH, 0), number(page, Tag.TILE_HEIGHT, 0))
    if all(0 < side <= 8192 and side % 16 == 0 for side in tile):
        options |= {"tile": True, "tile_width": tile[0], "tile_height": tile[1]}
    if picture.pyramid:
        options |= {"pyramid": True, "tile": True, "subifd": Tag.SUBIFDS in page}
    return options


def _carried(picture: ImageFile, *, strip_metadata: bool) -> list[tiff_tags.Directory]:
    """Choose the tags that the new file's pages get from the old one's."""
    structure = tiff_tags.STRUCTURE - {Tag.EXTRA_SAMPLES}
    # ImageJ's says how many planes there are.
    meaning = _MEANING | ({Tag.DESCRIPTION} if picture.imagej else set())

    def kept(tag: int) -> bool:
        return tag in meaning if strip_metadata else tag not in structure

    pages = picture.tags
    if picture.format is not TIFF and "exif-data" in picture.metadata and not strip_metadata:
        # Resolution and orientation are libvips's, which has turned the samples.
        exif = tiff_tags.from_exif(picture.metadata["exif-data"][1])
        written = tiff_tags.RESOLUTION | {Tag.ORIENTATION}
        pages = ({tag: entry for tag, entry in exif.items() if tag not in written},)
    return [
        {tag: _as_read(tag, entry) for tag, entry in page.items() if kept(tag)} for page in pages
    ]


def _as_read(tag: int, entry: tiff_tags.Entry) -> tiff_tags.Entry:
    """Let transparency be told as libvips hands it out, which takes premultiplied colours apart."""
    if tag != Tag.EXTRA_SAMPLES:
        return entry
    meanings = np.frombuffer(entry.data, "<u2")
    apart = np.where(meanings == _PREMULTIPLIED, _TRANSPARENCY, meanings)
    return dataclasses.replace(entry, data=apart.astype("<u2").tobytes())
