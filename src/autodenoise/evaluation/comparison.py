"""Measure the change between two images of the same size, such as a noisy and a denoised one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from autodenoise.errors import InputError
from autodenoise.images import IntensityRange, open_image
from autodenoise.metrics import ssim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Pixels = NDArray[np.float32]

__all__ = ["MAX_PIXELS", "Change", "Pair", "gain", "measure"]

MAX_PIXELS = 250_000_000
"""Larger images are refused: both are kept in memory, 6 bytes per pixel for 8-bit RGB."""

_LEVELS = 255
_MAX_GAIN, _MAX_MEAN = 64, 32 / 255
_BATCH = 1 << 18  # pixels in floats at a time
_SSIM_SIDE = 11
# Half a step of 16 bits, since blending with gray rounds.
_EQUAL = 0.5 / 65535

# The orthonormal high-pass filter of Daubechies' wavelet with two vanishing moments ("db2").
_ROOT = np.sqrt(3)
_HIGH_PASS = np.array([_ROOT - 1, 3 - _ROOT, -3 - _ROOT, 1 + _ROOT]) / np.sqrt(32)
_NORMAL_MEDIAN = 0.6744897501960817  # median of |x| for a standard normal x
_NOISE_STEPS = 1 << 16


@dataclass(frozen=True)
class Change:
    """The difference between two images.

    Changes and noise are in 8-bit levels, 0 to 255, for any depth, over all color channels.
    Transparent images are compared on a mid-gray background.

    Attributes
    ----------
    width, height
        Size of both images in pixels.
    psnr
        In dB, peak 255; None if the images are equal.
    ssim
        None if a side is smaller than the window of 11 pixels.
    mean_change, largest_change
        Mean and maximum of the absolute difference.
    brightness_shift
        Mean of the second image minus mean of the first.
    changed
        Fraction of the pixels that differ by half a step of 16 bits or more.
    noise_before, noise_after
        Estimated sigma of the noise in each, see `measure`; None if a side is smaller than the
        filter's 4 pixels.
    """

    width: int
    height: int
    psnr: float | None
    ssim: float | None
    mean_change: float
    largest_change: float
    brightness_shift: float
    changed: float
    noise_before: float | None
    noise_after: float | None


@dataclass(frozen=True)
class Pair:
    """Two images to compare, as stored in their files.

    Attributes
    ----------
    before, after
        (H, W, C) samples of equal height and width: gray or RGB, with or without alpha.
    before_range, after_range
        Their intensity ranges; None: the range of the dtype, for floats 0 to 1.

    Raises
    ------
    InputError
        The sizes differ, or an image has other channels or samples.
    """

    before: NDArray[Any]
    after: NDArray[Any]
    before_range: IntensityRange | None = None
    after_range: IntensityRange | None = None

    def __post_init__(self) -> None:
        one, other = (
            f"{width}x{height}" for height, width, _ in (self.before.shape, self.after.shape)
        )
        if one != other:
            raise InputError(
                f"only images of one size can be compared; before has {one} pixels, after {other}"
            )
        for name, samples, intensity_range in (
            ("before", self.before, self.before_range),
            ("after", self.after, self.after_range),
        ):
            if not 1 <= samples.shape[2] <= 4:
                raise InputError(
                    f"the image {name} has {samples.shape[2]} channels; "
                    "expected gray or RGB, with or without alpha"
                )
            if samples.dtype.kind != "f" and not (
                intensity_range or IntensityRange.for_dtype(samples.dtype)
            ):
                raise InputError(
                    f"the image {name} has {samples.dtype} samples of unknown intensity range; set "
                    "the values of black and white with --range"
                )

    @classmethod
    def read(cls, before: Path, after: Path, intensity_range: IntensityRange | None = None) -> Self:
        """Read two image files with one page each.

        The intensity range is by default that of the dtypes and the files' metadata. Raise
        InputError if a file cannot be read or has more than `MAX_PIXELS`, or the two do not match.
        """
        (one, one_range), (other, other_range) = (_read(path) for path in (before, after))
        return cls(one, other, intensity_range or one_range, intensity_range or other_range)

    @property
    def height(self) -> int:
        """Height of both images in pixels."""
        return int(self.before.shape[0])

    @property
    def width(self) -> int:
        """Width of both images in pixels."""
        return int(self.before.shape[1])

    @property
    def channels(self) -> int:
        """Color channels that are compared: 3 if either image has them."""
        return max(3 if samples.shape[2] > 2 else 1 for samples in (self.before, self.after))

    def part(self, rows: slice, columns: slice = slice(None)) -> tuple[Pixels, Pixels]:
        """Return a region of both as images (h, w, `channels`), black at 0 and white at 1.

        Raises
        ------
        InputError
            Float samples need an intensity range, or contain NaN or infinity.
        """
        return (
            self._image(self.before[rows, columns], self.before_range),
            self._image(self.after[rows, columns], self.after_range),
        )

    def strips(self, overlap: int = 0, multiple: int = 1) -> Iterator[tuple[int, Pixels, Pixels]]:
        """Iterate over both images from top to bottom in strips of rows.

        Yield the number of new rows, a multiple of `multiple` except in the last strip, and the
        strips as `part` returns them, which also have the next `overlap` rows.
        """
        step = -(-max(1, _BATCH // self.width) // multiple) * multiple
        for top in range(0, self.height, step):
            yield min(step, self.height - top), *self.part(slice(top, top + step + overlap))

    def _image(self, samples: NDArray[Any], intensity_range: IntensityRange | None) -> Pixels:
        own = IntensityRange.for_dtype(samples.dtype) or IntensityRange(0, 1)
        opaque = samples.shape[2] % 2 == 1
        image = (intensity_range or own).to_float(samples if opaque else samples[..., :-1])
        if not np.isfinite(image).all():
            raise InputError("an image contains NaN or infinity")
        if intensity_range is None and not ((image >= 0) & (image <= 1)).all():
            raise InputError(
                f"an image has float samples from {image.min():g} to {image.max():g}; if black and "
                "white are not 0 and 1, set them with --range"
            )
        if not opaque:
            # Black and white drawings are both visible on mid-gray.
            image = 0.5 + (image - 0.5) * own.to_float(samples[..., -1:]).clip(0, 1)
        return np.broadcast_to(image, (*image.shape[:2], self.channels))


def _read(path: Path) -> tuple[NDArray[Any], IntensityRange | None]:
    image = open_image(path, upright=True)
    if image.width * image.height > MAX_PIXELS:
        raise InputError(
            f"{path} has {image.width}x{image.height} pixels, and at most "
            f"{MAX_PIXELS // 1_000_000} million can be compared; crop both to the same region"
        )
    if image.pages > 1 or image.colors not in (1, 3):
        raise InputError(
            f"{path} has {image.pages} page(s) of {image.colors} channel(s); "
            "expected one, gray or RGB"
        )
    channels = image.colors + image.has_alpha
    rows = (chunk[..., :channels] for chunk in image.rows())
    return np.concatenate(list(rows)), image.intensity_range


def measure(pair: Pair) -> Change:
    """Measure the difference between two images.

    PSNR and SSIM are those of `autodenoise.metrics`. The noise is the median absolute value of the
    finest diagonal coefficients of the db2 wavelet, divided by 0.6745: images have little energy
    there, and noise has its full strength. Coefficients of 0 are ignored, since they come from
    clipped or painted areas.

    References
    ----------
    Donoho, Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 1994. Equals
    scikit-image's ``estimate_sigma`` except at the borders.
    """
    squares = absolutes = shift = largest = structure = 0.0
    changed = windows = 0
    noise_before, noise_after = _Noise(), _Noise()
    # The overlap completes the windows that begin in the last rows of a strip.
    for rows, before, after in pair.strips(overlap=_SSIM_SIDE - 1, multiple=2):
        difference = np.subtract(after[:rows], before[:rows], dtype=np.float64)
        shift += difference.sum()
        squares += np.square(difference).sum()
        np.abs(difference, out=difference)
        absolutes += difference.sum()
        largest = max(largest, difference.max())
        changed += int((difference > _EQUAL).any(axis=2).sum())
        if min(before.shape[:2]) >= _SSIM_SIDE:
            count = before.shape[0] - _SSIM_SIDE + 1
            structure += count * float(ssim(before[None], after[None])[0])
            windows += count
        noise_before.add(before[: rows + 2])
        noise_after.add(after[: rows + 2])
    pixels = pair.width * pair.height
    values = pixels * pair.channels
    return Change(
        width=pair.width,
        height=pair.height,
        psnr=float(-10 * np.log10(squares / values)) if changed else None,
        ssim=structure / windows if windows else None,
        mean_change=float(_LEVELS * absolutes / values),
        largest_change=float(_LEVELS * largest),
        brightness_shift=float(_LEVELS * shift / values),
        changed=changed / pixels,
        noise_before=noise_before.sigma(),
        noise_after=noise_after.sigma(),
    )


class _Noise:
    """The median absolute wavelet coefficient, counted in steps of 1/65536 strip by strip."""

    def __init__(self) -> None:
        self._counts = np.zeros(2 * _NOISE_STEPS, np.int64)
        self._large_enough = False

    def add(self, image: Pixels) -> None:
        """Count a strip's coefficients; its first row has an even index in the image."""
        rows, columns = ((side - 2) // 2 * 2 for side in image.shape[:2])
        if rows < 2 or columns < 2:
            return
        self._large_enough = True
        high = sum(tap * image[k : k + rows : 2] for k, tap in enumerate(_HIGH_PASS))
        high = sum(tap * high[:, k : k + columns : 2] for k, tap in enumerate(_HIGH_PASS))
        steps = np.minimum(np.abs(high) * _NOISE_STEPS + 0.5, len(self._counts) - 1)
        self._counts += np.bincount(steps.astype(np.int64).ravel(), minlength=len(self._counts))

    def sigma(self) -> float | None:
        """Return the estimate in 8-bit levels."""
        if not self._large_enough:
            return None
        total = np.cumsum(self._counts[1:])
        if total[-1] == 0:
            return 0.0
        median = 1 + int(np.searchsorted(total, total[-1] / 2))
        return _LEVELS * median / _NOISE_STEPS / _NORMAL_MEDIAN


def gain(difference: Pixels) -> int:
    """Return the factor that shows a difference around mid-gray: a power of two up to 64.

    It is the largest one with which the mean change is at most 32 of 255.
    """
    mean = float(np.abs(difference).mean())
    found = _MAX_GAIN
    while found > 1 and found * mean > _MAX_MEAN:
        found //= 2
    return found
