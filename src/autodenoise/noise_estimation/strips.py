"""Read series of shots to measure their noise: check for damage and clipping, then read strips."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from autodenoise.discovery import SkippedFile
from autodenoise.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from autodenoise.data.samples import Gathered, Sample
    from autodenoise.images import IntensityRange

    Floats = NDArray[np.float64]

__all__ = ["Extremes", "of_one_kind", "strips", "survey"]

# Shots that are read together; this bounds memory and open files.
_MAX_SHOTS = 16
# A clipped value occurs at least this often, and twice as often as the next value.
_MIN_CLIPPED = 20


def of_one_kind(found: Gathered) -> Gathered:
    """Return the series with the most common kind of samples; the others are skipped."""

    def kind(series: Sample) -> tuple[Any, ...]:
        return series.info.channels, series.info.dtype, series.info.intensity_range

    common = Counter(map(kind, found.samples)).most_common(1)[0][0]
    chosen = tuple(series for series in found.samples if kind(series) == common)
    others = [
        SkippedFile(series.name, f"it is {series.info}; most series are like {chosen[0].name}")
        for series in found.samples
        if kind(series) != common
    ]
    return found._replace(samples=chosen, skipped=(*found.skipped, *others))


class Extremes:
    """The two lowest and two highest sample values of each channel, with their counts."""

    def __init__(self, channels: int) -> None:
        # The lowest values are stored as the highest of the negated ones.
        self._ends: list[dict[int, Counter[float]]] = [
            {-1: Counter(), 1: Counter()} for _ in range(channels)
        ]

    def add(self, samples: NDArray[Any]) -> None:
        """Add (r, W, C) samples."""
        for channel, ends in enumerate(self._ends):
            for sign, end in ends.items():
                values = sign * samples[..., channel].astype(np.float64).ravel()
                if len(end) == 2:
                    values = values[values >= min(end)]
                found, counts = np.unique(values, return_counts=True)
                end.update(dict(zip(found[-2:].tolist(), counts[-2:].tolist(), strict=True)))
                for inner in sorted(end)[:-2]:
                    del end[inner]

    def clipped(self, declared: IntensityRange | None) -> tuple[Floats, Floats]:
        """Return the values at or below, and at or above which each channel is clipped, (C,)."""
        low, high = (-np.inf, np.inf) if declared is None else (declared.low, declared.high)
        floor, ceiling = (
            [sign * _clipped_value(ends[sign]) for ends in self._ends] for sign in (-1, 1)
        )
        return np.maximum(floor, low), np.minimum(ceiling, high)


def _clipped_value(end: Counter[float]) -> float:
    """Return the highest value if samples were clipped to it, else infinity."""
    highest, *inner = sorted(end, reverse=True)
    is_clipped = end[highest] >= _MIN_CLIPPED and all(
        end[highest] > 2 * end[value] for value in inner
    )
    return highest if is_clipped else np.inf


def survey(
    series: Sample, extremes: Extremes, *, least: int
) -> tuple[Sample | None, Sequence[SkippedFile]]:
    """Decode every shot once, so that a damaged one is known before anything is measured.

    `extremes` collects the samples. Return the intact shots, or None if there are fewer than
    `least`, and the files that were skipped.
    """
    sound, damaged = [], []
    for file in series.files:
        try:
            for _, _, samples in _of_files(series, [file]).rows():
                _check_finite(file, samples)
                extremes.add(samples)
        except InputError as error:
            damaged.append(SkippedFile(f"{series.name}/{file.name}", str(error)))
        else:
            sound.append(file)
    rest = _of_files(series, sound)
    if rest.shots >= least and sound:
        return rest, damaged
    left = f"it has {rest.shots} intact shots; at least {least} are needed"
    return None, [*damaged, SkippedFile(series.name, left)]


def _of_files(series: Sample, files: list[Path]) -> Sample:
    """Return the shots in some of the files of a series."""
    return dataclasses.replace(series, planes=tuple(p for p in series.planes if p.path in files))


def _check_finite(file: Path, samples: NDArray[Any]) -> None:
    if not np.isfinite(samples).all():
        raise InputError(f"{file} contains NaN or infinity")


def strips(series: Sample) -> Iterator[NDArray[Any]]:
    """Yield the shots of a series in strips, up to 16 shots at a time.

    Yields
    ------
    ndarray
        (K, r, W, C) samples of K shots, as stored in the files.
    """
    groups = np.array_split(np.arange(series.shots), -(-series.shots // _MAX_SHOTS))
    if len(series.files) > 1:
        for group in groups:
            apart = [dataclasses.replace(series, planes=(series.planes[shot],)) for shot in group]
            for chunks in zip(*(shot.rows() for shot in apart), strict=True):
                yield np.stack([samples for _, _, samples in chunks])
        return
    # A stack is read page by page, so the strips of a group are collected.
    lasts = {int(group[-1]) for group in groups}
    collected: dict[int, list[NDArray[Any]]] = {}
    for shot, top, samples in series.rows():
        collected.setdefault(top, []).append(samples)
        if shot in lasts and top + len(samples) == series.info.height:
            yield from map(np.stack, collected.values())
            collected = {}
