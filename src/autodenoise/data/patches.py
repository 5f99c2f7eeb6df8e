"""Patches: samples on disk, read as tensors."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from autodenoise.data.crops import stored_bytes, to_gray
from autodenoise.data.samples import THREADS, Reader
from autodenoise.discovery import SkippedFile
from autodenoise.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from autodenoise.data.repeats import Form
    from autodenoise.data.samples import Plane, Sample
    from autodenoise.images import IntensityRange

__all__ = ["MAX_BYTES", "Patches", "common_dtype"]

MAX_BYTES = 128 * 2**20
"""Maximum size of a patch: larger images are cut into several patches."""


@dataclass(frozen=True)
class Patches:
    """Samples, or parts of large ones, as a sequence of tensors (V, C, H, W) read on demand.

    Attributes
    ----------
    samples
        What to read.
    dtype
        Type of the tensors: uint8, uint16, or float32, nominally in [0, 1].
    intensity_range
        The range of files that do not declare theirs.
    gray
        Whether to convert color images to luma.
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
        channels = sample.form.channels
        if self.gray and channels == 3:
            channels = 1
        return sample.shots, channels, sample.window.height, sample.window.width

    def peak_bytes(self, shrink: float) -> int:
        """Return the memory for loading all patches and preparing them for crops."""
        shapes = [self.shape(index) for index in range(len(self))]
        return sum(stored_bytes(shapes, self.dtype, scale) for scale in (1.0, shrink))

    def read(self, index: int, reader: Reader) -> Tensor:
        """Read one patch, (V, C, H, W), with the calling thread's reader.

        Raises
        ------
        InputError
            A file is missing or damaged.
        """
        sample = self.samples[index]
        versions = []
        for plane in sample.planes:
            pixels = reader.read(plane, sample.window)
            try:
                versions.append(self._to_tensor(pixels, plane.form))
            except InputError as error:
                raise InputError(f"{plane.path}: {error}") from None
        return torch.stack(versions) if len(versions) > 1 else versions[0][None]

    def load(self) -> tuple[tuple[Tensor, ...], dict[tuple[Plane, ...], SkippedFile]]:
        """Read all patches.

        Returns
        -------
        tensors
            The patches that could be read.
        damaged
            By its planes, each sample that could not be read.
        """
        # Patches of one file are read by one thread, in order.
        runs = itertools.groupby(range(len(self)), lambda n: self.samples[n].planes[0].path)
        with ThreadPoolExecutor(THREADS) as pool:
            results = [
                result
                for run in pool.map(self._read_run, [list(run) for _, run in runs])
                for result in run
            ]
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

    def _to_tensor(self, pixels: NDArray[Any], form: Form) -> Tensor:
        """Convert (H, W, C) pixels to (C, H, W)."""
        if self.dtype == torch.float32:
            intensity_range = form.intensity_range or self.intensity_range
            if intensity_range is None:
                raise InputError(f"the intensity range of its {form.dtype} samples is unknown")
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


def common_dtype(forms: Iterable[Form]) -> torch.dtype:
    """Return the smallest type that stores images of all these forms without loss."""
    names = {form.dtype.name for form in forms}
    if names == {"uint8"}:
        return torch.uint8
    return torch.uint16 if names <= {"uint8", "uint16"} else torch.float32
