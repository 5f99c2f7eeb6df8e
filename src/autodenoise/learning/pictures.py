"""Pictures of any size to learn from, and the random crops that training takes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Pictures", "centre_crops"]

_VERSIONS = 5


class Pictures:
    """Pictures of one number of channels, each of its own size, in one tensor on any device.

    Parameters
    ----------
    pictures
        Each (C, H, W), all uint8 or all float32 in [0, 1].
    side
        Of the squares that `crops` cuts unless told otherwise, in pixels.
    shrink
        Take a crop as often from a smaller version of its picture as from itself: from one of four
        whose sides are down to this share of it. That hides what JPEG did to pictures, and shows
        finer detail than they have.
    shuffle_channels
        Give each crop its channels in another order: a network that sees few pictures should not
        learn that skies are blue.
    device
        Where they are kept, and cut.
    """

    def __init__(
        self,
        pictures: Sequence[Tensor],
        side: int,
        *,
        shrink: float = 1.0,
        shuffle_channels: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        shares = [1.0] if shrink == 1 else torch.linspace(1, shrink, _VERSIONS).tolist()
        versions = [_shrunk(picture, share) for share in shares for picture in pictures]
        self.side, self.shuffle_channels = side, shuffle_channels
        self._count, self._versions = len(pictures), len(shares)
        # Pixel after pixel: a crop is then one gather, whatever the size of its picture.
        pixels = [version.permute(1, 2, 0).flatten(0, 1) for version in versions]
        self._pixels = torch.cat(pixels).to(device)
        self._sizes = torch.tensor([version.shape[1:] for version in versions], device=device)
        areas = self._sizes.prod(1)
        self._starts = areas.cumsum(0) - areas

    def __len__(self) -> int:
        """Give the number of pictures."""
        return self._count

    @property
    def shape(self) -> tuple[int, ...]:
        """(pictures, pixels of all their versions, channels, side of a crop, shuffled or not)."""
        return self._count, *self._pixels.shape, self.side, int(self.shuffle_channels)

    def crops(self, rows: Tensor, generator: torch.Generator, side: int | None = None) -> Tensor:
        """Cut one square out of each of some pictures, turned and mirrored at random.

        Parameters
        ----------
        rows
            Which pictures, (B,), where the pictures are.
        generator
            Draws everything, on the CPU: the same crops on any device.
        side
            Of the squares. A picture that is smaller goes on mirrored.

        Returns
        -------
        Tensor
            (B, C, side, side), channels last in memory, of the pictures' own type.
        """
        side = self.side if side is None else side
        shrunk, y, x, flip, mirror, turn = torch.rand(6, len(rows), generator=generator).to(
            rows.device
        )
        version = rows + (shrunk * self._versions).long() * self._count
        sizes, starts = self._sizes[version], self._starts[version]
        room = (sizes - side).clamp(min=0) + 1
        corner = (torch.stack([y, x], 1) * room).long()
        rising = torch.arange(side, device=rows.device)[None]
        down = torch.where(flip[:, None] < 0.5, rising, side - 1 - rising)
        across = torch.where(mirror[:, None] < 0.5, rising, side - 1 - rising)
        row = _mirrored(corner[:, :1] + down, sizes[:, :1])
        column = _mirrored(corner[:, 1:] + across, sizes[:, 1:])
        place = (starts[:, None] + row * sizes[:, 1:])[:, :, None] + column[:, None, :]
        place = torch.where(turn[:, None, None] < 0.5, place, place.transpose(1, 2))
        cut = self._pixels[place]
        if self.shuffle_channels:
            channels = cut.shape[3]
            order = torch.rand(len(rows), channels, generator=generator).argsort(1)
            cut = cut.gather(3, order.to(rows.device)[:, None, None].expand_as(cut))
        return cut.permute(0, 3, 1, 2)


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


def _mirrored(position: Tensor, size: Tensor) -> Tensor:
    # Period 2 * size: 0 1 2 ... n n ... 2 1 0.
    within = position.remainder(2 * size)
    return torch.minimum(within, 2 * size - 1 - within)


def _shrunk(picture: Tensor, share: float) -> Tensor:
    if share == 1:
        return picture
    size = [max(1, round(length * share)) for length in picture.shape[1:]]
    values = functional.interpolate(
        picture[None].float(), size, mode="bicubic", antialias=True, align_corners=False
    )[0]
    if picture.dtype == torch.uint8:
        return values.round_().clamp_(0, 255).to(torch.uint8)
    return values.clamp_(0, 1)
