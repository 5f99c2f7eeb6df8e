"""Two pictures of one thing, such as a noisy one and the denoised: what changed, in numbers."""

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

__all__ = ["MOST_PIXELS", "Change", "Pair", "gain", "measure"]

MOST_PIXELS = 250_000_000
"""Larger pictures are refused: both are held in memory, 6 bytes a pixel if they are 8-bit RGB."""

_LEVELS = 255
_MOST_GAIN, _BRIGHT = 64, 32 / 255
_BATCH = 1 << 18  # pixels in floats at a time
_SSIM_SIDE = 11
# Half a step of 16 bits. Floats round: laid on grey, an opaque picture is not itself to the bit.
_EQUAL = 0.5 / 65535

# The high-pass filter of Daubechies' wavelet with two vanishing moments ("db2"), orthonormal.
_ROOT = np.sqrt(3)
_HIGH_PASS = np.array([_ROOT - 1, 3 - _ROOT, -3 - _ROOT, 1 + _ROOT]) / np.sqrt(32)
_NORMAL_MEDIAN = 0.6744897501960817  # median of |x| where x is normal with sigma 1
_NOISE_STEPS = 1 << 16


@dataclass(frozen=True)
class Change:
    """What happened between two pictures.

    Changes and noise are in levels of 8 bits, 0 to 255, whatever the files' own depth, and over
    all colour channels. Transparent pictures are compared as they look on mid-grey.

    Attributes
    ----------
    width, height
        Of both.
    psnr
        In dB, peak 255; None where the two are equal.
    ssim
        None where a side is smaller than its window of 11 pixels.
    mean_change, largest_change
        Of the absolute difference.
    brightness_shift
        How much brighter the second is on average.
    changed
        Share of the pixels that differ at all, by half a step of 16 bits or more.
    noise_before, noise_after
        Estimated sigma of the noise in either, see `measure`; None where a side is smaller than
        the filter's 4 pixels.
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
    """Two pictures to be compared, as their files have them.

    Attributes
    ----------
    before, after
        (H, W, C) samples of equal height and width: grey or RGB, with or without alpha.
    before_scale, after_scale
        Their sample values of black and white; None takes those of the type, for floats 0 and 1.

    Raises
    ------
    InputError
        The sizes differ, or a picture has other channels or samples.
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
                f"only pictures of one size can be compared; before has {one} pixels, after {other}"
            )
        for name, samples, intensity_range in (
            ("before", self.before, self.before_range),
            ("after", self.after, self.after_range),
        ):
            if not 1 <= samples.shape[2] <= 4:
                raise InputError(
                    f"the picture {name} has {samples.shape[2]} channels; "
                    "expected grey or RGB, with or without alpha"
                )
            if samples.dtype.kind != "f" and not (
                intensity_range or IntensityRange.for_dtype(samples.dtype)
            ):
                raise InputError(
                    f"the picture {name} has samples of type {samples.dtype}, which do not tell "
                    "what is black and white; say it with --range"
                )

    @classmethod
    def read(cls, before: Path, after: Path, intensity_range: IntensityRange | None = None) -> Self:
        """Read two files.

        Parameters
        ----------
        before, after
            Pictures of one page each.
        intensity_range
            The sample values of black and white in both; None takes them from the samples' types
            and the files' metadata.

        Raises
        ------
        InputError
            One cannot be read, has more than `MOST_PIXELS`, or they do not fit each other.
        """
        (one, one_range), (other, other_range) = (_read(path) for path in (before, after))
        return cls(one, other, intensity_range or one_range, intensity_range or other_range)

    @property
    def height(self) -> int:
        """Of both, in pixels."""
        return int(self.before.shape[0])

    @property
    def width(self) -> int:
        """Of both, in pixels."""
        return int(self.before.shape[1])

    @property
    def channels(self) -> int:
        """Colours that are compared: 3 where either picture has them."""
        return max(3 if samples.shape[2] > 2 else 1 for samples in (self.before, self.after))

    def part(self, rows: slice, columns: slice = slice(None)) -> tuple[Pixels, Pixels]:
        """Give a part of both as images (h, w, `channels`), black at 0 and white at 1.

        Raises
        ------
        InputError
            Floating samples need a scale, or are no numbers.
        """
        return (
            self._image(self.before[rows, columns], self.before_range),
            self._image(self.after[rows, columns], self.after_range),
        )

    def strips(self, overlap: int = 0, multiple: int = 1) -> Iterator[tuple[int, Pixels, Pixels]]:
        """Go through both from top to bottom, some rows at a time.

        Parameters
        ----------
        overlap
            How many rows of the next strip each has besides its own.
        multiple
            Of which the own rows are a multiple, but for the last strip's.

        Yields
        ------
        int
            The number of own rows.
        ndarray, ndarray
            The strip before and after, as `part` gives them.
        """
        step = -(-max(1, _BATCH // self.width) // multiple) * multiple
        for top in range(0, self.height, step):
            yield min(step, self.height - top), *self.part(slice(top, top + step + overlap))

    def _image(self, samples: NDArray[Any], intensity_range: IntensityRange | None) -> Pixels:
        own = IntensityRange.for_dtype(samples.dtype) or IntensityRange(0, 1)
        opaque = samples.shape[2] % 2 == 1
        image = (intensity_range or own).to_float(samples if opaque else samples[..., :-1])
        if not np.isfinite(image).all():
            raise InputError("a picture holds values that are no finite numbers")
        if intensity_range is None and not ((image >= 0) & (image <= 1)).all():
            raise InputError(
                f"a picture has floating samples from {image.min():g} to {image.max():g}; where "
                "black and white are not 0 and 1 say what they are with --range"
            )
        if not opaque:
            # On mid-grey both black and white drawings stay visible.
            image = 0.5 + (image - 0.5) * own.to_float(samples[..., -1:]).clip(0, 1)
        return np.broadcast_to(image, (*image.shape[:2], self.channels))


def _read(path: Path) -> tuple[NDArray[Any], IntensityRange | None]:
    picture = open_image(path, upright=True)
    if picture.width * picture.height > MOST_PIXELS:
        raise InputError(
            f"{path} has {picture.width}x{picture.height} pixels, and at most "
            f"{MOST_PIXELS // 1_000_000} million can be compared; cut the same part out of both"
        )
    if picture.pages > 1 or picture.colors not in (1, 3):
        raise InputError(
            f"{path} has {picture.pages} page(s) of {picture.colors} channel(s); "
            "expected one, grey or RGB"
        )
    # The colours, and the transparency if there is one.
    kept = picture.colors + picture.has_alpha
    rows = (chunk[..., :kept] for chunk in picture.rows())
    return np.concatenate(list(rows)), picture.intensity_range


def measure(pair: Pair) -> Change:
    """Compare two pictures.

    Returns
    -------
    Change
        PSNR and SSIM are those of `autodenoise.metrics`. The noise is estimated from the finest
        diagonal coefficients of the db2 wavelet, where a picture has little and noise has all its
        strength: their median absolute value, over 0.6745. Coefficients of 0 are left out; they
        are of clipped or painted areas.

    References
    ----------
    Donoho, Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 1994. Equal to
    scikit-image's ``estimate_sigma`` but for the borders.
    """
    squares = absolutes = shift = largest = structure = 0.0
    changed = windows = 0
    noise_before, noise_after = _Noise(), _Noise()
    # As many more rows as the windows need that begin in the last of a strip's own.
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
        """Count a strip's coefficients; its first row is an even one of the picture."""
        rows, columns = ((side - 2) // 2 * 2 for side in image.shape[:2])
        if rows < 2 or columns < 2:
            return
        self._large_enough = True
        high = sum(tap * image[k : k + rows : 2] for k, tap in enumerate(_HIGH_PASS))
        high = sum(tap * high[:, k : k + columns : 2] for k, tap in enumerate(_HIGH_PASS))
        steps = np.minimum(np.abs(high) * _NOISE_STEPS + 0.5, len(self._counts) - 1)
        self._counts += np.bincount(steps.astype(np.int64).ravel(), minlength=len(self._counts))

    def sigma(self) -> float | None:
        """Give the estimate, in levels of 8 bits."""
        if not self._large_enough:
            return None
        total = np.cumsum(self._counts[1:])
        if total[-1] == 0:
            return 0.0
        median = 1 + int(np.searchsorted(total, total[-1] / 2))
        return _LEVELS * median / _NOISE_STEPS / _NORMAL_MEDIAN


def gain(difference: Pixels) -> int:
    """Give the power of two, up to 64, with which a difference is seen best around mid-grey.

    It is the largest with which the mean change is at most 32 of 255.
    """
    mean = float(np.abs(difference).mean())
    found = _MOST_GAIN
    while found > 1 and found * mean > _BRIGHT:
        found //= 2
    return found
