"""Random crops of images of any size, and batches of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from autodenoise.data.spec import Supervision

__all__ = [
    *("WINDOW_BYTES", "Batch", "Crops", "ImageCrops", "as_float", "center_crops"),
    *("stored_bytes", "to_gray", "usable_side"),
]

WINDOW_BYTES = 2**30
"""Size of the window of images that an epoch uses up before the next, in larger datasets."""

# Minimum number of crops from an image while it is in the window.
_MIN_CROPS = 16

_SCALES = 5
# Networks with many levels need multiples of a power of 2. From these sides on, cropping to the
# multiple loses few enough pixels.
_MIN_SIDES = {32: 96, 16: 48, 8: 8}
_WHITE = {torch.uint8: 255, torch.uint16: 65535}


class Batch(NamedTuple):
    """Up to three versions of the same samples, each (B, C, H, W). At least one is present.

    Attributes
    ----------
    clean
        Clean images; None where the dataset has none.
    noisy
        Noisy images; None where noise is still to be drawn on `clean`.
    again
        Second noisy versions with independent noise; None where there is only one.
    """

    clean: Tensor | None = None
    noisy: Tensor | None = None
    again: Tensor | None = None

    @property
    def size(self) -> int:
        """Number of samples."""
        return len(self._any)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of each image."""
        channels, height, width = self._any.shape[1:]
        return channels, height, width

    def map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """Apply a function to every version that is present."""
        return Batch(*(None if images is None else function(images) for images in self))

    @property
    def _any(self) -> Tensor:
        return next(images for images in self if images is not None)


