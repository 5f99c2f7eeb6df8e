"""Inspect some of the training images: their range of values, and likely problems."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autodenoise.data.registration import misalignment
from autodenoise.data.samples import THREADS, Reader, evenly_spaced
from autodenoise.errors import InputError
from autodenoise.images import IntensityRange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from autodenoise.data.samples import Sample

__all__ = ["inspect"]

_MAX_INSPECTED = 32
_MAX_ALIGNED = 8
_MAX_VALUES = 1 << 16
_MARGIN = 0.1
# Values beyond these may be glints, hot pixels, or strong noise.
_PERCENTILES = (0.1, 99.9)
_MIN_SPREAD = 4 / 65535


class _Version(NamedTuple):
    """The range of a version's file, its smallest and largest finite value, and some values."""

    intensity_range: IntensityRange | None
    low: float
    high: float
    values: NDArray[Any]


class _Inspected(NamedTuple):
    """The first two versions of a sample, and whether they are identical or misaligned."""

    name: str
    versions: list[_Version]
    identical: bool
    misaligned: str | None


def inspect(
    samples: Sequence[Sample], *, normalize: bool
) -> tuple[IntensityRange | None, tuple[float, float], tuple[str, ...]]:
    """Inspect up to 32 evenly spaced samples, and as many whose intensity range is unknown.

    Return the intensity range assumed for files that do not declare theirs, None if all do; the
    range of values as a share of the intensity range, without the smallest and largest 0.1 %, for
    normalization; and messages for the user. The range of values stays (0, 1) without `normalize`,
    and for 8-bit images, which are made for viewing and use their range.

    Raise InputError if no sample can be decoded, or if the two versions are identical in all.
    """
    undeclared = [sample for sample in samples if not sample.has_known_range]
    declared = [sample for sample in samples if sample.has_known_range]
    depths = {plane.info.dtype for sample in samples for plane in sample.planes}
    normalize = normalize and np.dtype(np.uint8) not in depths
    if not undeclared and not normalize and all(sample.shots == 1 for sample in samples):
        return None, (0.0, 1.0), ()
    chosen = evenly_spaced(declared, _MAX_INSPECTED) + evenly_spaced(undeclared, _MAX_INSPECTED)
    aligned = {*evenly_spaced(chosen, _MAX_ALIGNED)}
    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(_inspect_one, chosen, (sample in aligned for sample in chosen)))
    inspected = [result for result in results if isinstance(result, _Inspected)]
    if not inspected:
        raise InputError(f"none of {len(chosen)} images can be decoded; the first: {results[0]}")
    versions = [version for sample in inspected for version in sample.versions]
    unknown = [version for version in versions if version.intensity_range is None]
    intensity_range = _estimated_range(unknown) if unknown else None
    notes = _check_identical(inspected)
    notes += [f"{one.name}: {one.misaligned}" for one in inspected if one.misaligned]
    normalization = (0.0, 1.0)
    if normalize:
        default = intensity_range or IntensityRange(0, 1)
        values = [(one.intensity_range or default).to_float(one.values) for one in versions]
        low, high = np.percentile(np.concatenate(values), _PERCENTILES).tolist()
        if high - low > _MIN_SPREAD:
            normalization = (float(f"{low:.5g}"), float(f"{high:.5g}"))
        else:
            notes.append("the images are flat, so they cannot be normalized by their own values")
    return intensity_range, normalization, tuple(notes)


def _inspect_one(sample: Sample, align: bool) -> _Inspected | str:
    """Read the first two versions of a sample; return the error message if they are unreadable."""
    reader = Reader()
    try:
        pixels = [reader.read(plane, sample.window) for plane in sample.planes[:2]]
        some = replace(sample, planes=tuple(evenly_spaced(sample.planes, _MAX_ALIGNED)))
        misaligned = misalignment(some) if align else None
    except InputError as error:
        return str(error)
    versions = []
    for plane, values in zip(sample.planes, pixels, strict=False):
        finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
        if not finite.size:
            return f"{plane.path} contains only NaN and infinity"
        low, high = float(finite.min()), float(finite.max())
        indices = np.random.default_rng(0).integers(0, finite.size, _MAX_VALUES)
        versions.append(_Version(plane.info.intensity_range, low, high, finite[indices]))
    identical = len(pixels) > 1 and np.array_equal(_as_unit(pixels[0]), _as_unit(pixels[1]))
    return _Inspected(sample.name, versions, identical, misaligned)


def _as_unit(pixels: NDArray[Any]) -> NDArray[Any]:
    intensity_range = IntensityRange.for_dtype(pixels.dtype)
    return pixels if intensity_range is None else intensity_range.to_float(pixels)


def _check_identical(inspected: Sequence[_Inspected]) -> list[str]:
    """Warn of samples whose versions are identical; raise an error if all of them are."""
    identical = [sample.name for sample in inspected if sample.identical]
    if not identical:
        return []
    if len(identical) == len(inspected):
        raise InputError(
            f"the two versions of {identical[0]} are identical, as in all other inspected "
            "samples, so there is no noise to train on. Noisy and clean images, or two shots, "
            "must differ"
        )
    more = f" and {len(identical) - 1} more" if len(identical) > 1 else ""
    names = f"{identical[0]}{more} of {len(inspected)} inspected samples"
    return [f"the two versions of {names} are identical: they teach the network to keep noise"]


def _estimated_range(versions: Sequence[_Version]) -> IntensityRange:
    """Estimate the intensity range of files that do not declare one.

    It is [0, 1] if all values lie in it; else their range plus a tenth at either end.
    """
    low, high = min(version.low for version in versions), max(version.high for version in versions)
    if low >= 0 and high <= 1:
        return IntensityRange(0, 1)
    margin = _MARGIN * (high - low) or 1.0
    step = 10.0 ** math.floor(math.log10(high - low + 2 * margin)) / 100
    lowest = max(0.0, low - margin) if low >= 0 else low - margin
    return IntensityRange(
        float(f"{math.floor(lowest / step) * step:.12g}"),
        float(f"{math.ceil((high + margin) / step) * step:.12g}"),
    )
