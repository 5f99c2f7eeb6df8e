"""Quantize a model file to 8 bits, calibrated on the data and noise of its card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import TypeAdapter, ValidationError

from autodenoise import metrics, runtime
from autodenoise.data import dataset as datasets
from autodenoise.data.crops import as_float, center_crops
from autodenoise.errors import InputError, OutputError, UsageError
from autodenoise.export.int8.quantization import quantize_model
from autodenoise.noise import AnyNoise, Compose
from autodenoise.runs.run import to_images
from autodenoise.training.randomness import generator

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from autodenoise.data.download import OnBytes
    from autodenoise.runtime import Card

    Images = NDArray[np.float32]

__all__ = ["QuantizedModel", "quantize"]

_CALIBRATION_IMAGES = 64
_CALIBRATION_SIDE = 128  # pixels
_NOISES: TypeAdapter[list[AnyNoise]] = TypeAdapter(list[AnyNoise])


class QuantizedModel(NamedTuple):
    """The result of `quantize`: the new model file, and the images that it was calibrated on.

    `before` and `after` are the mean PSNR in dB of the float32 and the 8-bit model on these images.
    """

    path: Path
    calibration: str
    before: float
    after: float


def quantize(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    data: str = "",
    on_bytes: OnBytes | None = None,
) -> QuantizedModel:
    """Quantize the inner convolutions of a model to 8 bits.

    The model is calibrated on 64 training images, or on their 128x128 centers if it takes images of
    any size, with new noise of the kind that it was trained on. The result is deterministic.

    Parameters
    ----------
    model
        A float32 model, as in `autodenoise.load`.
    output
        The new ``.onnx`` file.
    data
        The training data, as in a recipe; by default as in the model's card, which suffices for
        named datasets. Never use test images here.
    on_bytes
        Callback for the progress of downloads.

    Raises
    ------
    InputError
        The model or the data cannot be used or do not fit each other, the card names no noise, or
        the network has no layer that can be quantized.
    OutputError
        The output exists already, does not end in ``.onnx``, or cannot be written.
    UsageError
        The model or the dataset is unknown, or the card names no dataset.
    """
    source, target = runtime.find_model(model), Path(output)
    if target.suffix != ".onnx":
        raise OutputError(f"the output is {target}; expected a name that ends in .onnx")
    if target.exists():
        raise OutputError(f"{target} exists already; choose another name, or remove it")
    before = runtime.Model(source)
    card, name = before.card, data or before.card.data
    if not name:
        raise UsageError("the model's card names no training data; name them with --data")
    clean, noisy = _images(card, name, on_bytes)
    calibration = f"{len(clean)} images of {Path(name).name}, {clean.shape[2]}x{clean.shape[1]}"
    quantize_model(source, target, noisy, calibration)
    scores = (
        float(metrics.psnr(clean, denoiser.batch(noisy)).mean())
        for denoiser in (before, runtime.Model(target))
    )
    return QuantizedModel(target, calibration, *scores)


def _images(card: Card, name: str, on_bytes: OnBytes | None) -> tuple[Images, Images]:
    """Return clean training images, and the same with the noise of the card, (N, H, W, C)."""
    any_size = card.size is None
    data = datasets.DataSpec(
        name,
        validation="last",
        crop=_CALIBRATION_SIDE if any_size else None,
        gray=card.channels == 1,
    )
    train = datasets.load(data, on_bytes).train
    rows = np.unique(np.linspace(0, train.size - 1, _CALIBRATION_IMAGES).astype(np.int64))
    if any_size:
        pixels = center_crops([train.full_images[row][0] for row in rows], _CALIBRATION_SIDE)
        side = pixels.shape[2] // card.size_multiple * card.size_multiple
        pixels = center_crops(list(pixels), side)
    else:
        pixels = train.images[rows]
    channels, height, width = pixels.shape[1:]
    if channels != card.channels:
        raise InputError(
            f"the model expects {card.channels} channel(s), the images of {name} have {channels}"
        )
    if card.size is not None and card.size != (height, width):
        raise InputError(
            f"the model accepts only {card.size[1]}x{card.size[0]} pixels, the images of {name} "
            f"have {width}x{height}"
        )
    if min(height, width) == 0:
        raise InputError(
            f"image sides must be multiples of {card.size_multiple} pixels, and an image of {name} "
            "has a shorter side"
        )
    clean = as_float(pixels)
    if not card.noise:
        raise InputError("the model's card names no training noise")
    try:
        noise = Compose(tuple(_NOISES.validate_python(card.noise)))
    except ValidationError:
        raise InputError(
            "this version of autodenoise does not know the noise in the model's card"
        ) from None
    noisy = noise(clean, generator(0, "calibration"))
    return to_images(clean), to_images(noisy)
