"""Patches of image files, and crops of datasets that are larger than memory."""

from __future__ import annotations

import itertools
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from autodenoise.data.crops import WINDOW_BYTES, Crops, ImageCrops, stored_bytes, to_gray
from autodenoise.data.gathering import listing
from autodenoise.data.samples import THREADS, Reader
from autodenoise.discovery import SkippedFile
from autodenoise.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from autodenoise.data.samples import Plane, Sample
    from autodenoise.data.spec import Supervision
    from autodenoise.data.volumes import ImageInfo
    from autodenoise.images import IntensityRange

__all__ = ["MAX_PATCH_BYTES", "Patches", "StreamedCrops", "common_dtype", "crops_of"]


MAX_PATCH_BYTES = 128 * 2**20
"""Maximum size of a patch: larger images are cut into several patches."""


@dataclass(frozen=True)
class Patches:
    """Samples, or parts of large ones, as a sequence of tensors (V, C, H, W) read on demand.

    They are uint8, uint16, or float32, nominally in [0, 1]. `intensity_range` is that of files that
    do not declare theirs. With `gray`, color images are converted to luma.
    """

    samples: tuple[Sample, ...]
    dtype: torch.dtype
    intensity_range: IntensityRange | None = None
    gray: bool = False

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.samples)

    def __getitem__(self, index: int) -> Tensor:
        """Read one patch; see `read`."""
        return self.read(index, Reader())

    def __iter__(self) -> Iterator[Tensor]:
        """Read the patches in order."""
        reader = Reader()
        return (self.read(index, reader) for index in range(len(self)))

    def shape(self, index: int) -> tuple[int, int, int, int]:
        """Return the shape of a patch, (V, C, H, W), without reading it."""
        sample = self.samples[index]
        channels = 1 if self.gray and sample.info.channels == 3 else sample.info.channels
        return sample.shots, channels, sample.window.height, sample.window.width

    def peak_bytes(self, shrink: float) -> int:
        """Return the memory for loading all patches and preparing them for crops."""
        shapes = [self.shape(index) for index in range(len(self))]
        return sum(stored_bytes(shapes, self.dtype, scale) for scale in (1.0, shrink))

    def read(self, index: int, reader: Reader) -> Tensor:
        """Read one patch, (V, C, H, W), with the calling thread's reader."""
        sample = self.samples[index]
        versions = []
        for plane in sample.planes:
            pixels = reader.read(plane, sample.window)
            try:
                versions.append(self._to_tensor(pixels, plane.info))
            except InputError as error:
                raise InputError(f"{plane.path}: {error}") from None
        return torch.stack(versions) if len(versions) > 1 else versions[0][None]

    def load(self) -> tuple[tuple[Tensor, ...], dict[tuple[Plane, ...], SkippedFile]]:
        """Return the patches that can be read, and the others' samples by their planes."""
        # Patches of one file are read by one thread, in order.
        runs = itertools.groupby(range(len(self)), lambda n: self.samples[n].planes[0].path)
        with ThreadPoolExecutor(THREADS) as pool:
            results = list(
                itertools.chain(*pool.map(self._read_run, [list(run) for _, run in runs]))
            )
        return (
            tuple(result for result in results if isinstance(result, Tensor)),
            {
                sample.planes: result
                for sample, result in zip(self.samples, results, strict=True)
                if isinstance(result, SkippedFile)
            },
        )

    def _read_run(self, run: Sequence[int]) -> list[Tensor | SkippedFile]:
        reader = Reader()
        results: list[Tensor | SkippedFile] = []
        for index in run:
            try:
                results.append(self.read(index, reader))
            except InputError as error:
                results.append(SkippedFile(self.samples[index].name, str(error)))
        return results

    def _to_tensor(self, pixels: NDArray[Any], info: ImageInfo) -> Tensor:
        """Convert (H, W, C) pixels to (C, H, W)."""
        if self.dtype == torch.float32:
            intensity_range = info.intensity_range or self.intensity_range
            if intensity_range is None:
                raise InputError(f"the intensity range of its {info.dtype} samples is unknown")
            values: NDArray[Any] = intensity_range.to_float(pixels)
            if not np.isfinite(values).all():
                raise InputError("some samples are NaN or infinite")
        elif self.dtype == torch.uint16 and pixels.dtype == np.uint8:
            values = pixels * np.uint16(257)
        else:
            # Arrays from a decoder may be read-only, which PyTorch does not support.
            values = pixels if pixels.flags.writeable else pixels.copy()
        tensor = torch.from_numpy(values).permute(2, 0, 1)
        return to_gray(tensor) if self.gray else tensor


def common_dtype(infos: Iterable[ImageInfo]) -> torch.dtype:
    """Return the smallest type that stores images of all these infos without loss."""
    names = {info.dtype.name for info in infos}
    if names == {"uint8"}:
        return torch.uint8
    return torch.uint16 if names <= {"uint8", "uint16"} else torch.float32


class StreamedCrops(Crops):
    """Crops of images on disk: the same as `ImageCrops` cuts, in the same order; see `Crops`.

    The current window of images and the next one are in memory.
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

    def cut(self, rows: Tensor, draws: Tensor, side: int) -> Tensor:
        """See `Crops`."""
        wanted = rows.tolist()
        self._read_ahead(wanted)
        parts, indices = [], []
        for row in dict.fromkeys(wanted):
            places = torch.tensor([n for n, other in enumerate(wanted) if other == row])
            image = self._pending[row].result()
            cut = image.cut(torch.zeros_like(places), draws[:, places], side)
            parts.append(cut.permute(0, 1, 3, 4, 2))
            indices.append(places)
        together = torch.cat(parts, 1)[:, torch.cat(indices).argsort()]
        return together.permute(0, 1, 4, 2, 3).to(rows.device)

    def _read_ahead(self, wanted: Sequence[int]) -> None:
        """Start reading these rows, their window and the next; drop all others."""
        windows = [self._window_of[row] for row in wanted if row in self._window_of]
        near = self._plan[min(windows) : min(windows) + 2] if windows else []
        needed = dict.fromkeys(itertools.chain(wanted, *near))
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
            images, side, shrink=shrink, shuffle_channels=shuffle_channels, supervision=supervision
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
