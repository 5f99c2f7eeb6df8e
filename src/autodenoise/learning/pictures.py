"""Pictures of any size to learn from, and the random crops that training takes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import functional

from autodenoise.learning.objectives import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Holds", "Pictures", "centre_crops"]

Holds = Literal["clean", "pairs", "repeats", "noisy"]
"""What there is of each scene: a clean picture; a noisy and a clean one; several noisy shots; or a
single noisy picture."""

_SIZES = 5


class Pictures:
    """Pictures of one number of channels, each of its own size, in one tensor on any device.

    Parameters
    ----------
    pictures
        Of each scene all versions, (V, C, H, W), all uint8 or all float32 in [0, 1]: 1 where they
        are clean or noisy, the noisy and the clean one of a pair, and 2 or more of repeats.
    side
        Of the squares that `crops` cuts unless told otherwise, in pixels.
    shrink
        Take a crop as often from a smaller version of its picture as from itself: from one of four
        whose sides are down to this share of it. That hides what JPEG did to pictures, and shows
        finer detail than they have.
    shuffle_channels
        Give each crop its channels in another order: a network that sees few pictures should not
        learn that skies are blue.
    holds
        What the versions are.
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
        holds: Holds = "clean",
        device: torch.device | str = "cpu",
    ) -> None:
        shares = [1.0] if shrink == 1 else torch.linspace(1, shrink, _SIZES).tolist()
        scenes = [_shrunk(picture, share) for share in shares for picture in pictures]
        self.side, self.shuffle_channels, self.holds = side, shuffle_channels, holds
        self._count, self._shares = len(pictures), len(shares)
        # Pixel after pixel: a crop is then one gather, whatever the size of its picture.
        pixels = [scene.permute(0, 2, 3, 1).flatten(0, 2) for scene in scenes]
        self._pixels = torch.cat(pixels).to(device)
        self._sizes = torch.tensor([scene.shape[2:] for scene in scenes], device=device)
        self._versions = torch.tensor([len(scene) for scene in scenes], device=device)
        values = self._sizes.prod(1) * self._versions
        self._starts = values.cumsum(0) - values

    def __len__(self) -> int:
        """Give the number of pictures."""
        return self._count

    @property
    def shape(self) -> tuple[int, ...]:
        """(pictures, pixels of all their versions, channels, side of a crop, shuffled or not)."""
        return self._count, *self._pixels.shape, self.side, int(self.shuffle_channels)

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
            Which scenes, (B,), where the pictures are.
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
        side = self.side if side is None else side
        shrunk, y, x, flip, mirror, turn = torch.rand(6, len(rows), generator=generator).to(
            rows.device
        )
        scene = rows + (shrunk * self._shares).long() * self._count
        sizes = self._sizes[scene]
        starts = self._starts[scene] + self._chosen(scene, generator) * sizes.prod(1)
        room = (sizes - side).clamp(min=0) + 1
        corner = (torch.stack([y, x], 1) * room).long()
        rising = torch.arange(side, device=rows.device)[None]
        down = torch.where(flip[:, None] < 0.5, rising, side - 1 - rising)
        across = torch.where(mirror[:, None] < 0.5, rising, side - 1 - rising)
        row = _mirrored(corner[:, :1] + down, sizes[:, :1])
        column = _mirrored(corner[:, 1:] + across, sizes[:, 1:])
        place = (row * sizes[:, 1:])[:, :, None] + column[:, None, :]
        place = torch.where(turn[:, None, None] < 0.5, place, place.transpose(1, 2))
        cut = self._pixels[starts[:, :, None, None] + place]
        if self.shuffle_channels:
            channels = cut.shape[4]
            order = torch.rand(len(rows), channels, generator=generator).argsort(1)
            cut = cut.gather(4, order.to(rows.device)[:, None, None].expand_as(cut))
        return cut.permute(0, 1, 4, 2, 3)

    def _chosen(self, scene: Tensor, generator: torch.Generator) -> Tensor:
        """Say which versions are cut, (1 or 2, B)."""
        if self.holds == "pairs":
            return torch.tensor([[0], [1]], device=scene.device).expand(-1, len(scene))
        if self.holds != "repeats":
            return torch.zeros_like(scene)[None]
        one, step = torch.rand(2, len(scene), generator=generator).to(scene.device)
        count = self._versions[scene]
        first = (one * count).long()
        return torch.stack([first, (first + 1 + (step * (count - 1)).long()) % count])


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
    size = [max(1, round(length * share)) for length in picture.shape[2:]]
    values = functional.interpolate(
        picture.float(), size, mode="bicubic", antialias=True, align_corners=False
    )
    if picture.dtype == torch.uint8:
        return values.round_().clamp_(0, 255).to(torch.uint8)
    return values.clamp_(0, 1)