class Crops(ABC):
    """Random square crops of images in memory or on disk.

    The crops depend only on the sizes of the images and on the generator.

    Parameters
    ----------
    shapes
        (V, C, H, W) of each sample: versions, channels, height and width.
    dtype
        uint8, uint16, or float32, nominally in [0, 1].
    side
        Default side of the crops, in pixels.
    shrink
        Take half of the crops from smaller versions of the images: four scales down to this
        factor. This hides JPEG artifacts and shows finer detail than the images have.
    shuffle_channels
        Shuffle the channels of each crop, so that a network that sees few images does not learn
        that skies are blue.
    supervision
        The meaning of the versions.
    window_bytes
        See `WINDOW_BYTES`.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, ...]],
        dtype: torch.dtype,
        side: int,
        *,
        shrink: float,
        shuffle_channels: bool,
        supervision: Supervision,
        window_bytes: int,
    ) -> None:
        self.side, self.shuffle_channels, self.supervision = side, shuffle_channels, supervision
        self.scales = _scales(shrink)
        self._channels = shapes[0][1]
        self._pixels_of = np.array([_pixel_count(shape, self.scales) for shape in shapes])
        self._window_pixels = max(1, window_bytes // (self._channels * dtype.itemsize))

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._pixels_of)

    @property
    def shape(self) -> tuple[int, ...]:
        """(samples, pixels of all their versions, channels, side of a crop, shuffled or not)."""
        pixels = int(self._pixels_of.sum())
        return len(self), pixels, self._channels, self.side, int(self.shuffle_channels)

    @property
    def notes(self) -> tuple[str, ...]:
        """Messages for the user about problems found while taking crops."""
        return ()

    def order(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw the samples for an epoch of `count` crops, (count,).

        Small datasets are shuffled. Larger ones are used up window by window.
        """
        return torch.cat(self._windows(count, generator))

    def _windows(self, count: int, generator: torch.Generator) -> list[Tensor]:
        """Draw the order of an epoch, window by window."""
        if self._pixels_of.sum() <= self._window_pixels:
            rows = torch.randperm(count, generator=generator) % len(self)
            # Where some samples come once more than others, draw which.
            uneven = count % len(self) != 0
            return [torch.randperm(len(self), generator=generator)[rows] if uneven else rows]
        crops = max(-(-count // len(self)), min(_MIN_CROPS, count))
        chosen = torch.randperm(len(self), generator=generator)[: -(-count // crops)]
        filled = self._pixels_of[chosen.numpy()].cumsum()
        ends = np.flatnonzero(np.diff((filled - 1) // self._window_pixels, append=-1)) + 1
        # The last sample has fewer crops if `count` is no multiple of `crops`.
        windows = chosen.repeat_interleave(crops)[:count].tensor_split((ends[:-1] * crops).tolist())
        return [part[torch.randperm(len(part), generator=generator)] for part in windows]

    def batch(self, rows: Tensor, generator: torch.Generator, side: int | None = None) -> Batch:
        """Cut a random crop from each of some samples; see `crops`."""
        cut = self.crops(rows, generator, side)
        match self.supervision:
            case "clean":
                return Batch(clean=cut[0])
            case "paired":
                return Batch(clean=cut[1], noisy=cut[0])
            case "repeats":
                return Batch(noisy=cut[0], again=cut[1])
            case "noisy-only":
                return Batch(noisy=cut[0])

    def crops(self, rows: Tensor, generator: torch.Generator, side: int | None = None) -> Tensor:
        """Cut a random crop from each of some samples, the same from one or two of its versions.

        `rows` are the indices of the samples, (B,), on the device that the crops should be on. All
        random numbers are drawn on the CPU, so the crops are the same on any device. Images that
        are smaller than a crop are extended by reflection.

        Return (1 or 2, B, C, side, side), channels last in memory, in the dtype of the images: the
        noisy and the clean version of pairs, two random shots of repeats, or the only version.
        """
        count = len(rows)
        draws = [torch.rand(6, count, generator=generator), torch.zeros(2, count)]
        if self.supervision == "repeats":
            draws[1] = torch.rand(2, count, generator=generator)
        if self.shuffle_channels:
            draws.append(torch.rand(count, self._channels, generator=generator).T)
        return self.cut(rows, torch.cat(draws), side or self.side)

    @abstractmethod
    def cut(self, rows: Tensor, draws: Tensor, side: int) -> Tensor:
        """Cut the crops that random numbers in [0, 1) describe; see `crops`.

        Their rows, (8 or 8 + C, B): scale of the image, vertical and horizontal position, vertical
        flip, horizontal flip, transposition, the two versions, and the order of the channels.
        """


class ImageCrops(Crops):
    """Crops of images of different sizes, stored in one tensor on any device; see `Crops`.

    `images` are all versions of each sample, (V, C, H, W), with the same dtype and number of
    channels. V is 1 for clean or noisy-only, 2 for paired (noisy, clean), and 2 or more for
    repeats.
    """

    def __init__(
        self,
        images: Sequence[Tensor],
        side: int,
        *,
        shrink: float = 1.0,
        shuffle_channels: bool = False,
        supervision: Supervision = "clean",
        window_bytes: int = WINDOW_BYTES,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(
            [tuple(image.shape) for image in images],
            images[0].dtype,
            side,
            shrink=shrink,
            shuffle_channels=shuffle_channels,
            supervision=supervision,
            window_bytes=window_bytes,
        )
        scaled = [_resize(image, scale) for scale in self.scales for image in images]
        self._dtype = images[0].dtype
        # Pixel after pixel: a crop is then one gather, whatever the size of its image.
        pixels = [image.permute(0, 2, 3, 1).flatten(0, 2) for image in scaled]
        # PyTorch supports few operations on uint16; int16 holds the same bits.
        stored = torch.int16 if self._dtype == torch.uint16 else self._dtype
        self._pixels = torch.cat(pixels).view(stored).to(device)
        self._sizes = torch.tensor([image.shape[2:] for image in scaled], device=device)
        self._versions = torch.tensor([len(image) for image in scaled], device=device)
        lengths = self._sizes.prod(1) * self._versions
        self._starts = lengths.cumsum(0) - lengths

    def cut(self, rows: Tensor, draws: Tensor, side: int) -> Tensor:
        """See `Crops`."""
        device = self._pixels.device
        scale, y, x, flip, mirror, transpose, *versions = draws[:8].to(device)
        index = rows.to(device) + (scale * len(self.scales)).long() * len(self)
        sizes = self._sizes[index]
        starts = self._starts[index] + self._version_of(index, *versions) * sizes.prod(1)
        room = (sizes - side).clamp(min=0) + 1
        corner = (torch.stack([y, x], 1) * room).long()
        rising = torch.arange(side, device=device)[None]
        down = torch.where(flip[:, None] < 0.5, rising, side - 1 - rising)
        across = torch.where(mirror[:, None] < 0.5, rising, side - 1 - rising)
        row = _reflect(corner[:, :1] + down, sizes[:, :1])
        column = _reflect(corner[:, 1:] + across, sizes[:, 1:])
        place = (row * sizes[:, 1:])[:, :, None] + column[:, None, :]
        place = torch.where(transpose[:, None, None] < 0.5, place, place.transpose(1, 2))
        cut = self._pixels[starts[:, :, None, None] + place]
        if len(draws) > 8:
            order = draws[8:].T.argsort(1).to(device)[:, None, None].expand_as(cut)
            cut = cut.gather(4, order)
        return cut.permute(0, 1, 4, 2, 3).to(rows.device).view(self._dtype)

    def _version_of(self, index: Tensor, one: Tensor, step: Tensor) -> Tensor:
        """Return the versions to cut from, (1 or 2, B)."""
        if self.supervision == "paired":
            return torch.tensor([[0], [1]], device=index.device).expand(-1, len(index))
        if self.supervision != "repeats":
            return torch.zeros_like(index)[None]
        count = self._versions[index]
        first = (one * count).long()
        return torch.stack([first, (first + 1 + (step * (count - 1)).long()) % count])


def stored_bytes(shapes: Iterable[Sequence[int]], dtype: torch.dtype, shrink: float) -> int:
    """Return the memory that `ImageCrops` takes for samples of shapes (V, C, H, W)."""
    scales = _scales(shrink)
    return sum(shape[1] * _pixel_count(shape, scales) for shape in shapes) * dtype.itemsize


def center_crops(images: Sequence[Tensor], side: int) -> Tensor:
    """Cut a square from the center of each image (C, H, W), and stack them.

    The squares are at most as large as the smallest image.
    """
    side = min(side, *(min(image.shape[1:]) for image in images))
    crops = []
    for image in images:
        top, left = ((length - side) // 2 for length in image.shape[1:])
        crops.append(image[:, top : top + side, left : left + side])
    return torch.stack(crops)


def usable_side(side: int) -> int:
    """Return the largest side up to this one that networks accept.

    Networks need multiples of up to 32; small sides are reduced to smaller multiples.

    Examples
    --------
    >>> usable_side(100), usable_side(50), usable_side(7)
    (96, 48, 7)
    """
    multiple = next((multiple for multiple, least in _MIN_SIDES.items() if least <= side), 1)
    return side - side % multiple


def as_float(pixels: Tensor) -> Tensor:
    """Scale images (N, C, H, W) to [0, 1], as channels-last floats, which oneDNN's kernels want."""
    values = pixels.to(torch.float32, memory_format=torch.channels_last)
    return values if pixels.is_floating_point() else values.div_(_WHITE[pixels.dtype])


def to_gray(pixels: Tensor) -> Tensor:
    """Convert RGB (..., 3, H, W) to luma (..., 1, H, W); return gray images unchanged."""
    if pixels.shape[-3] != 3:
        return pixels
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    luma = (pixels.float() * weights).sum(-3, keepdim=True)
    return luma if pixels.is_floating_point() else luma.round_().to(pixels.dtype)


def _scales(shrink: float) -> list[float]:
    """Return the scales at which images are stored."""
    return [1.0] if shrink == 1 else torch.linspace(1, shrink, _SCALES).tolist()


def _scaled_size(shape: Sequence[int], scale: float) -> list[int]:
    return [max(1, round(length * scale)) for length in shape[-2:]]


def _pixel_count(shape: Sequence[int], scales: Sequence[float]) -> int:
    """Count the pixels of a sample (V, C, H, W) at all scales."""
    return shape[0] * sum(math.prod(_scaled_size(shape, scale)) for scale in scales)


def _reflect(position: Tensor, size: Tensor) -> Tensor:
    # Period 2 * size: 0 1 2 ... n n ... 2 1 0.
    within = position.remainder(2 * size)
    return torch.minimum(within, 2 * size - 1 - within)


def _resize(image: Tensor, scale: float) -> Tensor:
    if scale == 1:
        return image
    size = _scaled_size(image.shape, scale)
    values = functional.interpolate(
        image.float(), size, mode="bicubic", antialias=True, align_corners=False
    )
    if image.is_floating_point():
        return values.clamp_(0, 1)
    return values.round_().clamp_(0, _WHITE[image.dtype]).to(image.dtype)
