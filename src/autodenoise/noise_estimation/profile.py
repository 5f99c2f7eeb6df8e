"""Measuring the noise of a camera, scanner or microscope from several shots of the same view."""

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
"""What a folder of shots without light is called."""

_KNOTS = 17
# In a flat field nothing but a fixed pattern differs, and by no more than twice the noise.
_FLAT, _FLAT_SHARE = 4.0, 0.9
_SIGNIFICANT, _LEAST_CORRELATION = 3.5, 0.01
_MOST_DRIFT, _MOST_ERROR, _FINE, _NOTHING = 0.01, 0.1, 0.5, 0.0005
_WHITE = 0.9


@dataclass(frozen=True)
class Channel:
    """The noise of one channel, or of all together; in units of black to white.

    Attributes
    ----------
    name
        Of the channel.
    points
        Variances by brightness.
    line
        The line nearest to them; None where they do not tell one.
    black, read
        The level without light and the standard deviation there, where they are known.
    fixed_pattern
        The standard deviation of what differs from pixel to pixel and stays the same from shot to
        shot, where flat fields show it.
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
    scenes, shots, pixels
        How many were measured on; pixels of all shots.
    form
        Of a shot, in words.
    intensity_range
        The samples that are black and white; 0 and 1 where the unit is the samples' own.
    own_unit
        Whether it is.
    channels, together
        What was measured in each channel, and in all of them put together.
    law
        ``line`` where a line says how the variance follows the brightness, else ``table``.
    reason
        Why the one or the other.
    means, sigmas
        The curve: for each channel a standard deviation at each of these brightnesses.
    correlation
        Between neighbours and channels.
    drift
        How much shots of a scene differ in brightness, as a share of it; taken out.
    warnings
        What makes the numbers worse than they look.
    passed_over
        What was not measured on, and why.
    """

    scenes: int
    shots: int
    pixels: int
    form: str
    intensity_range: IntensityRange
    own_unit: bool
    channels: tuple[Channel, ...]
    together: Channel
    law: str
    reason: str
    means: tuple[float, ...]
    sigmas: tuple[tuple[float, ...], ...]
    correlation: Correlation
    drift: float
    warnings: tuple[str, ...]
    passed_over: tuple[SkippedFile, ...]

    @property
    def correlation_maps(self) -> Floats:
        """Where noise is alike beyond doubt: (P, 2 R + 1, 2 R + 1), R as small as can be.

        For the pairs of `noise_statistics.pairs`, by the lag from -R to R down and across.
        """
        maps, error, _ = self.correlation
        doubt = max(_SIGNIFICANT * error, _LEAST_CORRELATION)
        told = np.where(np.abs(maps) >= doubt, maps, 0).clip(-1, 1)
        # With itself each is alike, however few pixels there were to tell.
        own = [number for number, (one, other) in enumerate(self._pairs) if one == other]
        told[own, REACH, REACH] = 1
        far = [np.abs(index - REACH) for index in np.nonzero(told)[1:]]
        reach = max(int(axis.max()) for axis in far)
        within = slice(REACH - reach, REACH + reach + 1)
        return told[:, within, within]

    @property
    def _pairs(self) -> list[tuple[int, int]]:
        return pairs(len(self.channels))

    def correlation_in_words(self) -> str:
        """Say how alike neighbours and channels are, as a sentence without its full stop."""
        maps = self.correlation_maps
        reach = maps.shape[1] // 2
        which = self._pairs
        own = maps[[number for number, (one, other) in enumerate(which) if one == other]].mean(0)
        said = "neighbours do not correlate"
        if reach:
            across, down = own[reach, reach + 1], own[reach + 1, reach]
            said = f"neighbours correlate by {across:.2f} across and {down:.2f} down"
        if reach > 1:
            said += f", and up to {reach} pixels away"
        between = [
            maps[number, reach, reach] for number, (one, other) in enumerate(which) if one != other
        ]
        if any(between):
            ends = dict.fromkeys(f"{end:.2f}" for end in (min(between), max(between)))
            said += f"; channels correlate by {' to '.join(ends)}"
        return said


