"""Measure whether repeated shots are aligned."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from autodenoise.data.samples import Sample

__all__ = ["Shift", "misalignment", "shift_between"]

_WINDOW_SIDE = 512
_MIN_SIDE = 16
_BLOCK = 16
_MAX_SHIFT = 0.25
_STEPS = 20
_CUTOFF = 0.15  # cycles a pixel
# Minimum height of a peak, in standard deviations of the correlation's noise. The largest of all
# values of noise alone reaches 6.
_MIN_PEAK = 10.0
# In hundreds of photos and flat fields, the error was never larger than this divided by the peak.
_ERROR_BOUND = 15.0


class Shift(NamedTuple):
    """The shift of one image relative to another, down and right, and its error, in pixels."""

    down: float
    across: float
    error: float

    @property
    def length(self) -> float:
        """Length of the shift."""
        return float(np.hypot(self.down, self.across))


def shift_between(first: NDArray[np.floating], other: NDArray[np.floating]) -> Shift | None:
    """Measure the shift between two images to 1/20 of a pixel, by phase correlation.

    The images have the same shape (H, W), at least 16 pixels a side. The result is None where the
    shift cannot be measured: in flat fields and very noisy images.

    References
    ----------
    Kuglin, Hines, "The phase correlation image alignment method", 1975; refined as in
    Guizar-Sicairos, Thurman, Fienup, "Efficient subpixel image registration algorithms", Optics
    Letters 2008.
    """
    height, width = first.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    down, across = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    one, two = (np.fft.fft2((image - image.mean()) * window) for image in (first, other))
    cross = one.conj() * two
    # High frequencies are mostly noise, and aliased.
    lowpass = np.exp(-0.5 * (down**2 + across**2) / _CUTOFF**2)
    spectrum = lowpass * cross / np.maximum(np.abs(cross), np.finfo(np.float64).tiny)
    surface = np.fft.ifft2(spectrum).real
    peak = np.unravel_index(surface.argmax(), surface.shape)
    # The median of |N(0, 1)| is 0.6745.
    noise = np.median(np.abs(surface)) / 0.6745
    # For two empty images, everything is 0.
    if surface[peak] <= _MIN_PEAK * noise:
        return None
    start = [
        place if place <= side // 2 else place - side
        for place, side in zip(map(int, peak), surface.shape, strict=True)
    ]
    fine = np.arange(-_STEPS, _STEPS + 1) / _STEPS
    rows = np.exp(2j * np.pi * (start[0] + fine)[:, None] * down[:, 0])
    columns = np.exp(2j * np.pi * across[0][:, None] * (start[1] + fine))
    detail = (rows @ spectrum @ columns).real
    best = np.unravel_index(detail.argmax(), detail.shape)
    return Shift(
        start[0] + float(fine[best[0]]),
        start[1] + float(fine[best[1]]),
        float(_ERROR_BOUND * noise / surface[peak]),
    )


def misalignment(series: Sample) -> str | None:
    """Return a warning if shots of the same view are shifted by more than 0.25 pixels.

    Each shot is compared with the first, in the 512x512 pixels of it with the most structure. The
    result is None where the shots are aligned, or where their shift cannot be measured.
    """
    if series.shots < 2 or min(series.info.width, series.info.height) < _MIN_SIDE:
        return None
    windows = _windows(series, *_most_structured(series))
    first = next(windows)
    shifts = [shift_between(first, other) for other in windows]
    shifted = [one for one in shifts if one and one.length > max(_MAX_SHIFT, one.error)]
    if not shifted:
        return None
    farthest = max(shifted, key=lambda shift: shift.length)
    return (
        f"{len(shifted)} of {len(shifts)} shots are not aligned with the first one: shifted by up "
        f"to {farthest.length:.2f} pixels ({farthest.down:+.2f} down, "
        f"{farthest.across:+.2f} across). Edges then count as noise; use a tripod, or align the "
        "shots first"
    )


def _most_structured(series: Sample) -> tuple[int, int]:
    """Return the upper left corner of the window in the first shot with the most structure."""
    # Block means suppress most of the noise. The last rows may be too few for a block.
    strips = [
        _block_means(samples)
        for _, _, samples in itertools.takewhile(lambda chunk: chunk[0] == 0, series.rows())
        if len(samples) >= _BLOCK
    ]
    if not strips:
        return 0, 0
    means = np.concatenate(strips)

    def structure(corner: tuple[int, int]) -> float:
        top, left = (place // _BLOCK for place in corner)
        part = means[top : top + _WINDOW_SIDE // _BLOCK, left : left + _WINDOW_SIDE // _BLOCK]
        return float(np.abs(np.diff(part, axis=0)).sum() + np.abs(np.diff(part, axis=1)).sum())

    rows, columns = (
        range(0, max(side - _WINDOW_SIDE, 0) + 1, _WINDOW_SIDE // 2)
        for side in (series.info.height, series.info.width)
    )
    return max(itertools.product(rows, columns), key=structure)


def _block_means(samples: NDArray[Any]) -> NDArray[np.float64]:
    """Average (r, W, C) over blocks of 16x16 pixels and all channels, without incomplete blocks."""
    rows, columns = (length // _BLOCK for length in samples.shape[:2])
    whole = samples[: rows * _BLOCK, : columns * _BLOCK]
    blocks = whole.reshape(rows, _BLOCK, columns, _BLOCK, samples.shape[2])
    return np.asarray(blocks.mean(axis=(1, 3, 4), dtype=np.float64))


def _windows(series: Sample, top: int, left: int) -> Iterator[NDArray[np.float64]]:
    """Cut the same window from each shot, averaged over the channels."""
    by_shot = itertools.groupby(series.rows(), key=lambda chunk: chunk[0])
    for _, chunks in by_shot:
        parts = [
            samples[
                max(top - start, 0) : max(top + _WINDOW_SIDE - start, 0), left : left + _WINDOW_SIDE
            ]
            for _, start, samples in chunks
        ]
        yield np.concatenate([part.mean(axis=2, dtype=np.float64) for part in parts])
