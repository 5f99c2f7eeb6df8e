"""A look at some of the pictures before learning from them: their range, and what is wrong."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autodenoise.data.pieces import THREADS, evenly
from autodenoise.data.planes import Reader
from autodenoise.data.registration import misalignment
from autodenoise.errors import InputError
from autodenoise.images import IntensityRange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from autodenoise.data.pieces import Piece

__all__ = ["Seen", "inspect"]

_INSPECTED = 32
_ALIGNED = 8
_SAMPLES = 1 << 16
_MARGIN = 0.1
# What lies beyond may be glints, hot pixels, or strong noise.
_PERCENTILES = (0.1, 99.9)
_FLAT = 4 / 65535


class Seen(NamedTuple):
    """What some of the pictures show.

    Attributes
    ----------
    intensity_range
        Of samples whose range their files do not tell; None where all do.
    span
        Black and white, in units of that.
    notes
        What people should know.
    """

    intensity_range: IntensityRange | None
    span: tuple[float, float]
    notes: tuple[str, ...]


class _Look(NamedTuple):
    """A version of a piece: its own scale, its finite ends, and some of its samples."""

    intensity_range: IntensityRange | None
    low: float
    high: float
    samples: NDArray[Any]


class _Looks(NamedTuple):
    """A piece: its first two versions, whether they are the same, and how they lie."""

    name: str
    versions: list[_Look]
    identical: bool
    apart: str | None


def inspect(pieces: Sequence[Piece], *, normalise: bool) -> Seen:
    """Look at up to 32 pieces, evenly spaced, and as many of unknown range.

    Parameters
    ----------
    pieces
        To be learnt from.
    normalise
        Find the span: what all but a thousandth of the samples at either end lie between. It stays
        (0, 1) where a picture has 8 bits, whose owners have seen to it.

    Raises
    ------
    InputError
        Not one can be decoded; or all pairs or repeats are the same picture twice.
    """
    deep = all(plane.form.dtype != np.uint8 for piece in pieces for plane in piece.planes)
    if all(piece.shots == 1 and _is_declared(piece) for piece in pieces) and not (
        normalise and deep
    ):
        return Seen(None, (0.0, 1.0), ())
    chosen = [
        *evenly([piece for piece in pieces if _is_declared(piece)], _INSPECTED),
        *evenly([piece for piece in pieces if not _is_declared(piece)], _INSPECTED),
    ]
    aligned = {*evenly(chosen, _ALIGNED)}
    with ThreadPoolExecutor(THREADS) as pool:
        told = list(pool.map(lambda piece: _look(piece, aligned=piece in aligned), chosen))
    looks = [look for look in told if isinstance(look, _Looks)]
    if not looks:
        raise InputError(f"not one of {len(chosen)} pictures can be decoded; the first: {told[0]}")
    versions = [version for look in looks for version in look.versions]
    undeclared = [version for version in versions if version.intensity_range is None]
    intensity_range = _found(undeclared) if undeclared else None
    notes = [*_identical(looks), *(look.apart for look in looks if look.apart)]
    span = (0.0, 1.0)
    if normalise and deep:
        units = [
            (version.intensity_range or intensity_range or IntensityRange(0, 1)).to_float(
                version.samples
            )
            for version in versions
        ]
        black, white = np.percentile(np.concatenate(units), _PERCENTILES).tolist()
        if white - black > _FLAT:
            span = (float(f"{black:.5g}"), float(f"{white:.5g}"))
        else:
            notes.append("the pictures are flat: black and white cannot be told from them")
    return Seen(intensity_range, span, tuple(notes))


def _is_declared(piece: Piece) -> bool:
    return all(plane.form.intensity_range is not None for plane in piece.planes)


def _look(piece: Piece, *, aligned: bool) -> _Looks | str:
    """Read the first two versions of a piece; say what is wrong if that is impossible."""
    reader = Reader()
    try:
        read = [reader.read(plane, piece.window) for plane in piece.planes[:2]]
        some = replace(piece, planes=tuple(evenly(piece.planes, _ALIGNED)))
        apart = misalignment(some) if aligned else None
    except InputError as error:
        return str(error)
    versions = []
    for plane, samples in zip(piece.planes, read, strict=False):
        finite = samples[np.isfinite(samples)] if samples.dtype.kind == "f" else samples.ravel()
        if not finite.size:
            return f"{plane.path} holds nothing but NaN and infinity"
        low, high = float(finite.min()), float(finite.max())
        some_of = np.random.default_rng(0).integers(0, finite.size, _SAMPLES)
        versions.append(_Look(plane.form.intensity_range, low, high, finite[some_of]))
    identical = len(read) > 1 and np.array_equal(_in_unit(read[0]), _in_unit(read[1]))
    return _Looks(piece.name, versions, identical, apart and f"{piece.name}: {apart}")


def _in_unit(samples: NDArray[Any]) -> NDArray[Any]:
    intensity_range = IntensityRange.for_dtype(samples.dtype)
    return samples if intensity_range is None else intensity_range.to_float(samples)


def _identical(looks: Sequence[_Looks]) -> list[str]:
    """Warn of, or refuse, scenes whose versions are one picture: all that they teach is to copy."""
    same = [look.name for look in looks if look.identical]
    if not same:
        return []
    if len(same) == len(looks):
        raise InputError(
            f"{looks[0].name} is the same picture twice, as are all others that were looked at: "
            "from a picture to itself there is nothing to learn. Noisy and clean pictures, or two "
            "shots of a scene, have to differ"
        )
    more = f" and {len(same) - 1} more" if len(same) > 1 else ""
    told = f"{same[0]}{more} of {len(looks)} scenes that were looked at"
    return [f"{told} are the same picture twice: they teach to leave noise alone"]


def _found(versions: Sequence[_Look]) -> IntensityRange:
    """Choose a range for samples whose owner has not told one: theirs, and a tenth at either end.

    What lies in [0, 1] is taken to mean that.
    """
    low, high = min(look.low for look in versions), max(look.high for look in versions)
    if low >= 0 and high <= 1:
        return IntensityRange(0, 1)
    margin = _MARGIN * (high - low) or 1.0
    step = 10.0 ** math.floor(math.log10(high - low + 2 * margin)) / 100
    lowest = max(0.0, low - margin) if low >= 0 else low - margin
    return IntensityRange(
        float(f"{math.floor(lowest / step) * step:.12g}"),
        float(f"{math.ceil((high + margin) / step) * step:.12g}"),
    )
