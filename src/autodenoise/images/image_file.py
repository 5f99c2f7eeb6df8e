"""A picture file, opened: what it is by its header, and its samples row by row."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autodenoise.errors import InputError
from autodenoise.images.formats import PNG, TIFF, WEBP, Format, detect_format, reason
from autodenoise.images.libvips import pyvips
from autodenoise.images.metadata import imagej
from autodenoise.images.metadata import tiff as tiff_tags
from autodenoise.images.metadata.tiff import TRANSPARENT, Tag, number
from autodenoise.images.samples import IntensityRange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from autodenoise.images.metadata.tiff import ByteOrder, Directory

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
_GREY = frozenset({"b-w", "grey16", "multiband"})
_COLOUR = frozenset({"srgb", "rgb16", "rgb", "scrgb"})

# Fields that are attributes of an image, or that say how this process came to it.
_SHAPE = frozenset(
    {"width", "height", "bands", "format", "coding", "interpretation", "xoffset", "yoffset"}
    | {"xres", "yres", "filename", "vips-loader", "vips-sequential", "n-pages", "n-subifds"}
)

# The raw files of cameras that are TIFF files by their first bytes.
_RAW = frozenset({".arw", ".cr2", ".dng", ".iiq", ".nef", ".nrw", ".pef", ".srw", ".3fr"})

_ROWS = 64
# Deflate makes a thousandth of what is flat, and no less; other ways of coding do.
_BOMB_RATIO = 1_100
_DEFLATED_BOMB, _BOMB = 20_000_000, 300_000_000
_MOST_PIXELS = 1 << 37
_MOST_DENSE = 1e6

_WHITE_IS_ZERO, _RGB, _PALETTE = 0, 2, 3
_SEPARATE = 2
# Levels of pyramids are a half of the one before, or a quarter.
_LARGEST_STEP = 4
_INKS = 4
# None, three of fax machines, LZW, two numbers of JPEG and Deflate each, PackBits, WebP.
_DECODED = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 50001})


@dataclass(frozen=True)
class ImageFile:
    """A picture file that has been opened and not yet decoded.

    Attributes
    ----------
    path, format
        The file, and what it holds by its content.
    width, height
        Of one page, in pixels, as the samples lie (turned upright if that was asked for).
    pages
        Planes of a stack, frames of an animation, or 1.
    colors
        Bands that are denoised: 1 for grey, 3 for RGB, more for unnamed channels. CMYK counts as
        RGB: it comes converted through its profile.
    bands
        `colours`, and the transparency and other samples after them, which are left alone.
    dtype
        Of the samples.
    intensity_range
        What black and white are; None for types whose range only their owner knows.
    bits
        Significant bits of a sample; below 8 the samples are spread over 8.
    cmyk
        Whether the file holds CMYK.
    rotated
        Whether the samples lie otherwise than in the file, since they were to come upright.
    pyramid
        Whether the file holds smaller versions of the picture too.
    imagej
        Whether it is a TIFF of ImageJ's.
    byte_order
        Of a TIFF's numbers.
    tags
        The pages' tags of a TIFF file, else empty.
    metadata
        What libvips keeps beside the samples, by its names: the number of a value's type, and the
        value.
    interpretation, resolution
        libvips's interpretation of the file's samples; pixels a millimetre, across and down.
    source
        The image that decodes the file. One thread at a time may touch it.
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
        """Whether the sample after the colours is the transparency."""
        if self.bands == self.colors or not self.tags:
            return self.bands > self.colors
        extra = self.tags[0].get(Tag.EXTRA_SAMPLES)
        return extra is not None and extra.numbers()[0] in TRANSPARENT

    @property
    def white_is_zero(self) -> bool:
        """Whether the file's white is 0: its samples are decoded to the largest value less them."""
        return _is_negative(self.tags)

    def field(self, name: str) -> Any:
        """Give a value of the metadata; None where there is none."""
        return self.metadata[name][1] if name in self.metadata else None

    def rows(self) -> Iterator[NDArray[Any]]:
        """Decode the samples: consecutive chunks (r, W, bands), which end where a page ends.

        Raises
        ------
        InputError
            The file is damaged.
        """
        region = None
        for page in range(self.pages):
            for top in range(page * self.height, (page + 1) * self.height, _ROWS):
                count = min(_ROWS, (page + 1) * self.height - top)
                try:
                    region = region or pyvips.Region.new(_decoded(self.source))
                    samples = region.fetch(0, top, self.width, count)
                except pyvips.Error as error:
                    raise InputError(
                        f"{self.path} is damaged or cut off: {reason(error)}"
                    ) from None
                yield np.frombuffer(samples, self.dtype).reshape(count, self.width, self.bands)

    def read_region(self, page: int, top: int, left: int, height: int, width: int) -> NDArray[Any]:
        """Decode a part of a page, (height, width, bands), by itself: any thread may.

        Of a tiled TIFF file only the tiles that it lies in are decoded, of others all rows down to
        its last.

        Raises
        ------
        InputError
            The file is damaged.
        """
        try:
            image = self.page(page)
            samples = pyvips.Region.new(image).fetch(left, top, width, height)
        except pyvips.Error as error:
            raise InputError(f"{self.path} is damaged or cut off: {reason(error)}") from None
        return np.frombuffer(samples, self.dtype).reshape(height, width, self.bands)

    def page(self, page: int) -> pyvips.Image:
        """Open a page by itself, for libvips to decode: its samples as `rows` has them.

        Raises
        ------
        pyvips.Error
            The file is no longer what it was.
        """
        if len(self.tags) == 1 < self.pages:
            image = _load(self.path, self.format, 1, whole=False)
            image = _gapless(self.path, image, self.tags[0], self.pages, self.byte_order)
            return _decoded(image.crop(0, page * self.height, self.width, self.height))
        image = _load(self.path, self.format, 1, first=page, whole=self.rotated)
        return _decoded(image.autorot() if self.rotated else image)


