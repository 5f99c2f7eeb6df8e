"""Reading scenes to measure their noise: first for damage and clipping, then strip by strip."""

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

# So many shots are looked at together, which bounds memory and open files.
_TOGETHER = 16
# Of an extreme value that many samples have, and twice those of the next: a sensor was full.
_PILE = 20


def of_one_kind(scenes: Gathered) -> Gathered:
    """Keep the scenes whose samples are of the most common kind, and pass over the others."""

    def kind(scene: Sample) -> tuple[Any, ...]:
        return scene.info.channels, scene.info.dtype, scene.info.intensity_range

    common = Counter(map(kind, scenes.samples)).most_common(1)[0][0]
    kept = tuple(scene for scene in scenes.samples if kind(scene) == common)
    others = [
        SkippedFile(scene.name, f"it is {scene.info}; most scenes are as {kept[0].name}")
        for scene in scenes.samples
        if kind(scene) != common
    ]
    return scenes._replace(samples=kept, skipped=(*scenes.skipped, *others))


class Extremes:
    """The two lowest and the two highest sample values of each channel, and how many there are."""

    def __init__(self, channels: int) -> None:
        # The lowest are kept as the highest of what is negated.
        self._ends: list[dict[int, Counter[float]]] = [
            {-1: Counter(), 1: Counter()} for _ in range(channels)
        ]

    def add(self, samples: NDArray[Any]) -> None:
        """Take (r, W, C) samples."""
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
        """Give the samples up to which, and from which, each channel is clipped, (C,) each."""
        low, high = (-np.inf, np.inf) if declared is None else (declared.low, declared.high)
        floor, ceiling = ([sign * _pile(ends[sign]) for ends in self._ends] for sign in (-1, 1))
        return np.maximum(floor, low), np.minimum(ceiling, high)


def _pile(end: Counter[float]) -> float:
    """Give the highest value if it is where others were cut off to, else infinity."""
    highest, *inner = sorted(end, reverse=True)
    piled = end[highest] >= _PILE and all(end[highest] > 2 * end[value] for value in inner)
    return highest if piled else np.inf


def survey(
    scene: Sample, extremes: Extremes, *, least: int
) -> tuple[Sample | None, Sequence[SkippedFile]]:
    """Decode every shot once, so that a damaged one is known before anything is measured.

    Parameters
    ----------
    scene
        Judged by its headers so far.
    extremes
        Takes the samples.
    least
        How many shots are needed.

    Returns
    -------
    Sample or None
        The shots that are sound, if they are enough.
    sequence of SkippedFile
        The others.
    """
    sound, damaged = [], []
    for file in scene.files:
        try:
            for _, _, samples in _of_files(scene, [file]).rows():
                _check_finite(file, samples)
                extremes.add(samples)
        except InputError as error:
            damaged.append(SkippedFile(f"{scene.name}/{file.name}", str(error)))
        else:
            sound.append(file)
    rest = _of_files(scene, sound)
    if rest.shots >= least and sound:
        return rest, damaged
    left = f"{rest.shots} sound shots of it are left; at least {least} are needed"
    return None, [*damaged, SkippedFile(scene.name, left)]


def _of_files(scene: Sample, files: list[Path]) -> Sample:
    """Return the shots in some of the scene's files."""
    return dataclasses.replace(scene, planes=tuple(p for p in scene.planes if p.path in files))


def _check_finite(file: Path, samples: NDArray[Any]) -> None:
    if not np.isfinite(samples).all():
        raise InputError(f"{file} holds values that are no finite numbers")


def strips(scene: Sample) -> Iterator[NDArray[Any]]:
    """Give the shots of a scene strip by strip, some of them at a time where they are many.

    Yields
    ------
    ndarray
        (K, r, W, C) samples as the files have them: K shots, up to 16.
    """
    groups = np.array_split(np.arange(scene.shots), -(-scene.shots // _TOGETHER))
    if len(scene.files) > 1:
        for group in groups:
            apart = [dataclasses.replace(scene, planes=(scene.planes[shot],)) for shot in group]
            for chunks in zip(*(shot.rows() for shot in apart), strict=True):
                yield np.stack([samples for _, _, samples in chunks])
        return
    # The pages of a stack come one after the other: those of a group are held.
    lasts = {int(group[-1]) for group in groups}
    held: dict[int, list[NDArray[Any]]] = {}
    for shot, top, samples in scene.rows():
        held.setdefault(top, []).append(samples)
        if shot in lasts and top + len(samples) == scene.info.height:
            yield from map(np.stack, held.values())
            held = {}