def measure(
    source: Path,
    *,
    flat: bool = False,
    black: float | None = None,
    intensity_range: IntensityRange | None = None,
    on_step: Callable[[str], None] | None = None,
) -> Profile:
    """Measure noise from scenes of several shots each, such as `find_series` finds.

    A folder called ``dark`` holds shots without light, which give the black level and the read
    noise by themselves.

    Parameters
    ----------
    source
        A folder, or a stack whose pages are shots of one view.
    flat
        Each picture is a flat field, evenly lit, that was shot once: its noise is what differs from
        pixel to pixel, fixed pattern included.
    black
        The sample value without light, if known.
    intensity_range
        The samples that stand for black and white; by default what the files' type says, and else
        the samples' own unit.
    on_step
        Hears what is being done, in a few words.

    Raises
    ------
    InputError
        Nothing there can be measured; the message says why.
    """
    found = of_one_kind(find_series(source, separate=flat))
    form = found.samples[0].info
    declared = intensity_range or form.intensity_range
    unit = declared or IntensityRange(0, 1)
    extremes = Extremes(form.channels)
    sound, passed_over = [], list(found.skipped)
    for scene in _told(found.samples, "reading", on_step):
        kept, damaged = survey(scene, extremes, least=1 if flat else 2)
        passed_over += damaged
        if kept is not None:
            sound.append(kept)
    if not sound:
        raise _nothing(source, "can be measured", passed_over)
    # As the samples themselves are scaled, to the last bit.
    floor, ceiling = (unit.to_float(side).astype(np.float64) for side in extremes.clipped(declared))
    lit: list[Statistics] = []
    dark: list[Statistics] = []
    warnings = list(_doubts_of_range(declared, ceiling, given=intensity_range is not None))
    for scene in _told(sound, "measuring", on_step):
        apart = misalignment(scene)
        if apart is not None:
            warnings.append(f"{scene.name}: {apart}")
        statistics = Statistics(floor, ceiling)
        for strip in strips(scene):
            statistics.add(unit.to_float(strip))
        (dark if _is_dark(scene) else lit).append(statistics)
    measured = [*lit, *dark]
    alike = correlation(measured)
    level = None if black is None else (black - unit.low) / (unit.high - unit.low)
    *channels, together = (
        _channel(name, numbers, measured, dark, alike, level)
        for name, numbers in _names(form.channels).items()
    )
    _check(source, channels, passed_over)
    # In a unit of the samples' own, nobody knows where white is.
    white = -np.inf if declared is None else 1.0
    law, reason = _law(channels, white)
    means = _knots(channels, law, white)
    drifts = [drift for each in lit for drift in each.drifts]
    drift = float(np.sqrt(np.mean(np.square(drifts)))) if drifts else 0.0
    return Profile(
        scenes=len(sound),
        shots=sum(scene.shots for scene in sound),
        pixels=sum(scene.shots * scene.info.width * scene.info.height for scene in sound),
        form=str(form),
        intensity_range=unit,
        own_unit=declared is None,
        channels=tuple(channels),
        together=together,
        law=law,
        reason=reason,
        means=tuple(map(float, means)),
        sigmas=tuple(tuple(map(float, _curve(each, law, means))) for each in channels),
        correlation=alike,
        drift=drift,
        warnings=(*warnings, *_doubts(channels, drift, form.dtype, unit)),
        passed_over=tuple(sorted(passed_over, key=lambda passed: passed.name)),
    )


def _told(
    scenes: Sequence[Sample], doing: str, on_step: Callable[[str], None] | None
) -> Iterator[Sample]:
    """Give scenes, and say which one it is."""
    for number, scene in enumerate(scenes, 1):
        if on_step is not None:
            on_step(f"{doing} scene {number} of {len(scenes)}, {scene.name}")
        yield scene