def open_image(path: Path, *, upright: bool = False) -> ImageFile:
    """Open a picture file: read its header, and check that it can be worked on.

    Parameters
    ----------
    path
        A file of one of the `formats`, told by its content.
    upright
        Turn the samples as the orientation tag says, and forget the tag.

    Raises
    ------
    InputError
        The file is missing, damaged, declares more than it can hold, or has samples of a kind that
        is not worked on.
    """
    form = detect_format(path)
    if form is PNG:
        _check_still(path)
    tags = tuple(tiff_tags.read_directories(path)) if form is TIFF else ()
    if tags and (Tag.DNG_VERSION in tags[0] or path.suffix.lower() in _RAW):
        raise InputError(
            f"{path} is a camera's raw file, which has to be developed first; only its thumbnail "
            "could be read"
        )
    for page in tags:
        _check_layout(path, page)
    stack = imagej.planes(tags[0]) if tags else 0
    order: ByteOrder = tiff_tags.byte_order(path) if tags else "<"
    pages = _pages(path, tags)
    try:
        header = _load(path, form, pages, whole=False)
        if form is WEBP:
            pages = _field(header, "n-pages", 1)
            header = _load(path, form, pages, whole=False)
        if len(tags) == 1 and stack > 1:
            header, pages = _gapless(path, header, tags[0], stack, order), stack
        _check_declared(path, form, header)
        turned = upright and _field(header, "orientation", 1) > 1 and pages == 1
        if turned:
            # To turn a picture is to read it out of order.
            header = _load(path, form, pages, whole=True).autorot()
        image = _decoded(header)
    except pyvips.Error as error:
        raise InputError(f"cannot read {path}: {reason(error)}") from None
    height = _field(header, "page-height", header.height) if pages > 1 else header.height
    if height < 1 or height * pages != header.height:
        raise InputError(f"cannot read {path}: its {pages} pages are not of one size")
    cmyk = header.interpretation == "cmyk"
    if cmyk and header.bands > _INKS and header.format != "uchar":
        raise InputError(f"{path} has CMYK of 16 bits with more channels; save it with 8 bits")
    if image.format not in _TYPES or image.interpretation not in _GREY | _COLOUR:
        raise InputError(
            f"{path} has samples of type {image.format}, meaning {image.interpretation}; expected "
            "grey, RGB or CMYK of 8, 16 or 32 bits"
        )
    if _is_negative(tags) and np.dtype(_TYPES[image.format]).kind != "u":
        raise InputError(
            f"{path} is a negative (MinIsWhite) with samples of type {image.format}, which can be "
            "read only if they are unsigned; save it as MinIsBlack"
        )
    bits = _field(header, "bits-per-sample", 8 * np.dtype(_TYPES[image.format]).itemsize)
    if bits == 16 and image.format == "float":
        raise InputError(f"{path} has 16-bit floats; convert it to 32-bit floats first")
    dtype = np.dtype(_TYPES[image.format])
    return ImageFile(
        path=path,
        format=form,
        width=image.width,
        height=height,
        pages=pages,
        colors=_colours(image, tags),
        bands=image.bands,
        dtype=dtype,
        intensity_range=_declared_range(tags[:pages])
        if dtype.kind == "f"
        else IntensityRange.of(dtype),
        bits=bits,
        cmyk=cmyk,
        rotated=turned,
        pyramid=_is_pyramid(path, tags, pages),
        imagej=stack > 0 and imagej.fits((height, image.width, image.bands), dtype) and not cmyk,
        byte_order=order,
        tags=tags[:pages],
        metadata={
            name: (header.get_typeof(name), header.get(name))
            for name in header.get_fields()
            if name not in _SHAPE
        },
        interpretation=header.interpretation,
        # A damaged file may say anything; libvips takes no more than this.
        resolution=(min(header.xres, _MOST_DENSE), min(header.yres, _MOST_DENSE)),
        source=header,
    )


