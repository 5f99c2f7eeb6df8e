"""Pictures of any size to learn from, and the random crops that training takes of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from autodenoise.data.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "WINDOW",
    "Crops",
    "Draws",
    "Pictures",
    "Supervision",
    "as_float",
    "centre_crops",
    "fitting",
    "stored_bytes",
]

Supervision = Literal["clean", "pairs", "repeats", "noisy"]
"""What there is of each scene: a clean picture; a noisy and a clean one; several noisy shots; or a
single noisy picture."""

WINDOW = 2**30
"""Bytes of pictures that an epoch stays with before it goes on to others, where there are more."""

# So many crops, at least, it takes of a picture while that is at hand.
_LEAST_CROPS = 16

_SIZES = 5
# From which side on it is worth the loss of some pixels that networks with so many levels fit.
_MULTIPLES = {32: 96, 16: 48, 8: 8}
_WHITE = {torch.uint8: 255, torch.uint16: 65535}


class Draws(NamedTuple):
    """What is drawn for each of some crops, before it is known what they are cut from.

    Attributes
    ----------
    place
        (6, B) in [0, 1): how much the picture is shrunk, where the crop lies down and across,
        whether it is flipped, mirrored, turned.
    versions
        (2, B) in [0, 1): which two versions.
    channels
        (B, C): the order of the channels; None: as they are.
    """

    place: Tensor
    versions: Tensor
    channels: Tensor | None

    def take(self, which: Tensor) -> Draws:
        """Give what is drawn for some of the crops."""
        channels = None if self.channels is None else self.channels[which]
        return Draws(self.place[:, which], self.versions[:, which], channels)


class Crops(ABC):
    """Random squares of pictures, wherever those are.

    What comes next follows from the pictures' sizes and a generator alone.

    Parameters
    ----------
    shapes
        Of each scene, (V, C, H, W): versions, channels, height and width.
    dtype
        uint8, uint16, or float32 in [0, 1] nominally.
    side
        Of the squares, unless told otherwise, in pixels.
    shrink
        Take a crop as often from a smaller version of its picture as from itself: from one of four
        whose sides are down to this share of it. That hides what JPEG did to pictures, and shows
        finer detail than they have.
    shuffle_channels
        Give each crop its channels in another order: a network that sees few pictures should not
        learn that skies are blue.
    holds
        What the versions are.
    window
        See `WINDOW`.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, ...]],
        dtype: torch.dtype,
        side: int,
        *,
        shrink: float,
        shuffle_channels: bool,
        holds: Supervision,
        window: int,
    ) -> None:
        self.side, self.shuffle_channels, self.holds = side, shuffle_channels, holds
        self.shares = _shares(shrink)
        self._channels = shapes[0][1]
        self._pixels_of = np.array([_pixels(shape, self.shares) for shape in shapes])
        self._window = max(1, window // (self._channels * dtype.itemsize))

    def __len__(self) -> int:
        """Give the number of pictures."""
        return len(self._pixels_of)

    @property
    def shape(self) -> tuple[int, ...]:
        """(pictures, pixels of all their versions, channels, side of a crop, shuffled or not)."""
        pixels = int(self._pixels_of.sum())
        return len(self), pixels, self._channels, self.side, int(self.shuffle_channels)

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of the pictures, as far as only taking crops shows it."""
        return ()

    def order(self, count: int, generator: torch.Generator) -> Tensor:
        """Say which pictures an epoch of so many crops takes them of, (count,).

        Small sets are shuffled. Of others, a window of pictures is used up before the next.
        """
        return torch.cat(self._windows(count, generator))

    def _windows(self, count: int, generator: torch.Generator) -> list[Tensor]:
        """Give the order of an epoch, window by window."""
        if self._pixels_of.sum() <= self._window:
            rows = torch.randperm(count, generator=generator) % len(self)
            # Where some pictures come once more than others, not always the first.
            uneven = count % len(self) != 0
            return [torch.randperm(len(self), generator=generator)[rows] if uneven else rows]
        crops = max(-(-count // len(self)), min(_LEAST_CROPS, count))
        chosen = torch.randperm(len(self), generator=generator)[: -(-count // crops)]
        filled = self._pixels_of[chosen.numpy()].cumsum()
        ends = np.flatnonzero(np.diff((filled - 1) // self._window, append=-1)) + 1
        # The last picture has fewer crops where the count says so.
        windows = chosen.repeat_interleave(crops)[:count].tensor_split((ends[:-1] * crops).tolist())
        return [part[torch.randperm(len(part), generator=generator)] for part in windows]

    def batch(self, rows: Tensor, generator: torch.Generator, side: int | None = None) -> Batch:
        """Cut one square out of each of some scenes, turned and mirrored at random.

        All versions of a scene are cut alike. Parameters are those of `crops`.
        """
        cut = self.crops(rows, generator, side)
        match self.holds:
            case "clean":
                return Batch(clean=cut[0])
            case "pairs":
                return Batch(clean=cut[1], noisy=cut[0])
            case "repeats":
                return Batch(noisy=cut[0], again=cut[1])
            case "noisy":
                return Batch(noisy=cut[0])

    def crops(self, rows: Tensor, generator: torch.Generator, side: int | None = None) -> Tensor:
        """Cut one square out of each of some scenes, out of one or two of its versions.

        Parameters
        ----------
        rows
            Which scenes, (B,), on the device of the crops.
        generator
            Draws everything, on the CPU: the same crops on any device.
        side
            Of the squares. A picture that is smaller goes on mirrored.

        Returns
        -------
        Tensor
            (1 or 2, B, C, side, side), channels last in memory, of the pictures' own type: the
            noisy and the clean version of pairs, any two of repeats, or the only one.
        """
        count = len(rows)
        place = torch.rand(6, count, generator=generator)
        versions = torch.zeros(2, count)
        if self.holds == "repeats":
            versions = torch.rand(2, count, generator=generator)
        channels = None
        if self.shuffle_channels:
            channels = torch.rand(count, self._channels, generator=generator).argsort(1)
        return self.cut(rows, Draws(place, versions, channels), side or self.side)

    @abstractmethod
    def cut(self, rows: Tensor, draws: Draws, side: int) -> Tensor:
        """Cut what was drawn; see `crops`."""


class Pictures(Crops):
    """Pictures of one number of channels, each of its own size, in one tensor on any device.

    Parameters
    ----------
    pictures
        Of each scene all versions, (V, C, H, W), all of one dtype: 1 where they are clean or noisy,
        the noisy and the clean one of a pair, and 2 or more of repeats.
    side, shrink, shuffle_channels, holds, window
        See `Crops`.
    device
        Where they are kept.
    """

    def __init__(
        self,
        pictures: Sequence[Tensor],
        side: int,
        *,
        shrink: float = 1.0,
        shuffle_channels: bool = False,
        holds: Supervision = "clean",
        window: int = WINDOW,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(
            [tuple(picture.shape) for picture in pictures],
            pictures[0].dtype,
            side,
            shrink=shrink,
            shuffle_channels=shuffle_channels,
            holds=holds,
            window=window,
        )
        scenes = [_shrunk(picture, share) for share in self.shares for picture in pictures]
        self._dtype = pictures[0].dtype
        # Pixel after pixel: a crop is then one gather, whatever the size of its picture.
        pixels = [scene.permute(0, 2, 3, 1).flatten(0, 2) for scene in scenes]
        # The same bits of a type that more can be done with.
        kept = torch.int16 if self._dtype == torch.uint16 else self._dtype
        self._pixels = torch.cat(pixels).view(kept).to(device)
        self._sizes = torch.tensor([scene.shape[2:] for scene in scenes], device=device)
        self._versions = torch.tensor([len(scene) for scene in scenes], device=device)
        values = self._sizes.prod(1) * self._versions
        self._starts = values.cumsum(0) - values

    def cut(self, rows: Tensor, draws: Draws, side: int) -> Tensor:
        """See `Crops`."""
        device = self._pixels.device
        shrunk, y, x, flip, mirror, turn = draws.place.to(device)
        scene = rows.to(device) + (shrunk * len(self.shares)).long() * len(self)
        sizes = self._sizes[scene]
        starts = self._starts[scene] + self._chosen(scene, draws.versions) * sizes.prod(1)
        room = (sizes - side).clamp(min=0) + 1
        corner = (torch.stack([y, x], 1) * room).long()
        rising = torch.arange(side, device=device)[None]
        down = torch.where(flip[:, None] < 0.5, rising, side - 1 - rising)
        across = torch.where(mirror[:, None] < 0.5, rising, side - 1 - rising)
        row = _mirrored(corner[:, :1] + down, sizes[:, :1])
        column = _mirrored(corner[:, 1:] + across, sizes[:, 1:])
        place = (row * sizes[:, 1:])[:, :, None] + column[:, None, :]
        place = torch.where(turn[:, None, None] < 0.5, place, place.transpose(1, 2))
        cut = self._pixels[starts[:, :, None, None] + place]
        if draws.channels is not None:
            order = draws.channels.to(device)[:, None, None].expand_as(cut)
            cut = cut.gather(4, order)
        return cut.permute(0, 1, 4, 2, 3).to(rows.device).view(self._dtype)

    def _chosen(self, scene: Tensor, versions: Tensor) -> Tensor:
        """Say which versions are cut, (1 or 2, B)."""
        if self.holds == "pairs":
            return torch.tensor([[0], [1]], device=scene.device).expand(-1, len(scene))
        if self.holds != "repeats":
            return torch.zeros_like(scene)[None]
        one, step = versions.to(scene.device)
        count = self._versions[scene]
        first = (one * count).long()
        return torch.stack([first, (first + 1 + (step * (count - 1)).long()) % count])


def stored_bytes(shapes: Iterable[Sequence[int]], dtype: torch.dtype, shrink: float) -> int:
    """Give the memory that `Pictures` take, of shapes (V, C, H, W)."""
    shares = _shares(shrink)
    return sum(shape[1] * _pixels(shape, shares) for shape in shapes) * dtype.itemsize


def centre_crops(pictures: Sequence[Tensor], side: int) -> Tensor:
    """Stack the middles of pictures (C, H, W): squares of this side, or of the shortest there is.

    Returns
    -------
    Tensor
        (N, C, side, side).
    """
    side = min(side, *(min(picture.shape[1:]) for picture in pictures))
    middles = []
    for picture in pictures:
        top, left = ((length - side) // 2 for length in picture.shape[1:])
        middles.append(picture[:, top : top + side, left : left + side])
    return torch.stack(middles)


def fitting(side: int) -> int:
    """Give a side, up to this, that networks take: a multiple of 32, of less where it is short."""
    multiple = next((multiple for multiple, least in _MULTIPLES.items() if least <= side), 1)
    return side - side % multiple


def as_float(pixels: Tensor) -> Tensor:
    """Scale images (N, C, H, W) to [0, 1], as channels-last floats, which oneDNN's kernels want."""
    values = pixels.to(torch.float32, memory_format=torch.channels_last)
    return values if pixels.is_floating_point() else values.div_(_WHITE[pixels.dtype])


def _shares(shrink: float) -> list[float]:
    """Give the shares of their sides that pictures are kept at."""
    return [1.0] if shrink == 1 else torch.linspace(1, shrink, _SIZES).tolist()


def _size(shape: Sequence[int], share: float) -> tuple[int, int]:
    height, width = shape[-2:]
    return max(1, round(height * share)), max(1, round(width * share))


def _pixels(shape: Sequence[int], shares: Sequence[float]) -> int:
    """Count the pixels of a scene (V, C, H, W), at all shares of its sides."""
    return shape[0] * sum(math.prod(_size(shape, share)) for share in shares)


def _mirrored(position: Tensor, size: Tensor) -> Tensor:
    # Period 2 * size: 0 1 2 ... n n ... 2 1 0.
    within = position.remainder(2 * size)
    return torch.minimum(within, 2 * size - 1 - within)


def _shrunk(picture: Tensor, share: float) -> Tensor:
    if share == 1:
        return picture
    size = _size(picture.shape, share)
    values = functional.interpolate(
        picture.float(), size, mode="bicubic", antialias=True, align_corners=False
    )
    if picture.is_floating_point():
        return values.clamp_(0, 1)
    return values.round_().clamp_(0, _WHITE[picture.dtype]).to(picture.dtype)
