"""Measure the noise of a camera, scanner or microscope from repeated shots of the same view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autodenoise.data.registration import misalignment
from autodenoise.data.repeats import find_series
from autodenoise.errors import InputError
from autodenoise.images import IntensityRange
from autodenoise.noise_estimation.curve import (
    MAX_DEVIATION,
    Line,
    fit_line,
    merge_points,
    standard_deviations,
)
from autodenoise.noise_estimation.statistics import (
    REACH,
    Correlation,
    Points,
    Statistics,
    correlation,
    pairs,
)
from autodenoise.noise_estimation.strips import Extremes, of_one_kind, strips, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from autodenoise.data.samples import Sample
    from autodenoise.discovery import SkippedFile

    Floats = NDArray[np.float64]

__all__ = ["DARK", "Channel", "Profile", "measure", "samples"]

DARK = ("dark", "darks", "bias")
"""Names of folders with shots without light."""

_KNOTS = 17
# In a flat field, pixels differ only by a fixed pattern of at most twice the noise.
_MAX_FLAT_EXCESS, _MIN_FLAT_FRACTION = 4.0, 0.9
_SIGNIFICANCE, _MIN_CORRELATION = 3.5, 0.01  # in standard errors, and absolute
_MAX_DRIFT, _MAX_ERROR, _MIN_NOISE_STEPS, _NEGLIGIBLE_DEVIATION = 0.01, 0.1, 0.5, 0.0005
_MIN_WHITE = 0.9


@dataclass(frozen=True)
class Channel:
    """The noise of one channel, or of all channels together, in units of the intensity range.

    Attributes
    ----------
    name
        Name of the channel.
    points
        Variances by intensity.
    line
        The fitted line; None if the points do not determine one.
    black, read
        The level without light and the standard deviation there, if known.
    fixed_pattern
        The standard deviation of the pattern that is the same in every shot, if flat fields show
        one.
    """

    name: str
    points: Points
    line: Line | None
    black: float | None = None
    read: float | None = None
    fixed_pattern: float | None = None


@dataclass(frozen=True)
class Profile:
    """The noise of a device.

    Attributes
    ----------
    series, shots, pixels
        Number of series, shots, and pixels of all shots that were measured.
    form
        Size and type of a shot as text.
    intensity_range
        The intensity range of the samples; 0 to 1 if it is unknown.
    own_unit
        Whether it is unknown, so that all values are in the unit of the samples.
    channels, together
        The noise of each channel, and of all channels together.
    variance_model
        ``line`` if the variance is a linear function of the intensity, else ``table``.
    reason
        The reason for this choice.
    means, sigmas
        The standard deviation of each channel at each of these intensities.
    correlation
        Correlation between neighbors and between channels.
    drift
        Relative change of brightness between the shots of a series, which was corrected.
    warnings
        Reasons to distrust the numbers.
    skipped
        Files that were not used, and why.
    """

    series: int
    shots: int
    pixels: int
    form: str
    intensity_range: IntensityRange
    own_unit: bool
    channels: tuple[Channel, ...]
    together: Channel
    variance_model: str
    reason: str
    means: tuple[float, ...]
    sigmas: tuple[tuple[float, ...], ...]
    correlation: Correlation
    drift: float
    warnings: tuple[str, ...]
    skipped: tuple[SkippedFile, ...]

    @property
    def correlation_maps(self) -> Floats:
        """Significant correlations by lag, (P, 2 R + 1, 2 R + 1), with the smallest possible R.

        P are the channel pairs of `noise_estimation.statistics.pairs`.
        """
        maps, error, _ = self.correlation
        threshold = max(_SIGNIFICANCE * error, _MIN_CORRELATION)
        significant = np.where(np.abs(maps) >= threshold, maps, 0).clip(-1, 1)
        own = [number for number, (one, other) in enumerate(self._pairs) if one == other]
        significant[own, REACH, REACH] = 1
        far = [np.abs(index - REACH) for index in np.nonzero(significant)[1:]]
        reach = max(int(axis.max()) for axis in far)
        within = slice(REACH - reach, REACH + reach + 1)
        return significant[:, within, within]

    @property
    def _pairs(self) -> list[tuple[int, int]]:
        return pairs(len(self.channels))

    def correlation_in_words(self) -> str:
        """Return the correlation of neighbors and channels as a sentence without a full stop."""
        maps = self.correlation_maps
        reach = maps.shape[1] // 2
        which = self._pairs
        own = maps[[number for number, (one, other) in enumerate(which) if one == other]].mean(0)
        text = "neighbors are not correlated"
        if reach:
            across, down = own[reach, reach + 1], own[reach + 1, reach]
            text = f"neighbors correlate by {across:.2f} across and {down:.2f} down"
        if reach > 1:
            text += f", and up to {reach} pixels away"
        between = [
            maps[number, reach, reach] for number, (one, other) in enumerate(which) if one != other
        ]
        if any(between):
            ends = dict.fromkeys(f"{end:.2f}" for end in (min(between), max(between)))
            text += f"; channels correlate by {' to '.join(ends)}"
        return text


def measure(
    source: Path,
    *,
    flat: bool = False,
    black: float | None = None,
    intensity_range: IntensityRange | None = None,
    on_step: Callable[[str], None] | None = None,
) -> Profile:
    """Measure noise from series of repeated shots, as `find_series` finds them.

    A folder named ``dark`` contains shots without light, which determine the black level and the
    read noise. With `flat`, each image is a single shot of a uniformly lit surface, and its noise
    includes any fixed pattern. `black` is the sample value without light, if known. The intensity
    range is by default that of the files' dtype, or the unit of the samples. `on_step` is called
    with a short description of each step. Raise InputError if nothing can be measured; the message
    lists the reasons.
    """
    found = of_one_kind(find_series(source, separate=flat))
    form = found.samples[0].info
    declared = intensity_range or form.intensity_range
    unit = declared or IntensityRange(0, 1)
    extremes = Extremes(form.channels)
    sound, skipped = [], list(found.skipped)
    for series in _reported(found.samples, "reading", on_step):
        intact, damaged = survey(series, extremes, least=1 if flat else 2)
        skipped += damaged
        if intact is not None:
            sound.append(intact)
    if not sound:
        raise _nothing(source, "can be measured", skipped)
    # Converted like the samples, so that comparisons are exact.
    floor, ceiling = (unit.to_float(side).astype(np.float64) for side in extremes.clipped(declared))
    lit: list[Statistics] = []
    dark: list[Statistics] = []
    warnings = list(_range_warnings(declared, ceiling, given=intensity_range is not None))
    for series in _reported(sound, "measuring", on_step):
        apart = misalignment(series)
        if apart is not None:
            warnings.append(f"{series.name}: {apart}")
        statistics = Statistics(floor, ceiling)
        for strip in strips(series):
            statistics.add(unit.to_float(strip))
        (dark if _is_dark(series) else lit).append(statistics)
    measured = [*lit, *dark]
    alike = correlation(measured)
    level = None if black is None else (black - unit.low) / (unit.high - unit.low)
    *channels, together = (
        _channel(name, numbers, measured, dark, alike, level)
        for name, numbers in _names(form.channels).items()
    )
    _check(source, channels, skipped)
    # The white level is unknown without an intensity range.
    white = -np.inf if declared is None else 1.0
    variance_model, reason = _variance_model(channels, white)
    means = _knots(channels, variance_model, white)
    drifts = [drift for each in lit for drift in each.drifts]
    drift = float(np.sqrt(np.mean(np.square(drifts)))) if drifts else 0.0
    return Profile(
        series=len(sound),
        shots=sum(series.shots for series in sound),
        pixels=sum(one.shots * one.info.width * one.info.height for one in sound),
        form=str(form),
        intensity_range=unit,
        own_unit=declared is None,
        channels=tuple(channels),
        together=together,
        variance_model=variance_model,
        reason=reason,
        means=tuple(map(float, means)),
        sigmas=tuple(tuple(map(float, _curve(each, variance_model, means))) for each in channels),
        correlation=alike,
        drift=drift,
        warnings=(*warnings, *_warnings(channels, drift, form.dtype, unit)),
        skipped=tuple(sorted(skipped, key=lambda file: file.name)),
    )


def _reported(
    samples: Sequence[Sample], step: str, on_step: Callable[[str], None] | None
) -> Iterator[Sample]:
    """Yield the series, and report the progress."""
    for number, series in enumerate(samples, 1):
        if on_step is not None:
            on_step(f"{step} series {number} of {len(samples)}, {series.name}")
        yield series


def samples(value: float) -> str:
    """Format a sample value with four digits and without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _is_dark(series: Sample) -> bool:
    return bool({part.lower() for part in series.name.split("/")} & set(DARK))