def _load(path: Path, form: Format, pages: int, *, whole: bool, first: int = 0) -> pyvips.Image:
    several = {"n": pages, "page": first} if form.pages else {}
    access = "random" if whole else "sequential"
    # To libvips, rows of a TIFF that are not there are an error like others, else they are black.
    fail_on = "error" if form is TIFF else "truncated"
    # What is read out of order libvips keeps by its path, and the file may be another one by now.
    image: pyvips.Image = pyvips.Operation.call(
        form.loader,
        os.fsencode(path),
        access=access,
        fail_on=fail_on,
        revalidate=True,
        **several,
    )
    return image


def _gapless(
    path: Path, header: pyvips.Image, page: Directory, count: int, order: ByteOrder
) -> pyvips.Image:
    """Open a stack of ImageJ's that has one directory for all its planes."""
    if number(page, Tag.PHOTOMETRIC, 1) == _PALETTE:
        raise InputError(
            f"{path} is a stack of ImageJ's with a look-up table and one directory; save it as grey"
        )
    sample = np.dtype(_TYPES.get(header.format, np.uint8)).itemsize
    start = number(page, Tag.STRIP_PLACES, 0)
    size = header.width * header.height * header.bands * sample
    if number(page, Tag.COMPRESSION, 1) != 1 or start + count * size > path.stat().st_size:
        raise InputError(
            f"cannot read {path}: ImageJ says that it has {count} planes, but it is too short"
        )
    stack = pyvips.Image.rawload(
        os.fsencode(path),
        header.width,
        header.height * count,
        header.bands,
        offset=start,
        format=header.format,
        interpretation=header.interpretation,
    )
    stack = (stack.byteswap() if order == ">" and sample > 1 else stack).copy()
    if number(page, Tag.PHOTOMETRIC, 1) == _WHITE_IS_ZERO and header.format in ("uchar", "ushort"):
        # libvips turns them where it decodes.
        stack = stack.invert().copy()
    for name in ("orientation", "resolution-unit", "icc-profile-data"):
        if header.get_typeof(name):
            stack.set_type(header.get_typeof(name), name, header.get(name))
    stack.set_type(pyvips.GValue.gint_type, "page-height", header.height)
    return stack


def _decoded(header: pyvips.Image) -> pyvips.Image:
    """Give the samples as they are worked on: CMYK through its profile to sRGB."""
    if header.interpretation != "cmyk":
        return header
    depth = 16 if header.format == "ushort" else 8
    return header.icc_transform("srgb", embedded=True, input_profile="cmyk", depth=depth)


