"""Crops of more pictures than memory holds, which threads read ahead."""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from autodenoise.data.crops import WINDOW, Crops, Draws, Pictures, stored_bytes
from autodenoise.data.gathering import listing
from autodenoise.data.pieces import THREADS, Pieces
from autodenoise.data.planes import Reader
from autodenoise.discovery import SkippedFile
from autodenoise.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from autodenoise.data.crops import Supervision

__all__ = ["Stream", "crops_of"]


class Stream(Crops):
    """Crops of pictures on disk: the same as `Pictures` gives of them, in the same order.

    In memory are the window of pictures that an epoch is at, and the next one.

    Parameters
    ----------
    pieces
        The pictures.
    side, shrink, shuffle_channels, holds, window
        See `Crops`.
    threads
        How many read ahead.
    """

    def __init__(
        self,
        pieces: Pieces,
        side: int,
        *,
        shrink: float = 1.0,
        shuffle_channels: bool = False,
        holds: Supervision = "clean",
        window: int = WINDOW,
        threads: int = THREADS,
    ) -> None:
        super().__init__(
            [pieces.shape(index) for index in range(len(pieces))],
            pieces.dtype,
            side,
            shrink=shrink,
            shuffle_channels=shuffle_channels,
            holds=holds,
            window=window,
        )
        self._shelf = _Shelf(pieces, shrink, holds)
        self._pool = ThreadPoolExecutor(threads)
        # Whoever lets go of a stream does not wait for what it has not begun to read.
        weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)
        self._coming: dict[int, Future[Pictures]] = {}
        self._plan: list[list[int]] = []
        self._place: dict[int, int] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """See `Crops`: the pictures that could not be decoded so far."""
        damaged = [SkippedFile(*told) for told in sorted(self._shelf.damaged.items())]
        if not damaged:
            return ()
        told = f"{len(damaged):,} cannot be decoded; others took their turns"
        return (f"{told}:\n{listing(damaged)}",)

    def order(self, count: int, generator: torch.Generator) -> Tensor:
        """See `Crops`. What is read ahead follows the last order that was asked for."""
        windows = self._windows(count, generator)
        self._plan = [list(dict.fromkeys(window.tolist())) for window in windows]
        self._place = {piece: n for n, pieces in enumerate(self._plan) for piece in pieces}
        return torch.cat(windows)

    def cut(self, rows: Tensor, draws: Draws, side: int) -> Tensor:
        """See `Crops`.

        Raises
        ------
        InputError
            Not one picture can be decoded.
        """
        asked = rows.tolist()
        self._read_ahead(asked)
        parts, which = [], []
        for piece in dict.fromkeys(asked):
            own = torch.tensor([n for n, other in enumerate(asked) if other == piece])
            pictures = self._coming[piece].result()
            cut = pictures.cut(torch.zeros_like(own), draws.take(own), side)
            parts.append(cut.permute(0, 1, 3, 4, 2))
            which.append(own)
        together = torch.cat(parts, 1)[:, torch.cat(which).argsort()]
        return together.permute(0, 1, 4, 2, 3).to(rows.device)

    def _read_ahead(self, asked: Sequence[int]) -> None:
        """Begin to read what is asked for, its window and the next; let go of all else."""
        near = list(asked)
        places = [self._place[piece] for piece in asked if piece in self._place]
        if places:
            for window in self._plan[min(places) : min(places) + 2]:
                near += window
        wanted = dict.fromkeys(near)
        for piece in [piece for piece in self._coming if piece not in wanted]:
            self._coming.pop(piece).cancel()
        for piece in wanted:
            if piece not in self._coming:
                self._coming[piece] = self._pool.submit(self._shelf.take, piece)


class _Shelf:
    """What the threads of a stream share."""

    def __init__(self, pieces: Pieces, shrink: float, holds: Supervision) -> None:
        self.pieces, self.shrink, self.holds = pieces, shrink, holds
        self.damaged: dict[str, str] = {}
        self._own = threading.local()

    def take(self, index: int) -> Pictures:
        """Read a picture; where it is damaged, the next that is not."""
        if not hasattr(self._own, "reader"):
            self._own.reader = Reader()
        for step in range(len(self.pieces)):
            number = (index + step) % len(self.pieces)
            try:
                picture = self.pieces.read(number, self._own.reader)
            except InputError as error:
                self.damaged[self.pieces.pieces[number].name] = str(error)
                continue
            return Pictures([picture], 1, shrink=self.shrink, holds=self.holds)
        raise InputError(f"not one of {len(self.pieces):,} pictures can be decoded")


def crops_of(
    pictures: Sequence[Tensor] | Pieces,
    side: int,
    *,
    shrink: float,
    shuffle_channels: bool,
    holds: Supervision,
    device: torch.device,
) -> Crops:
    """Take crops of pictures where they are: on disk, or in memory; see `Crops`.

    Those in memory go to the device unless they would take more than half of what it has free.
    """
    if isinstance(pictures, Pieces):
        return Stream(pictures, side, shrink=shrink, shuffle_channels=shuffle_channels, holds=holds)
    if device.type == "cuda":
        shapes = [picture.shape for picture in pictures]
        free, _ = torch.cuda.mem_get_info(device)
        if stored_bytes(shapes, pictures[0].dtype, shrink) > free / 2:
            device = torch.device("cpu")
    return Pictures(
        pictures,
        side,
        shrink=shrink,
        shuffle_channels=shuffle_channels,
        holds=holds,
        device=device,
    )
