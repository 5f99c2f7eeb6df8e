"""The first test images of a run as data URIs, for its report."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

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

__all__ = ["data_uri", "report_images", "visible"]

_MAX_IMAGES = 10
_MAX_SIDE = 256  # pixels
_MAX_BYTES = 4_000_000


def report_images(run: Run, splits: Splits, model: Model) -> dict[str, Any]:
    """Denoise the first test images, with the same noise as in evaluation; at most ten.

    Each has data URIs of its center, whose (height, width) is ``shown``; ``third`` is the clean
    image or, if there is none, the removed noise around mid-gray, amplified by ``gain``. The PSNR
    in dB is that of the whole image, None if infinite. Unless there are 1 or 3 channels, the first
    is shown as gray.
    """
    test = run.evaluation_images(splits, _MAX_IMAGES)
    height, width, channels = test.noisy.shape[1:]
    shown = (min(height, _MAX_SIDE), min(width, _MAX_SIDE))
    taken: list[dict[str, Any]] = []
    spent = 0
    factor = None
    for index, noisy in enumerate(test.noisy):
        # One at a time, since the images may be large.
        denoised = model.batch(noisy[None])[0]
        clean = None if test.clean is None else test.clean[index]
        noisy_shown, denoised_shown = visible(noisy, splits), visible(denoised, splits)
        if clean is None:
            removed = noisy_shown - denoised_shown
            # The same factor for all images.
            factor = factor or gain(removed)
            third = 0.5 + factor * removed
        else:
            third = visible(clean, splits)
        uris = {
            "noisy": _encode(noisy_shown, shown),
            "denoised": _encode(denoised_shown, shown),
            "third": _encode(third, shown),
        }
        # The first image is embedded twice: in the list, and in the comparison.
        size = sum(map(len, uris.values()))
        spent += size if taken else 2 * size
        if taken and spent > _MAX_BYTES:
            break
        label = "" if test.labels is None else test.classes[test.labels[index]]
        scores = {"noisy_psnr": _psnr(clean, noisy), "denoised_psnr": _psnr(clean, denoised)}
        taken.append({"label": label, **uris, **scores})
    return {
        "images": taken,
        "size": (height, width),
        "shown": shown,
        "channels": channels,
        "split": test.split,
        "gain": factor,
    }


def visible(images: Image, splits: Splits) -> Image:
    """Rescale images from the range of the data to [0, 1]."""
    black, white = splits.normalization
    return (images - black) / (white - black)


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