def _nothing(source: Path, what: str, skipped: Iterable[SkippedFile]) -> InputError:
    lines = [f"  {file.name}: {file.reason}" for file in skipped]
    return InputError("\n".join([f"no series in {source} {what}", *lines]))


def _check(source: Path, channels: Sequence[Channel], skipped: Iterable[SkippedFile]) -> None:
    if not all(len(channel.points.means) for channel in channels):
        raise _nothing(source, "has samples that are not clipped at black or white", skipped)
    if not any(channel.points.variances.any() for channel in channels):
        raise InputError(
            f"the shots in {source} are identical; copies of one shot do not show its noise"
        )


def _names(count: int) -> dict[str, list[int]]:
    """Return the numbers of each channel by its name, and of all channels last."""
    known = {1: ["gray"], 3: ["red", "green", "blue"]}
    names = known.get(count, [f"channel {number}" for number in range(1, count + 1)])
    apart = {name: [number] for number, name in enumerate(names)}
    return {**apart, "all": list(range(count))}


def _channel(
    name: str,
    numbers: list[int],
    measured: Sequence[Statistics],
    dark: Sequence[Statistics],
    alike: Correlation,
    black: float | None,
) -> Channel:
    points = _points(measured, numbers, alike)
    line = fit_line(points)
    read = None
    unlit = _points(dark, numbers, alike)
    if len(unlit.means):
        weights = unlit.counts / unlit.counts.sum()
        black, read = float(weights @ unlit.means), float(np.sqrt(weights @ unlit.variances))
    elif black is not None and line is not None and line.variance(black) > 0:
        read = float(np.sqrt(line.variance(black)))
    return Channel(name, points, line, black, read, _fixed_pattern(measured, numbers))


