"""Pieces: what is read at once of a scene, and how its samples become what is learnt from."""

from __future__ import annotations

import itertools
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from autodenoise.data.crops import stored_bytes
from autodenoise.data.planes import Plane, Reader, Window
from autodenoise.discovery import SkippedFile
from autodenoise.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from autodenoise.data.repeats import Form
    from autodenoise.images import IntensityRange

__all__ = [
    "LARGEST",
    "THREADS",
    "Coding",
    "Loaded",
    "Piece",
    "Pieces",
    "coding_for",
    "evenly",
    "to_grey",
]

_Item = TypeVar("_Item")

LARGEST = 128 * 2**20
"""Bytes of a piece: of a larger picture, windows are learnt from as pictures of their own."""

THREADS = min(4, os.cpu_count() or 1)
"""How many read at a time."""


@dataclass(frozen=True)
class Piece:
    """The same window of all versions of a scene.

    Attributes
    ----------
    name
        Of the scene.
    planes
        Its versions, all of one size: see `autodenoise.data.crops.Holds`.
    window
        What is taken of each.
    """

    name: str
    planes: tuple[Plane, ...]
    window: Window

    @classmethod
    def whole(cls, name: str, planes: Iterable[Plane]) -> Piece:
        """Take all of a scene."""
        planes = tuple(planes)
        form = planes[0].form
        return cls(name, planes, Window(0, 0, form.height, form.width))

    @property
    def shots(self) -> int:
        """The number of versions."""
        return len(self.planes)

    @property
    def form(self) -> Form:
        """Of the first version's window."""
        return self.planes[0].form._replace(width=self.window.width, height=self.window.height)

    def rows(self) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Read one version after the other, as `autodenoise.data.repeats.Scene` does."""
        reader = Reader()
        for shot, plane in enumerate(self.planes):
            yield shot, 0, reader.read(plane, self.window)

    def squares(self, side: int, most: int) -> list[Piece]:
        """Cut squares that lie side by side in the middle, evenly spaced ones if there are more."""
        top, left, height, width = self.window
        down, across = height // side, width // side
        top += (height - down * side) // 2
        left += (width - across * side) // 2
        places = list(itertools.product(range(down), range(across)))
        return [
            replace(self, window=Window(top + side * row, left + side * column, side, side))
            for row, column in evenly(places, most)
        ]

    def cut(self, most: float) -> list[Piece]:
        """Cut a scene of more pixels, all versions counted, into as few alike parts as may be."""
        top, left, height, width = self.window
        parts = math.ceil(self.shots * height * width / most)
        down = min(height, max(1, round(math.sqrt(parts * height / width))))
        across = math.ceil(parts / down)
        rows, columns = (
            [length * n // count for n in range(count + 1)]
            for length, count in ((height, down), (width, across))
        )
        return [
            replace(self, window=Window(top + up, left + start, low - up, end - start))
            for up, low in itertools.pairwise(rows)
            for start, end in itertools.pairwise(columns)
        ]


@dataclass(frozen=True)
class Coding:
    """How samples become what is learnt from.

    Attributes
    ----------
    dtype
        uint8, uint16, or float32 in [0, 1] nominally.
    intensity_range
        Black and white of samples whose range their file does not tell.
    grey
        Whether to take the luma of colours.
    """

    dtype: torch.dtype
    intensity_range: IntensityRange | None = None
    grey: bool = False

    def tensor(self, samples: NDArray[Any], form: Form) -> Tensor:
        """Turn (H, W, C) samples into (C, H, W).

        Raises
        ------
        InputError
            Some are NaN or infinite, or nobody knows their range.
        """
        if self.dtype == torch.float32:
            intensity_range = form.intensity_range or self.intensity_range
            if intensity_range is None:
                raise InputError(f"it has {form.dtype} samples, whose range is not known")
            values: NDArray[Any] = intensity_range.to_float(samples)
            if not np.isfinite(values).all():
                raise InputError("some samples are NaN or infinite")
        elif self.dtype == torch.uint16 and samples.dtype == np.uint8:
            values = samples * np.uint16(257)
        else:
            # Those that come out of a decoder cannot be written to.
            values = samples if samples.flags.writeable else samples.copy()
        tensor = torch.from_numpy(values).permute(2, 0, 1)
        return to_grey(tensor) if self.grey else tensor


class Loaded(NamedTuple):
    """Pictures that were read, and by their planes those that turned out to be damaged."""

    pictures: tuple[Tensor, ...]
    damaged: dict[tuple[Plane, ...], SkippedFile]


class Pieces:
    """Pieces of scenes on disk, as a sequence of pictures (V, C, H, W).

    Parameters
    ----------
    pieces
        Which.
    coding
        What becomes of their samples.
    """

    def __init__(self, pieces: Sequence[Piece], coding: Coding) -> None:
        self.pieces, self.coding = tuple(pieces), coding

    def __len__(self) -> int:
        """Give their number."""
        return len(self.pieces)

    def __getitem__(self, index: int) -> Tensor:
        """Read one; see `read`."""
        return self.read(index, Reader())

    def __iter__(self) -> Iterator[Tensor]:
        """Read one after the other."""
        reader = Reader()
        return (self.read(index, reader) for index in range(len(self)))

    @property
    def dtype(self) -> torch.dtype:
        """Of the pictures."""
        return self.coding.dtype

    def shape(self, index: int) -> tuple[int, int, int, int]:
        """Give the shape of one, (V, C, H, W), without reading it."""
        piece = self.pieces[index]
        channels = piece.form.colours
        if self.coding.grey and channels == 3:
            channels = 1
        return piece.shots, channels, piece.window.height, piece.window.width

    def bytes(self, shrink: float) -> int:
        """Give the memory that all take: as they are read, and as crops are taken of them."""
        shapes = [self.shape(index) for index in range(len(self))]
        return sum(stored_bytes(shapes, self.dtype, share) for share in (1.0, shrink))

    def read(self, index: int, reader: Reader) -> Tensor:
        """Read one with a thread's own reader.

        Raises
        ------
        InputError
            A file is missing or damaged.
        """
        piece = self.pieces[index]
        versions = []
        for plane in piece.planes:
            samples = reader.read(plane, piece.window)
            try:
                versions.append(self.coding.tensor(samples, plane.form))
            except InputError as error:
                raise InputError(f"{plane.path}: {error}") from None
        return torch.stack(versions) if len(versions) > 1 else versions[0][None]

    def load(self) -> Loaded:
        """Read all of them, but for the damaged ones."""
        # What lies in one file is read by one thread, in order.
        runs = itertools.groupby(range(len(self)), lambda n: self.pieces[n].planes[0].path)
        with ThreadPoolExecutor(THREADS) as pool:
            found = [
                one
                for run in pool.map(self._read_run, [list(run) for _, run in runs])
                for one in run
            ]
        told = zip(self.pieces, found, strict=True)
        return Loaded(
            tuple(one for one in found if isinstance(one, Tensor)),
            {piece.planes: one for piece, one in told if isinstance(one, SkippedFile)},
        )

    def _read_run(self, run: list[int]) -> list[Tensor | SkippedFile]:
        reader = Reader()
        found: list[Tensor | SkippedFile] = []
        for index in run:
            try:
                found.append(self.read(index, reader))
            except InputError as error:
                found.append(SkippedFile(self.pieces[index].name, str(error)))
        return found


def coding_for(forms: Iterable[Form], *, grey: bool) -> Coding:
    """Choose the smallest type that holds what all planes hold, as their files have it."""
    kinds = {form.dtype.name for form in forms}
    if kinds == {"uint8"}:
        return Coding(torch.uint8, grey=grey)
    return Coding(torch.uint16 if kinds <= {"uint8", "uint16"} else torch.float32, grey=grey)


def evenly(items: Sequence[_Item], count: int) -> list[_Item]:
    """Give so many items, evenly spaced, or all if there are fewer."""
    count = min(count, len(items))
    return [items[len(items) * (2 * n + 1) // (2 * count)] for n in range(count)]


def to_grey(pixels: Tensor) -> Tensor:
    """Turn (..., 3, H, W) into (..., 1, H, W); what is grey stays as it is."""
    if pixels.shape[-3] != 3:
        return pixels
    luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    grey = (pixels.float() * luma).sum(-3, keepdim=True)
    return grey if pixels.is_floating_point() else grey.round_().to(pixels.dtype)
