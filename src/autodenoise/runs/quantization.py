"""A model file for CPUs that multiply bytes: where its card's data and noise meet quantisation."""

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

__all__ = ["Quantised", "quantize"]

_IMAGES = 64
_SIDE = 128
_NOISES: TypeAdapter[list[AnyNoise]] = TypeAdapter(list[AnyNoise])


class Quantised(NamedTuple):
    """What `quantize` made.

    Attributes
    ----------
    path
        The new model file.
    calibration
        What its ranges were found on.
    before, after
        PSNR in dB on these images of the file in float32 and of the one in 8 bits, averaged.
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
) -> Quantised:
    """Make the variant of a model whose inner convolutions are computed in 8 bits.

    Its ranges are found on 64 training images, spread over the data set, or on their middles of
    128x128 where the model takes any size; with the noise that the model was trained on, drawn
    anew, but the same each time.

    Parameters
    ----------
    model
        As `autodenoise.load` takes it; in float32.
    output
        The file to make, which ends in ``.onnx``. Must not exist.
    data
        What the model was trained on, as recipes name it; by default the card's name for it, which
        is enough for a data set that has a name. Never what the new file shall be judged on.
    on_bytes
        Hears of a download's progress.

    Raises
    ------
    InputError
        The model or the data cannot be used or do not fit each other, the card does not tell of
        noise, or the network has nothing that can be computed in 8 bits.
    OutputError
        The output is there already, is called otherwise, or cannot be written.
    UsageError
        No model or data set has this name, or the card has none.
    """
    source, target = runtime.find(model), Path(output)
    if target.suffix != ".onnx":
        raise OutputError(f"model files end in .onnx; {target} does not")
    if target.exists():
        raise OutputError(f"{target} is there already; choose another name, or remove it")
    before = runtime.Model(source)
    card, name = before.card, data or before.card.data
    if not name:
        raise UsageError("the model's card does not tell its data; name them with --data")
    clean, noisy = _images(card, name, on_bytes)
    calibration = f"{len(clean)} images of {Path(name).name}, {clean.shape[2]}x{clean.shape[1]}"
    quantize_model(source, target, noisy, calibration)
    scores = (
        float(metrics.psnr(clean, denoiser.batch(noisy)).mean())
        for denoiser in (before, runtime.Model(target))
    )
    return Quantised(target, calibration, *scores)


def _images(card: Card, name: str, on_bytes: OnBytes | None) -> tuple[Images, Images]:
    """Give clean training images and what the card's noise makes of them, (N, H, W, C)."""
    any_size = card.size is None
    data = datasets.DataSpec(
        name, validation="last", crop=_SIDE if any_size else None, gray=card.channels == 1
    )
    learnt = datasets.load(data, on_bytes).train
    rows = np.unique(np.linspace(0, learnt.size - 1, _IMAGES).astype(np.int64))
    if any_size:
        pixels = center_crops([learnt.full_images[row][0] for row in rows], _SIDE)
        side = pixels.shape[2] // card.size_multiple * card.size_multiple
        pixels = center_crops(list(pixels), side)
    else:
        pixels = learnt.images[rows]
    _check_fit(card, name, tuple(pixels.shape[1:]))
    clean = as_float(pixels)
    if not card.noise:
        raise InputError("the model's card does not tell what noise it was trained on")
    try:
        noise = Compose(tuple(_NOISES.validate_python(card.noise)))
    except ValidationError:
        raise InputError(
            "the model's card tells of noise that this version of autodenoise does not know"
        ) from None
    noisy = noise(clean, generator(0, "calibration"))
    return to_images(clean), to_images(noisy)


def _check_fit(card: Card, name: str, shape: tuple[int, ...]) -> None:
    """Check that a model takes images (C, H, W) as they are."""
    channels, height, width = shape
    if channels != card.channels:
        raise InputError(
            f"the model takes {card.channels} channel(s), the images of {name} have {channels}"
        )
    if card.size is not None and card.size != (height, width):
        raise InputError(
            f"the model takes {card.size[1]}x{card.size[0]} pixels alone, the images of {name} "
            f"have {width}x{height}"
        )
    if min(height, width) == 0:
        raise InputError(
            f"the model takes multiples of {card.size_multiple} pixels, and a side of an image of "
            f"{name} is shorter than that"
        )
