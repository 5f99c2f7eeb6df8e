"""Somebody's own pictures: from files of any kind to what is learnt from, and what is watched."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from autodenoise.data.arrays import PARTS, VIEW, Part
from autodenoise.data.crops import as_float, fitting
from autodenoise.data.gathering import gather, listing
from autodenoise.data.inspection import inspect
from autodenoise.data.pieces import LARGEST, Piece, Pieces, coding_for, evenly
from autodenoise.data.planes import Window
from autodenoise.data.splits import Split, rows_held_back, split
from autodenoise.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from autodenoise.data.crops import Supervision
    from autodenoise.data.dataset import DataSpec
    from autodenoise.data.pieces import Coding
    from autodenoise.data.planes import Plane
    from autodenoise.data.splits import Way
    from autodenoise.discovery import SkippedFile
    from autodenoise.images import IntensityRange

    _Damaged = dict[tuple[Plane, ...], SkippedFile]

__all__ = ["Prepared", "load", "places", "shape"]

# A picture that is the only one is cut: a band of it is held back.
_BAND = 0.15
_LEAST_SIDE, _LEAST_BAND = 64, 16

# Squares that are watched: no more, and so many even of few pictures.
_MOST_WATCHED, _LEAST_WATCHED = 64, 16
_SHOWN = 16


class Prepared(NamedTuple):
    """See `autodenoise.data.dataset.Splits`."""

    split: Split[Part]
    span: tuple[float, float]
    intensity_range: IntensityRange | None
    notes: tuple[str, ...]
    division: str


def places(source: Path, holds: Supervision) -> dict[str, Path]:
    """Give the folder or file of each part that a path holds.

    Clean and noisy pictures may lie in a folder a part.
    """
    is_volume = source.suffix.lower() == ".zarr"  # whose arrays may have any name
    if holds in ("clean", "noisy") and not is_volume and (source / "train").is_dir():
        return {name: source / name for name in PARTS if (source / name).is_dir()}
    return {"train": source}


def shape(data: DataSpec, found: Mapping[str, Path]) -> tuple[int, int, int]:
    """Give the (channels, height, width) of the images that are watched, by the files' headers.

    Raises
    ------
    InputError, UsageError
        As `load`.
    """
    plan = _plan(data, found, {})
    return plan.channels, plan.side, plan.side


def load(data: DataSpec, found: Mapping[str, Path], memory: float) -> Prepared:
    """Read what is learnt from, unless it takes more bytes than `memory`, and what is watched.

    Parameters
    ----------
    data
        What there is, and how to split it.
    found
        The folder or file of each part.
    memory
        For the training pictures, in bytes. Of more, `Part.pictures` is still to be read.

    Raises
    ------
    InputError
        Nothing can be learnt from.
    UsageError
        It is too little to hold some back, or a part is not there.
    """
    return _load(data, found, memory, {})


def _load(
    data: DataSpec, found: Mapping[str, Path], memory: float, damaged: _Damaged, division: str = ""
) -> Prepared:
    """Load what is not known to be damaged."""
    plan = _plan(data, found, damaged)
    # Before damage is known: which pictures turn out damaged depends on which are read.
    division = division or plan.division
    train, watched, test, has_test = plan.split
    # Large ones in parts, which are read by themselves.
    largest = LARGEST / (plan.channels * plan.coding.dtype.itemsize)
    pieces = [part for piece in train.pieces for part in piece.cut(largest)]
    seen = inspect(pieces, normalise=data.normalise)
    coding = replace(plan.coding, intensity_range=seen.intensity_range)

    def read(pieces: Sequence[Piece]) -> tuple[Tensor, ...]:
        loaded = Pieces(pieces, coding).load()
        damaged.update(loaded.damaged)
        return loaded.pictures

    parts = [(train, _SHOWN), (watched, _MOST_WATCHED)]
    if test is not watched:
        parts.append((test, len(test.pieces)))
    squares = [read(_views(portion, plan.side, most)) for portion, most in parts]
    if not all(squares):
        # All of the few that were held back, say: then others are.
        return _load(data, found, memory, damaged, division)
    learnt, validation, *others = (_part(part, data.holds) for part in squares)
    on_disk = Pieces(pieces, coding)
    notes, needed = [*plan.notes, *seen.notes], on_disk.bytes(data.shrink)
    if needed <= memory:
        learnt = learnt._replace(pictures=read(pieces))
        if not learnt.pictures:
            # Their middles could be decoded, but no picture as a whole.
            return _load(data, found, memory, damaged, division)
    elif data.shots is not None:
        raise UsageError("shots are taken of pictures that fit into memory; these are too many")
    else:
        learnt = learnt._replace(pictures=on_disk)
        notes.append(
            f"the pictures take {needed / 2**30:.1f} GiB, more than there is memory for "
            f"({memory / 2**30:.1f} GiB): they are read from their files while training"
        )
    if seen.intensity_range is not None:
        notes.append(
            "some files do not say what is black and what is white: "
            f"{seen.intensity_range.low:g} and {seen.intensity_range.high:g} are taken, which the "
            "pictures lie between. The model file keeps them"
        )
    if damaged:
        notes.append(f"{len(damaged):,} cannot be decoded:\n{listing([*damaged.values()])}")
    scored = others[0] if others else validation
    return Prepared(
        Split(learnt, validation, scored, has_test),
        seen.span,
        seen.intensity_range,
        tuple(notes),
        division,
    )


class _Portion(NamedTuple):
    """Some of the scenes."""

    pieces: tuple[Piece, ...]
    crop: int

    def hold_back(self, way: Way, share: float, seed: int) -> tuple[_Portion, _Portion]:
        """See `autodenoise.data.splits.Divisible`. A single scene is cut."""
        if len(self.pieces) == 1:
            kept, held = _cut_off(self.pieces[0], share, self.crop)
            return self._replace(pieces=(kept,)), self._replace(pieces=(held,))
        kept_rows, held_rows = rows_held_back(len(self.pieces), way, share, seed)
        return (
            self._replace(pieces=tuple(self.pieces[row] for row in kept_rows)),
            self._replace(pieces=tuple(self.pieces[row] for row in held_rows)),
        )


class _Plan(NamedTuple):
    """What is to be read, as the headers say."""

    split: Split[_Portion]
    coding: Coding
    channels: int
    side: int
    notes: list[str]

    @property
    def division(self) -> str:
        """A digest of what is learnt from and what is held back, wherever the pictures lie."""
        told = [[(piece.name, *piece.window) for piece in part.pieces] for part in self.split[:3]]
        return hashlib.sha256(repr(told).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _plan(data: DataSpec, found: Mapping[str, Path], damaged: _Damaged) -> _Plan:
    assert data.crop is not None
    notes: list[str] = []
    portions: dict[str, _Portion] = {}
    targets = Path(data.targets) if data.targets else None
    for name, place in found.items():
        gathered = gather(place, data.holds, targets, grey=data.grey)
        sound = tuple(scene for scene in gathered.scenes if scene.planes not in damaged)
        if not sound:
            raise InputError(f"nothing in {place} can be decoded:\n{listing([*damaged.values()])}")
        portions[name] = _Portion(sound, data.crop)
        if gathered.passed_over:
            both = f"{place} and {targets}" if targets else str(place)
            left_out = f"{len(gathered.passed_over):,} left out of {both}"
            notes.append(f"{left_out}:\n{listing(gathered.passed_over)}")
        if gathered.besides.total() >= len(gathered.scenes):
            endings = ", ".join(f"{end} ({n:,})" for end, n in gathered.besides.most_common(3))
            notes.append(f"most files in {place} are no pictures by their endings: {endings}")
    pieces = [piece for portion in portions.values() for piece in portion.pieces]
    coding = coding_for((plane.form for one in pieces for plane in one.planes), grey=data.grey)
    kinds = {name: _channels(portion.pieces, coding) for name, portion in portions.items()}
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"'{name}' has {count}" for name, count in kinds.items())
        raise InputError(f"{data.source}: all parts must have as many channels; {told}")
    depths = Counter(piece.form.dtype.name for piece in pieces)
    if len(depths) > 1:
        told = ", ".join(f"{count:,} of {depth}" for depth, count in depths.most_common())
        notes.append(f"the pictures are of several depths, each scaled by its own: {told}")
    small = sum(min(piece.window[2:]) < data.crop for piece in pieces)
    if 2 * small > len(pieces):
        notes.append(
            f"{small:,} of {len(pieces):,} pictures are smaller than the crops of {data.crop} "
            "pixels, which go on mirrored; smaller crops would do"
        )
    divided = split(data, portions)
    if len(portions["train"].pieces) == 1 and data.validation != "test":
        held = divided.validation.pieces[0].window
        notes.append(
            f"there is one scene: {held.width}x{held.height} pixels of it are held back to "
            "watch training on"
        )
    return _Plan(divided, coding, kinds["train"], _side(divided), notes)


def _channels(pieces: Sequence[Piece], coding: Coding) -> int:
    return Pieces(pieces, coding).shape(0)[1]


def _side(divided: Split[_Portion]) -> int:
    """Choose the side of what is watched: that most pictures have, and one that networks take."""
    sides = [[min(piece.window[2:]) for piece in portion.pieces] for portion in divided[:3]]
    both = sorted(sides[0] + sides[1])
    return fitting(min(VIEW, both[(len(both) - 1) // 2], *map(max, sides)))


def _cut_off(piece: Piece, share: float, crop: int) -> tuple[Piece, Piece]:
    """Cut a band off the longer side, at least as broad as a crop if there is room for it.

    Raises
    ------
    UsageError
        The picture is too small for that.
    """
    top, left, height, width = piece.window
    if min(height, width) < _LEAST_SIDE:
        raise UsageError(
            f"{piece.name} is the only picture, and of {width}x{height} pixels it is too small to "
            f"learn from a part of it: at least 2 pictures are needed, or {_LEAST_SIDE} pixels a "
            "side"
        )
    length = max(height, width)
    band = round(max(_BAND * length, share * length, min(crop, length / 4), _LEAST_BAND))
    band = fitting(min(band, length - _LEAST_SIDE // 2))
    if height > width:
        kept = Window(top, left, height - band, width)
        held = Window(top + height - band, left, band, width)
    else:
        kept = Window(top, left, height, width - band)
        held = Window(top, left + width - band, height, band)
    return replace(piece, window=kept), replace(piece, window=held)


def _views(portion: _Portion, side: int, most: int) -> list[Piece]:
    """Choose the squares that are watched: the middle of each picture, more where they are few."""
    each = max(1, _LEAST_WATCHED // len(portion.pieces))
    squares = [square for piece in portion.pieces for square in piece.squares(side, each)]
    return evenly(squares, max(most, _LEAST_WATCHED))


def _part(squares: Sequence[Tensor], holds: Supervision) -> Part:
    """Give what is watched by what it is."""
    first = torch.stack([versions[0] for versions in squares])
    if holds == "clean":
        return Part(first)
    if holds == "noisy":
        return Part(first, noisy=first)
    again = torch.stack([versions[1] for versions in squares])
    if holds == "pairs":
        return Part(again, noisy=first)
    clean = torch.stack([as_float(versions[1:]).mean(0) for versions in squares])
    return Part(clean, noisy=first, again=again)