def _pages(path: Path, tags: tuple[Directory, ...]) -> int:
    """Count the pages of a TIFF file that are pictures of their own, and no smaller versions."""
    if len(tags) < 2:
        return 1
    reduced = [number(page, Tag.SUBFILE_TYPE, 0) & 1 for page in tags]
    if not any(reduced[1:]):
        return len(tags)
    if all(reduced[1:]):
        return 1
    raise InputError(
        f"{path} mixes pages and smaller versions of pages; split it into one picture a file"
    )


def _is_negative(tags: tuple[Directory, ...]) -> bool:
    return bool(tags) and number(tags[0], Tag.PHOTOMETRIC, 1) == _WHITE_IS_ZERO


def _is_pyramid(path: Path, tags: tuple[Directory, ...], pages: int) -> bool:
    """Tell whether smaller versions of the picture are a pyramid's levels, and no thumbnail."""
    if len(tags) > pages:
        below = tags[pages]
    elif tags and Tag.SUBIFDS in tags[0]:
        below = tiff_tags.read_directory(path, number(tags[0], Tag.SUBIFDS, 0))
    else:
        return False
    alike = all(number(below, tag, 1) == number(tags[0], tag, 1) for tag in (Tag.BITS, Tag.BANDS))
    width = number(below, Tag.WIDTH, 0)
    return alike and (width + 1) * _LARGEST_STEP >= number(tags[0], Tag.WIDTH, 0)


def _colours(image: pyvips.Image, tags: tuple[Directory, ...]) -> int:
    bands: int = image.bands
    if image.interpretation in _COLOUR:
        return min(3, bands)
    if tags:
        # Only TIFF tells transparency from a further channel.
        extra = tags[0][Tag.EXTRA_SAMPLES].numbers() if Tag.EXTRA_SAMPLES in tags[0] else ()
        return max(1, bands - sum(1 for meaning in extra if meaning in TRANSPARENT))
    return 1


def _check_layout(path: Path, page: Directory) -> None:
    """Refuse what libvips would decode to something else without a word."""
    coded = number(page, Tag.COMPRESSION, 1)
    if coded not in _DECODED:
        raise InputError(
            f"{path} is compressed by TIFF's method {coded}, which cannot be decoded here; save it "
            "with LZW, Deflate or none"
        )
    apart = number(page, Tag.PLANES, 1) == _SEPARATE and number(page, Tag.BANDS, 1) > 1
    if apart and number(page, Tag.PHOTOMETRIC, 1) != _RGB:
        raise InputError(
            f"{path} stores its channels in separate planes, which can be read of RGB alone; save "
            "it with the channels of a pixel side by side, or one page a channel"
        )


def _check_still(path: Path) -> None:
    """Refuse an animated PNG, of which libvips reads the first frame alone."""
    with path.open("rb") as file:
        before = file.read(1 << 16).partition(b"IDAT")[0]
    if b"acTL" in before:
        raise InputError(f"{path} is an animated PNG; expected one picture, or an animated WebP")


def _declared_range(tags: tuple[Directory, ...]) -> IntensityRange | None:
    if not tags or any(not {Tag.MIN_SAMPLE, Tag.MAX_SAMPLE} <= page.keys() for page in tags):
        return None
    lows = [page[Tag.MIN_SAMPLE].numbers() for page in tags]
    highs = [page[Tag.MAX_SAMPLE].numbers() for page in tags]
    if not all((*lows, *highs)):
        return None
    low, high = min(map(min, lows)), max(map(max, highs))
    known = np.isfinite(np.concatenate([*lows, *highs])).all() and low < high
    return IntensityRange(low, high) if known else None


def _field(image: pyvips.Image, name: str, default: int) -> int:
    return int(image.get(name)) if image.get_typeof(name) else default


def _check_declared(path: Path, form: Format, header: pyvips.Image) -> None:
    """Refuse what declares far more samples than a file of its size can hold, before decoding."""
    samples = header.width * header.height * header.bands
    size = path.stat().st_size
    deflated = form in (PNG, TIFF) and _field(header, "bits-per-sample", 8) >= 8
    least = _DEFLATED_BOMB if deflated else _BOMB
    if samples > _MOST_PIXELS or (samples > least and samples > size * _BOMB_RATIO):
        raise InputError(
            f"{path} declares {header.width:,} x {header.height:,} pixels in a file of {size:,} "
            "bytes; that is not a picture but a way to fill memory. It was not decoded"
        )