def samples(value: float) -> str:
    """Write a number of samples for people: four digits, without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _is_dark(scene: Sample) -> bool:
    return bool({part.lower() for part in scene.name.split("/")} & set(DARK))


def _nothing(source: Path, what: str, passed_over: Iterable[SkippedFile]) -> InputError:
    lines = [f"  {passed.name}: {passed.reason}" for passed in passed_over]
    return InputError("\n".join([f"no scene of {source} {what}", *lines]))


def _check(source: Path, channels: Sequence[Channel], passed_over: Iterable[SkippedFile]) -> None:
    if not all(len(channel.points.means) for channel in channels):
        raise _nothing(source, "is free of samples that are clipped at black or white", passed_over)
    if not any(channel.points.variances.any() for channel in channels):
        raise InputError(
            f"the shots of {source} are equal to the last bit; copies of one shot tell nothing of "
            "its noise"
        )


def _names(colours: int) -> dict[str, list[int]]:
    """Name the channels, and last all of them together, with their numbers."""
    known = {1: ["grey"], 3: ["red", "green", "blue"]}
    names = known.get(colours, [f"channel {number}" for number in range(1, colours + 1)])
    apart = {name: [number] for number, name in enumerate(names)}
    return {**apart, "all": list(range(colours))}


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


def _points(scenes: Sequence[Statistics], numbers: list[int], alike: Correlation) -> Points:
    none = Points(*np.zeros((4, 0)))
    points = merge_points([none, *(scene.points(number) for scene in scenes for number in numbers)])
    return points._replace(
        errors=points.errors * np.sqrt(alike.repeated), counts=points.counts / alike.repeated
    )


def _fixed_pattern(measured: Sequence[Statistics], numbers: list[int]) -> float | None:
    """Give what flat fields show of it."""
    seen = []
    for each in measured:
        spread, expected, noise = (part[:, numbers] for part in each.flatness())
        excess = spread - expected
        if len(excess) and (excess < _FLAT * noise).all(1).mean() >= _FLAT_SHARE:
            seen.append(excess.mean(1))
    if not seen:
        return None
    excess = np.concatenate(seen)
    average = float(excess.mean())
    error = float(excess.std()) / np.sqrt(max(len(excess) - 1, 1))
    return float(np.sqrt(average)) if len(excess) > 1 and average > 3 * error else None


def _law(channels: Sequence[Channel], white: float) -> tuple[str, str]:
    """Decide whether a line is how the variance follows the brightness."""
    lines = [channel.line for channel in channels if channel.line is not None]
    if len(lines) < len(channels):
        return "table", "the shots are of too few brightnesses to tell a line"
    deviation = max(line.deviation for line in lines)
    if deviation > MAX_DEVIATION:
        return "table", (
            f"the nearest line misses the measured variances by {min(deviation, 9.99):.0%}, as "
            "after gamma, tone curves or JPEG"
        )
    for channel, line in zip(channels, lines, strict=True):
        top = max(white, float(channel.points.means[-1]))
        if line.gain < -2 * line.gain_error or line.variance(top) < 2 * line.error(top):
            return "table", (
                "the nearest line falls with the brightness, as after gamma, tone curves or JPEG"
            )
    if deviation < _NOTHING:
        return "line", "a line fits the measured variances within their errors"
    return "line", f"a line misses the measured variances by {deviation:.1%}"


def _knots(channels: Sequence[Channel], law: str, white: float) -> Floats:
    low = min(float(channel.points.means[0]) for channel in channels)
    high = max(float(channel.points.means[-1]) for channel in channels)
    if law == "table":
        steps = np.linspace(0, 1, _KNOTS) ** 2
        return low + (high - low) * steps if high > low else np.array([low])
    for channel in channels:
        if channel.black is not None and channel.read is not None:
            low = min(low, channel.black)
    return np.array([low, max(high, white)])


def _curve(channel: Channel, law: str, means: Floats) -> Floats:
    if law == "table" or channel.line is None:
        return standard_deviations(channel.points, means)
    return np.sqrt(np.maximum(channel.line.gain * means + channel.line.floor, 0))


def _doubts_of_range(
    declared: IntensityRange | None, ceiling: Floats, *, given: bool
) -> Iterator[str]:
    """Say what makes one doubt which samples are black and white."""
    if declared is None:
        yield (
            "the files do not say which samples are black and white, so the noise is in the "
            "samples' own unit; to train with it, say --range BLACK WHITE"
        )
    elif not given and ceiling.max() < _WHITE:
        full = declared.low + (declared.high - declared.low) * float(ceiling.max())
        yield (
            f"samples end at {full:g}, long before {declared.high:g}; if that is white, say "
            f"--range {declared.low:g} {full:g}"
        )


def _doubts(
    channels: Sequence[Channel], drift: float, dtype: np.dtype[Any], unit: IntensityRange
) -> Iterator[str]:
    """Say what makes the numbers worse than they look."""
    error = max(
        float(np.sqrt(np.square(p.errors * p.counts).sum()) / (p.counts @ p.variances))
        for p in (channel.points for channel in channels)
    )
    if error > _MOST_ERROR:
        yield f"few pixels: the variances are known to {error:.0%} only; take more shots"
    if drift > _MOST_DRIFT:
        yield (
            f"shots of a scene differ in brightness by {drift:.1%}; that was taken out, but fixed "
            "exposure and a steady lamp are better"
        )
    finest = min(float(np.sqrt(channel.points.variances.min())) for channel in channels)
    if dtype.kind in "iu" and finest * (unit.high - unit.low) < _FINE:
        yield (
            "where it is least, the noise is finer than half a step of the samples: what was "
            "measured there is their rounding"
        )