def _points(statistics: Sequence[Statistics], numbers: list[int], alike: Correlation) -> Points:
    none = Points(*np.zeros((4, 0)))
    points = merge_points([none, *(each.points(n) for each in statistics for n in numbers)])
    return points._replace(
        errors=points.errors * np.sqrt(alike.repeated), counts=points.counts / alike.repeated
    )


def _fixed_pattern(measured: Sequence[Statistics], numbers: list[int]) -> float | None:
    """Return the standard deviation of the fixed pattern if flat fields show one."""
    seen = []
    for each in measured:
        spread, expected, noise = (part[:, numbers] for part in each.flatness())
        excess = spread - expected
        if len(excess) and (excess < _MAX_FLAT_EXCESS * noise).all(1).mean() >= _MIN_FLAT_FRACTION:
            seen.append(excess.mean(1))
    if not seen:
        return None
    excess = np.concatenate(seen)
    average = float(excess.mean())
    error = float(excess.std()) / np.sqrt(max(len(excess) - 1, 1))
    return float(np.sqrt(average)) if len(excess) > 1 and average > 3 * error else None


def _variance_model(channels: Sequence[Channel], white: float) -> tuple[str, str]:
    """Choose a line or a table for the variance by intensity, and return the reason."""
    lines = [channel.line for channel in channels if channel.line is not None]
    if len(lines) < len(channels):
        return "table", "the shots have too few intensities to fit a line"
    deviation = max(line.deviation for line in lines)
    if deviation > MAX_DEVIATION:
        return "table", (
            f"the fitted line deviates from the variances by {min(deviation, 9.99):.0%}, as after "
            "gamma, tone curves or JPEG"
        )
    for channel, line in zip(channels, lines, strict=True):
        top = max(white, float(channel.points.means[-1]))
        if line.gain < -2 * line.gain_error or line.variance(top) < 2 * line.error(top):
            return "table", (
                "the fitted line falls with intensity, as after gamma, tone curves or JPEG"
            )
    if deviation < _NEGLIGIBLE_DEVIATION:
        return "line", "a line fits the measured variances within their errors"
    return "line", f"a line deviates from the measured variances by {deviation:.1%}"


def _knots(channels: Sequence[Channel], variance_model: str, white: float) -> Floats:
    low = min(float(channel.points.means[0]) for channel in channels)
    high = max(float(channel.points.means[-1]) for channel in channels)
    if variance_model == "table":
        steps = np.linspace(0, 1, _KNOTS) ** 2
        return low + (high - low) * steps if high > low else np.array([low])
    for channel in channels:
        if channel.black is not None and channel.read is not None:
            low = min(low, channel.black)
    return np.array([low, max(high, white)])


def _curve(channel: Channel, variance_model: str, means: Floats) -> Floats:
    if variance_model == "table" or channel.line is None:
        return standard_deviations(channel.points, means)
    return np.sqrt(np.maximum(channel.line.gain * means + channel.line.floor, 0))


def _range_warnings(
    declared: IntensityRange | None, ceiling: Floats, *, given: bool
) -> Iterator[str]:
    """Yield warnings about the intensity range."""
    if declared is None:
        yield (
            "the files do not declare an intensity range, so the noise is in the unit of the "
            "samples; to train with it, set --range BLACK WHITE"
        )
    elif not given and ceiling.max() < _MIN_WHITE:
        full = declared.low + (declared.high - declared.low) * float(ceiling.max())
        yield (
            f"the largest sample is {full:g}, far below {declared.high:g}; if that is white, set "
            f"--range {declared.low:g} {full:g}"
        )


def _warnings(
    channels: Sequence[Channel], drift: float, dtype: np.dtype[Any], unit: IntensityRange
) -> Iterator[str]:
    """Yield reasons to distrust the numbers."""
    error = max(
        float(np.sqrt(np.square(p.errors * p.counts).sum()) / (p.counts @ p.variances))
        for p in (channel.points for channel in channels)
    )
    if error > _MAX_ERROR:
        yield f"few pixels: the variances have an error of {error:.0%}; take more shots"
    if drift > _MAX_DRIFT:
        yield (
            f"shots of a series differ in brightness by {drift:.1%}; this was corrected, but "
            "a fixed exposure and a steady lamp are better"
        )
    finest = min(float(np.sqrt(channel.points.variances.min())) for channel in channels)
    if dtype.kind in "iu" and finest * (unit.high - unit.low) < _MIN_NOISE_STEPS:
        yield (
            "the weakest noise is below half a step of the samples, so rounding was measured there"
        )
