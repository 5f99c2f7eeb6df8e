"""An open image file: its header, and its samples row by row."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autodenoise.errors import InputError
from autodenoise.images.formats import PNG, TIFF, WEBP, Format, detect_format
from autodenoise.images.intensity import IntensityRange
from autodenoise.images.libvips import error_text, pyvips
from autodenoise.images.metadata import imagej
from autodenoise.images.metadata import tiff as tiff_tags
from autodenoise.images.metadata.tiff import ALPHA, ByteOrder, Directory, Tag, first_value

__all__ = ["ImageFile", "open_image"]

_TYPES: dict[str, type[np.generic]] = {
    "uchar": np.uint8,
    "char": np.int8,
    "ushort": np.uint16,
    "short": np.int16,
    "uint": np.uint32,
    "int": np.int32,
    "float": np.float32,
}
_GRAY = frozenset({"b-w", "grey16", "multiband"})
_COLOR = frozenset({"srgb", "rgb16", "rgb", "scrgb"})

# libvips fields that duplicate attributes, or that depend on how the file was opened.
_NOT_METADATA = frozenset(
    {"width", "height", "bands", "format", "coding", "interpretation", "xoffset", "yoffset"}
    | {"xres", "yres", "filename", "vips-loader", "vips-sequential", "n-pages", "n-subifds"}
)

# Camera raw files that start like a TIFF.
_RAW_SUFFIXES = frozenset({".arw", ".cr2", ".dng", ".iiq", ".nef", ".nrw", ".pef", ".srw", ".3fr"})

_ROWS_PER_CHUNK = 64
# Deflate compresses by a factor of 1000 at most; other methods exceed that on flat images.
_BOMB_RATIO = 1_100
_MIN_DEFLATE_BOMB_SAMPLES, _MIN_BOMB_SAMPLES = 20_000_000, 300_000_000
_MAX_SAMPLES = 1 << 37
# libvips accepts no higher resolution; a damaged file may declare one.
_MAX_PIXELS_PER_MM = 1e6

_WHITE_IS_ZERO, _RGB, _PALETTE = 0, 2, 3
_SEPARATE = 2
# Each pyramid level is half or a quarter as wide as the one above.
_MAX_PYRAMID_STEP = 4
_INKS = 4
# None, three fax methods, LZW, two codes each for JPEG and Deflate, PackBits, WebP.
_SUPPORTED_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 50001})


@dataclass(frozen=True)
class ImageFile:
    """An image file whose header has been read and whose samples are not decoded yet.

    Its methods raise `InputError` if the file is damaged.

    Attributes
    ----------
    path, format
        The file, and its format by its content.
    width, height
        Size of a page in pixels, after rotation if `rotated`.
    pages
        Number of planes of a stack or frames of an animation, else 1.
    colors
        Number of bands that are denoised: 1 for gray, 3 for RGB, more for unnamed channels. CMYK is
        converted to RGB through its profile.
    bands
        Number of all bands: `colors`, then transparency and others, which stay unchanged.
    dtype
        Type of the samples.
    intensity_range
        The values of black and white; None for types that do not imply them.
    bits
        Significant bits per sample; below 8 the samples are scaled to 8 bits.
    cmyk
        Whether the file holds CMYK.
    rotated
        Whether the samples were rotated from their order in the file to be upright.
    pyramid
        Whether the file also holds smaller versions of the image.
    imagej
        Whether it is an ImageJ TIFF that can be written again as one.
    byte_order
        Byte order of a TIFF file.
    tags
        Tags of each page of a TIFF file, else empty.
    metadata
        All other fields that libvips reads, by name: the type code and the value.
    interpretation, resolution
        libvips's interpretation of the file's samples; pixels per millimeter, horizontally and
        vertically.
    source
        The libvips image that decodes the file. Only one thread may use it at a time.
    """

    path: Path
    format: Format
    width: int
    height: int
    pages: int
    colors: int
    bands: int
    dtype: np.dtype[Any]
    intensity_range: IntensityRange | None
    bits: int
    cmyk: bool
    rotated: bool
    pyramid: bool
    imagej: bool
    byte_order: ByteOrder
    tags: tuple[Directory, ...]
    metadata: Mapping[str, tuple[int, Any]]
    interpretation: str
    resolution: tuple[float, float]
    source: pyvips.Image

    @property
    def has_alpha(self) -> bool:
        """Whether the band after the colors is transparency."""
        if self.bands == self.colors or not self.tags:
            return self.bands > self.colors
        return first_value(self.tags[0], Tag.EXTRA_SAMPLES, 0) in ALPHA

    @property
    def white_is_zero(self) -> bool:
        """Whether 0 is white in the file (MinIsWhite); the decoded samples are inverted."""
        return _white_is_zero(self.tags)

    def field(self, name: str) -> Any:
        """Return a value of `metadata`, or None."""
        return self.metadata[name][1] if name in self.metadata else None

    def rows(self) -> Iterator[NDArray[Any]]:
        """Decode the samples in consecutive chunks (r, W, bands), which do not cross pages."""
        region = None
        for page in range(self.pages):
            for top in range(page * self.height, (page + 1) * self.height, _ROWS_PER_CHUNK):
                count = min(_ROWS_PER_CHUNK, (page + 1) * self.height - top)
                try:
                    region = region or pyvips.Region.new(_convert_cmyk(self.source))
                    samples = region.fetch(0, top, self.width, count)
                except pyvips.Error as error:
                    raise self.damaged(error) from None
                yield np.frombuffer(samples, self.dtype).reshape(count, self.width, self.bands)

    def read_region(self, page: int, top: int, left: int, height: int, width: int) -> NDArray[Any]:
        """Decode a region of a page, (height, width, bands). Thread-safe.

        Of a tiled TIFF only the tiles that overlap the region are decoded; of other files, all rows
        down to its last.
        """
        try:
            samples = pyvips.Region.new(self.load_page(page)).fetch(left, top, width, height)
        except pyvips.Error as error:
            raise self.damaged(error) from None
        return np.frombuffer(samples, self.dtype).reshape(height, width, self.bands)

    def load_page(self, page: int) -> pyvips.Image:
        """Open a page, counted from 0, as a libvips image with the same samples as `rows`."""
        if len(self.tags) == 1 < self.pages:
            image = _load(self.path, self.format, 1, random_access=False)
            image = _open_gapless(self.path, image, self.tags[0], self.pages, self.byte_order)
            return _convert_cmyk(image.crop(0, page * self.height, self.width, self.height))
        image = _load(self.path, self.format, 1, first=page, random_access=self.rotated)
        return _convert_cmyk(image.autorot() if self.rotated else image)

    def damaged(self, error: pyvips.Error) -> InputError:
        """Return the error to raise where libvips fails to decode the file."""
        return InputError(f"{self.path} is damaged or cut off: {error_text(error)}")


def open_image(path: Path, *, upright: bool = False) -> ImageFile:
    """Read the header of an image file, and check that it can be denoised.

    Parameters
    ----------
    path
        A file in one of the `formats`, recognized by its content.
    upright
        Rotate or flip the samples as the orientation tag says, and drop the tag.

    Raises
    ------
    InputError
        The file is missing, damaged, declares more than it can hold, or has unsupported samples.
    """
    form = detect_format(path)
    if form is PNG:
        _check_not_animated(path)
    order: ByteOrder = "<"
    tags: tuple[Directory, ...] = ()
    if form is TIFF:
        order, tags = tiff_tags.read_directories(path)
    if tags and (Tag.DNG_VERSION in tags[0] or path.suffix.lower() in _RAW_SUFFIXES):
        raise InputError(
            f"{path} is a camera raw file, of which only the thumbnail could be read; "
            "develop it to TIFF first"
        )
    for page in tags:
        _check_layout(path, page)
    planes = imagej.plane_count(tags[0]) if tags else 0
    pages = _page_count(path, tags)
    try:
        header = _load(path, form, pages, random_access=False)
        if form is WEBP:
            pages = _field(header, "n-pages", 1)
            header = _load(path, form, pages, random_access=False)
        if len(tags) == 1 and planes > 1:
            header, pages = _open_gapless(path, header, tags[0], planes, order), planes
        _check_declared_size(path, form, header)
        rotated = upright and _field(header, "orientation", 1) > 1 and pages == 1
        if rotated:
            header = _load(path, form, pages, random_access=True).autorot()
        image = _convert_cmyk(header)
    except pyvips.Error as error:
        raise InputError(f"cannot read {path}: {error_text(error)}") from None
    height = _field(header, "page-height", header.height) if pages > 1 else header.height
    if height < 1 or height * pages != header.height:
        raise InputError(f"cannot read {path}: its {pages} pages differ in size")
    cmyk = header.interpretation == "cmyk"
    if cmyk and header.bands > _INKS and header.format != "uchar":
        raise InputError(f"{path} has 16-bit CMYK with extra channels; save it with 8 bits")
    if image.format not in _TYPES or image.interpretation not in _GRAY | _COLOR:
        raise InputError(
            f"{path} has samples of type {image.format}, interpreted as {image.interpretation}; "
            "expected gray, RGB or CMYK of 8, 16 or 32 bits"
        )
    dtype = np.dtype(_TYPES[image.format])
    if _white_is_zero(tags) and dtype.kind != "u":
        raise InputError(
            f"{path} is a negative (MinIsWhite) with samples of type {image.format}; only unsigned "
            "samples are supported, save it as MinIsBlack"
        )
    bits = _field(header, "bits-per-sample", 8 * dtype.itemsize)
    if bits == 16 and image.format == "float":
        raise InputError(f"{path} has 16-bit floats; convert it to 32-bit floats first")
    declared = _declared_range(tags[:pages]) if dtype.kind == "f" else None
    shape = (height, image.width, image.bands)
    return ImageFile(
        path=path,
        format=form,
        width=image.width,
        height=height,
        pages=pages,
        colors=_color_count(image, tags),
        bands=image.bands,
        dtype=dtype,
        intensity_range=declared or IntensityRange.for_dtype(dtype),
        bits=bits,
        cmyk=cmyk,
        rotated=rotated,
        pyramid=_is_pyramid(path, tags, pages),
        imagej=planes > 0 and not cmyk and imagej.supports(shape, dtype),
        byte_order=order,
        tags=tags[:pages],
        metadata={
            name: (header.get_typeof(name), header.get(name))
            for name in header.get_fields()
            if name not in _NOT_METADATA
        },
        interpretation=header.interpretation,
        resolution=(min(header.xres, _MAX_PIXELS_PER_MM), min(header.yres, _MAX_PIXELS_PER_MM)),
        source=header,
    )


def _load(
    path: Path, form: Format, pages: int, *, random_access: bool, first: int = 0
) -> pyvips.Image:
    page_range = {"n": pages, "page": first} if form.pages else {}
    return pyvips.Operation.call(
        form.loader,
        os.fsencode(path),
        access="random" if random_access else "sequential",
        # libvips reads missing rows of a TIFF as black unless all errors count.
        fail_on="error" if form is TIFF else "truncated",
        # libvips caches images by path, and the file may have changed since.
        revalidate=True,
        **page_range,
    )


def _open_gapless(
    path: Path, header: pyvips.Image, page: Directory, count: int, order: ByteOrder
) -> pyvips.Image:
    """Open an ImageJ stack that has a single directory for all its planes."""
    photometric = first_value(page, Tag.PHOTOMETRIC, 1)
    if photometric == _PALETTE:
        raise InputError(
            f"{path} is an ImageJ stack with a look-up table and one directory; save it as gray"
        )
    sample_bytes = np.dtype(_TYPES.get(header.format, np.uint8)).itemsize
    start = first_value(page, Tag.STRIP_OFFSETS, 0)
    size = header.width * header.height * header.bands * sample_bytes
    if first_value(page, Tag.COMPRESSION, 1) != 1 or start + count * size > path.stat().st_size:
        raise InputError(
            f"cannot read {path}: ImageJ declares {count} planes, but the file is too short"
        )
    shape = (header.width, header.height * count, header.bands)
    samples = {"format": header.format, "interpretation": header.interpretation}
    stack = pyvips.Image.rawload(os.fsencode(path), *shape, offset=start, **samples)
    stack = (stack.byteswap() if order == ">" and sample_bytes > 1 else stack).copy()
    if photometric == _WHITE_IS_ZERO and header.format in ("uchar", "ushort"):
        # libvips's TIFF decoder does this, its raw decoder does not.
        stack = stack.invert().copy()
    for name in ("orientation", "resolution-unit", "icc-profile-data"):
        if header.get_typeof(name):
            stack.set_type(header.get_typeof(name), name, header.get(name))
    stack.set_type(pyvips.GValue.gint_type, "page-height", header.height)
    return stack


def _convert_cmyk(header: pyvips.Image) -> pyvips.Image:
    """Convert CMYK to sRGB through its profile; return other images as they are."""
    if header.interpretation != "cmyk":
        return header
    depth = 16 if header.format == "ushort" else 8
    return header.icc_transform("srgb", embedded=True, input_profile="cmyk", depth=depth)


def _page_count(path: Path, tags: tuple[Directory, ...]) -> int:
    """Count the pages of a TIFF file, without smaller versions of them."""
    if len(tags) < 2:
        return 1
    reduced = [first_value(page, Tag.SUBFILE_TYPE, 0) & 1 for page in tags]
    if not any(reduced[1:]):
        return len(tags)
    if all(reduced[1:]):
        return 1
    raise InputError(
        f"{path} mixes pages and smaller versions of pages; split it into one image per file"
    )


def _white_is_zero(tags: tuple[Directory, ...]) -> bool:
    return bool(tags) and first_value(tags[0], Tag.PHOTOMETRIC, 1) == _WHITE_IS_ZERO


def _is_pyramid(path: Path, tags: tuple[Directory, ...], pages: int) -> bool:
    """Return whether smaller versions of the image are pyramid levels, not a thumbnail."""
    if len(tags) > pages:
        below = tags[pages]
    elif tags and Tag.SUBIFDS in tags[0]:
        below = tiff_tags.read_directory(path, first_value(tags[0], Tag.SUBIFDS, 0))
    else:
        return False
    same_samples = all(
        first_value(below, tag, 1) == first_value(tags[0], tag, 1)
        for tag in (Tag.BITS_PER_SAMPLE, Tag.SAMPLES_PER_PIXEL)
    )
    width = first_value(below, Tag.WIDTH, 0)
    return same_samples and (width + 1) * _MAX_PYRAMID_STEP >= first_value(tags[0], Tag.WIDTH, 0)


def _color_count(image: pyvips.Image, tags: tuple[Directory, ...]) -> int:
    bands: int = image.bands
    if image.interpretation in _COLOR:
        return min(3, bands)
    # Only TIFF distinguishes transparency from further channels.
    if not tags or Tag.EXTRA_SAMPLES not in tags[0]:
        return bands if tags else 1
    return max(1, bands - sum(kind in ALPHA for kind in tags[0][Tag.EXTRA_SAMPLES].numbers()))


def _check_layout(path: Path, page: Directory) -> None:
    """Reject layouts that libvips would silently decode wrongly."""
    compression = first_value(page, Tag.COMPRESSION, 1)
    if compression not in _SUPPORTED_COMPRESSIONS:
        raise InputError(
            f"{path} uses TIFF compression {compression}, which is not supported; save it with "
            "LZW, Deflate or no compression"
        )
    separate = first_value(page, Tag.PLANAR_CONFIGURATION, 1) == _SEPARATE
    several = first_value(page, Tag.SAMPLES_PER_PIXEL, 1) > 1
    if separate and several and first_value(page, Tag.PHOTOMETRIC, 1) != _RGB:
        raise InputError(
            f"{path} stores its channels in separate planes, which is supported for RGB only; "
            "save it with interleaved channels, or with one page per channel"
        )


def _check_not_animated(path: Path) -> None:
    """Reject an animated PNG, of which libvips would read the first frame only."""
    with path.open("rb") as file:
        before_pixels = file.read(1 << 16).partition(b"IDAT")[0]
    if b"acTL" in before_pixels:
        raise InputError(f"{path} is an animated PNG; save it as an animated WebP or single images")


def _declared_range(tags: tuple[Directory, ...]) -> IntensityRange | None:
    if not tags or any(not {Tag.MIN_SAMPLE, Tag.MAX_SAMPLE} <= page.keys() for page in tags):
        return None
    lows = [page[Tag.MIN_SAMPLE].numbers() for page in tags]
    highs = [page[Tag.MAX_SAMPLE].numbers() for page in tags]
    if not all((*lows, *highs)):
        return None
    low, high = min(map(min, lows)), max(map(max, highs))
    valid = np.isfinite(np.concatenate([*lows, *highs])).all() and low < high
    return IntensityRange(low, high) if valid else None


def _field(image: pyvips.Image, name: str, default: int) -> int:
    return int(image.get(name)) if image.get_typeof(name) else default


def _check_declared_size(path: Path, form: Format, header: pyvips.Image) -> None:
    """Reject decompression bombs: headers that declare far more samples than the file can hold."""
    samples = header.width * header.height * header.bands
    size = path.stat().st_size
    deflated = form in (PNG, TIFF) and _field(header, "bits-per-sample", 8) >= 8
    allowed = _MIN_DEFLATE_BOMB_SAMPLES if deflated else _MIN_BOMB_SAMPLES
    if samples > _MAX_SAMPLES or (samples > allowed and samples > size * _BOMB_RATIO):
        raise InputError(
            f"{path} declares {header.width:,} x {header.height:,} pixels in a file of {size:,} "
            "bytes, as decompression bombs do; it was not decoded"
        )
