"""Crops of datasets that are larger than memory, read ahead by threads."""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from autodenoise.data.crops import WINDOW_BYTES, Crops, Draws, ImageCrops, stored_bytes
from autodenoise.data.gathering import listing
from autodenoise.data.patches import Patches
from autodenoise.data.samples import THREADS, Reader
from autodenoise.discovery import SkippedFile
from autodenoise.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from autodenoise.data.spec import Supervision

__all__ = ["StreamedCrops", "crops_of"]


class StreamedCrops(Crops):
    """Crops of images on disk: the same as `ImageCrops` cuts, in the same order.

    The current window of images and the next one are in memory.

    Parameters
    ----------
    patches
        The images.
    side, shrink, shuffle_channels, supervision, window_bytes
        See `Crops`.
    threads
        Number of threads that read ahead.
    """

    def __init__(
        self,
        patches: Patches,
        side: int,
        *,
        shrink: float = 1.0,
        shuffle_channels: bool = False,
        supervision: Supervision = "clean",
        window_bytes: int = WINDOW_BYTES,
        threads: int = THREADS,
    ) -> None:
        super().__init__(
            [patches.shape(index) for index in range(len(patches))],
            patches.dtype,
            side,
            shrink=shrink,
            shuffle_channels=shuffle_channels,
            supervision=supervision,
            window_bytes=window_bytes,
        )
        self._damaged: dict[str, str] = {}
        # The threads must not reference this object, or it would never be finalized.
        self._read = partial(
            _read, patches, self._damaged, threading.local(), shrink=shrink, supervision=supervision
        )
        self._pool = ThreadPoolExecutor(threads)
        # Do not wait for patches that no thread has begun to read.
        weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)
        self._pending: dict[int, Future[ImageCrops]] = {}
        self._plan: list[list[int]] = []
        self._window_of: dict[int, int] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """See `Crops`: the images that could not be decoded so far."""
        damaged = [SkippedFile(*entry) for entry in sorted(self._damaged.items())]
        if not damaged:
            return ()
        count = f"{len(damaged):,} cannot be decoded and were replaced by others"
        return (f"{count}:\n{listing(damaged)}",)

    def order(self, count: int, generator: torch.Generator) -> Tensor:
        """See `Crops`. Reading ahead follows the latest order."""
        windows = self._windows(count, generator)
        self._plan = [list(dict.fromkeys(window.tolist())) for window in windows]
        self._window_of = {row: n for n, rows in enumerate(self._plan) for row in rows}
        return torch.cat(windows)

    def cut(self, rows: Tensor, draws: Draws, side: int) -> Tensor:
        """See `Crops`.

        Raises
        ------
        InputError
            None of the images can be decoded.
        """
        wanted = rows.tolist()
        self._read_ahead(wanted)
        parts, indices = [], []
        for row in dict.fromkeys(wanted):
            places = torch.tensor([n for n, other in enumerate(wanted) if other == row])
            image = self._pending[row].result()
            cut = image.cut(torch.zeros_like(places), draws.take(places), side)
            parts.append(cut.permute(0, 1, 3, 4, 2))
            indices.append(places)
        together = torch.cat(parts, 1)[:, torch.cat(indices).argsort()]
        return together.permute(0, 1, 4, 2, 3).to(rows.device)

    def _read_ahead(self, wanted: Sequence[int]) -> None:
        """Start reading these rows, their window and the next; drop all others."""
        near = list(wanted)
        windows = [self._window_of[row] for row in wanted if row in self._window_of]
        if windows:
            for window in self._plan[min(windows) : min(windows) + 2]:
                near += window
        needed = dict.fromkeys(near)
        for row in [row for row in self._pending if row not in needed]:
            self._pending.pop(row).cancel()
        for row in needed:
            if row not in self._pending:
                self._pending[row] = self._pool.submit(self._read, row)


def _read(
    patches: Patches,
    damaged: dict[str, str],
    local: threading.local,
    index: int,
    *,
    shrink: float,
    supervision: Supervision,
) -> ImageCrops:
    """Read a patch, or the next one that is not damaged, with the thread's own reader."""
    if not hasattr(local, "reader"):
        local.reader = Reader()
    for step in range(len(patches)):
        number = (index + step) % len(patches)
        try:
            image = patches.read(number, local.reader)
        except InputError as error:
            damaged[patches.samples[number].name] = str(error)
            continue
        return ImageCrops([image], 1, shrink=shrink, supervision=supervision)
    raise InputError(f"none of the {len(patches):,} images can be decoded")


def crops_of(
    images: Sequence[Tensor] | Patches,
    side: int,
    *,
    shrink: float,
    shuffle_channels: bool,
    supervision: Supervision,
    device: torch.device,
) -> Crops:
    """Return crops of images on disk or in memory; for the parameters see `Crops`.

    Images in memory are moved to the device unless they take more than half of its free memory.
    """
    if isinstance(images, Patches):
        return StreamedCrops(
            images,
            side,
            shrink=shrink,
            shuffle_channels=shuffle_channels,
            supervision=supervision,
        )
    if device.type == "cuda":
        shapes = [image.shape for image in images]
        free, _ = torch.cuda.mem_get_info(device)
        if stored_bytes(shapes, images[0].dtype, shrink) > free / 2:
            device = torch.device("cpu")
    return ImageCrops(
        images,
        side,
        shrink=shrink,
        shuffle_channels=shuffle_channels,
        supervision=supervision,
        device=device,
    )
