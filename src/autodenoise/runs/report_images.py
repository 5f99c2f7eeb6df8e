"""The first test images of a run as data URIs, for its report."""

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

__all__ = ["ReportImage", "ReportImages", "data_uri", "report_images"]

_MAX_IMAGES = 10
_MAX_SIDE = 256  # pixels
_MAX_BYTES = 4_000_000


class ReportImage(NamedTuple):
    """One image in three versions, as data URIs of PNG files.

    Attributes
    ----------
    label
        Its class; empty if there are no labels.
    noisy, denoised
        8-bit versions of the noisy and the denoised image.
    third
        The clean image; if there is none, the removed noise, around mid-gray.
    noisy_psnr, denoised_psnr
        In dB, of the whole image against the clean one; None if the images are equal or there is no
        clean one.
    """

    label: str
    noisy: str
    denoised: str
    third: str
    noisy_psnr: float | None
    denoised_psnr: float | None


@dataclass(frozen=True)
class ReportImages:
    """The first test images.

    Attributes
    ----------
    images
        At most ten, and fewer if they are large.
    size, shown
        (height, width) of the images, and of their center that is shown.
    channels
        Channels of the images; unless there are 1 or 3, the first is shown as gray.
    split
        ``"test"`` or ``"validation"``.
    gain
        The factor that amplifies the removed noise; None if clean images are shown.
    """

    images: list[ReportImage]
    size: tuple[int, int]
    shown: tuple[int, int]
    channels: int
    split: str
    gain: int | None


def report_images(run: Run, splits: Splits, model: Model) -> ReportImages:
    """Denoise the first test images, with the same noise as in evaluation."""
    test = run.evaluation_images(splits, _MAX_IMAGES)
    height, width, channels = test.noisy.shape[1:]
    shown = (min(height, _MAX_SIDE), min(width, _MAX_SIDE))
    black, white = splits.normalization

    def visible(image: Image) -> Image:
        return (image - black) / (white - black)

    taken: list[ReportImage] = []
    spent = 0
    factor = None
    for index, noisy in enumerate(test.noisy):
        # One at a time, since the images may be large.
        denoised = model.batch(noisy[None])[0]
        clean = None if test.clean is None else test.clean[index]
        if clean is None:
            removed = visible(noisy) - visible(denoised)
            # The same factor for all images.
            factor = factor or gain(removed)
            third = 0.5 + factor * removed
        else:
            third = visible(clean)
        sample = ReportImage(
            label="" if test.labels is None else test.classes[test.labels[index]],
            noisy=_encode(visible(noisy), shown),
            denoised=_encode(visible(denoised), shown),
            third=_encode(third, shown),
            noisy_psnr=_psnr(clean, noisy),
            denoised_psnr=_psnr(clean, denoised),
        )
        # The first image is embedded twice: in the list, and in the comparison.
        size = len(sample.noisy) + len(sample.denoised) + len(sample.third)
        spent += size if taken else 2 * size
        if taken and spent > _MAX_BYTES:
            break
        taken.append(sample)
    return ReportImages(taken, (height, width), shown, channels, test.split, factor)


def data_uri(kind: str, content: bytes) -> str:
    """Return the data URI of a file."""
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
