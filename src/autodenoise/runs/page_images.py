"""The first held-back images of a run as pictures that a page can carry inside it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from autodenoise.evaluation.comparison import gain
from autodenoise.images import encode_png, from_float
from autodenoise.metrics import psnr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autodenoise.data.splits import Splits
    from autodenoise.runs.run import Run
    from autodenoise.runtime import Model

    Image = NDArray[np.float32]

__all__ = ["Sample", "Samples", "data_uri", "take"]

_COUNT = 10
_SIDE = 256
_BUDGET = 4_000_000


class Sample(NamedTuple):
    """One image three times, as data URIs of PNG files.

    Attributes
    ----------
    label
        What it shows; empty where nobody says.
    noisy, denoised
        From black to white in 8 bits.
    beside
        The clean image; where nobody has it, what was taken out, around mid-grey.
    noisy_psnr, denoised_psnr
        Against the clean one, of the whole image, in dB; None where there is no difference, or no
        clean one.
    """

    label: str
    noisy: str
    denoised: str
    beside: str
    noisy_psnr: float | None
    denoised_psnr: float | None


@dataclass(frozen=True)
class Samples:
    """The first held-back images.

    Attributes
    ----------
    images
        At most ten, and as many as a page can carry.
    size, shown
        (height, width) of the images, and of the middle part of them that is shown.
    channels
        Of the images; of any number but 1 and 3, the first is shown as grey.
    part
        Which images of the data set they are.
    times
        What was taken out is shown so many times stronger; None where the clean images are shown.
    """

    images: list[Sample]
    size: tuple[int, int]
    shown: tuple[int, int]
    channels: int
    part: str
    times: int | None


def take(run: Run, splits: Splits, model: Model) -> Samples:
    """Denoise the first held-back images, with the noise that evaluation gives them."""
    held = run.held_back(splits, _COUNT)
    height, width, channels = held.noisy.shape[1:]
    shown = (min(height, _SIDE), min(width, _SIDE))
    black, white = splits.normalization

    def visible(image: Image) -> Image:
        return (image - black) / (white - black)

    taken: list[Sample] = []
    spent = 0
    times = None
    for index, noisy in enumerate(held.noisy):
        # One at a time: the images may be large, and few of them fit the page.
        denoised = model.batch(noisy[None])[0]
        clean = None if held.clean is None else held.clean[index]
        if clean is None:
            removed = visible(noisy) - visible(denoised)
            # The first decides, so that all are alike.
            times = times or gain(removed)
            beside = 0.5 + times * removed
        else:
            beside = visible(clean)
        sample = Sample(
            label="" if held.labels is None else held.classes[held.labels[index]],
            noisy=_encode(visible(noisy), shown),
            denoised=_encode(visible(denoised), shown),
            beside=_encode(beside, shown),
            noisy_psnr=_psnr(clean, noisy),
            denoised_psnr=_psnr(clean, denoised),
        )
        # The first is there twice: among the others, and in the comparison as it opens.
        size = len(sample.noisy) + len(sample.denoised) + len(sample.beside)
        spent += size if taken else 2 * size
        if taken and spent > _BUDGET:
            break
        taken.append(sample)
    return Samples(taken, (height, width), shown, channels, held.part, times)


def data_uri(kind: str, content: bytes) -> str:
    """Give the address that holds a file of a media type in itself."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _encode(image: Image, shown: tuple[int, int]) -> str:
    top, left = ((there - here) // 2 for there, here in zip(image.shape, shown, strict=False))
    middle = image[top : top + shown[0], left : left + shown[1]]
    visible = middle if middle.shape[2] == 3 else middle[..., :1]
    pixels = from_float(np.ascontiguousarray(visible), np.dtype(np.uint8))
    return data_uri("image/png", encode_png(pixels))


def _psnr(clean: Image | None, other: Image) -> float | None:
    if clean is None:
        return None
    peak = float(psnr(clean[None], other[None].clip(0, 1))[0])
    return peak if np.isfinite(peak) else None
