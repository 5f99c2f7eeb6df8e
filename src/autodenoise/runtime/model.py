"""A model file, ready to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodenoise.errors import InputError
from autodenoise.images import IntensityRange
from autodenoise.runtime import model_file
from autodenoise.runtime.session import onnxruntime
from autodenoise.runtime.tiling import check_size, denoise_rows, plan
from autodenoise.system import memory_budget

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from autodenoise.runtime.card import Card

# onnxruntime's exceptions share no root of their own.
onnxruntime_errors = onnxruntime.capi.onnxruntime_pybind11_state
_UNRUNNABLE = (
    onnxruntime_errors.EPFail,
    onnxruntime_errors.Fail,
    onnxruntime_errors.InvalidArgument,
    onnxruntime_errors.InvalidGraph,
    onnxruntime_errors.InvalidProtobuf,
    onnxruntime_errors.NotImplemented,
    onnxruntime_errors.RuntimeException,
)

__all__ = ["MODEL_NAME", "Model"]

MODEL_NAME = "model.onnx"
"""The model file's name in a run folder."""


class Model:
    """A denoiser read from a model file.

    Call it with one image, or `batch` with many of one size. Nothing that is passed in is changed,
    and several threads may call one model.

    Parameters
    ----------
    path
        The ``.onnx`` file.

    Raises
    ------
    InputError
        The file is missing, damaged, or holds more than a network of ours could need.

    Examples
    --------
    >>> model = autodenoise.load("runs/conv-mnist")  # doctest: +SKIP
    >>> clean = model(noisy)  # doctest: +SKIP
    """

    def __init__(self, path: Path) -> None:
        content, self.card = model_file.read(path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        # It would lay out a second arena beside the first: twice the memory, and no faster.
        options.enable_mem_pattern = False
        try:
            self._session = onnxruntime.InferenceSession(
                content,
                options,
                providers=["CPUExecutionProvider"],
                # It would run a stranger's network while loading. Our exporter has folded already.
                disabled_optimizers=["ConstantFolding"],
            )
        except _UNRUNNABLE as error:
            reason = str(error).split("\n", 1)[0]
            raise InputError(f"{path} is not a model file that can be run: {reason}") from None
        self.path = path
        self._input = self._session.get_inputs()[0].name

    def __repr__(self) -> str:
        card = self.card.describe()
        facts = [card["images"][0], *card["network"], *(f"license: {x}" for x in card["license"])]
        return f"<Model {self.card.name}: {', '.join(facts)}>"

    def __call__(self, image: NDArray[Any]) -> NDArray[Any]:
        """Denoise one image: `denoise` at full strength."""
        return self.denoise(image)

    def denoise(
        self,
        image: NDArray[Any],
        *,
        strength: float = 1.0,
        intensity_range: IntensityRange | None = None,
        memory: int | None = None,
    ) -> NDArray[Any]:
        """Denoise one image of any size, in tiles where it is large.

        Parameters
        ----------
        image
            (H, W) or (H, W, C); uint8, uint16, or floating in [0, 1] nominally: noise may reach
            outside. All channels are colours: take transparency off first. Models of 1 and of 3
            channels take any number of them.
        strength
            In [0, 1]: 0 gives a copy of the image, 1 the model's answer, between blends the two.
        intensity_range
            The sample values of black and white. By default those of the dtype; of floats and wide
            integers the card's, if it tells them.
        memory
            Bytes to work in; by default 600 MiB, or less where little is free.

        Returns
        -------
        ndarray
            The clean image, of the same shape and dtype, between black and white.

        Raises
        ------
        UsageError
            The strength is outside [0, 1].
        InputError
            The channels or the size do not fit the model or the memory, the samples are on an
            unknown scale, or some are NaN or infinite.
        """
        if image.ndim not in (2, 3) or image.size == 0:
            raise InputError(f"expected an image (H, W) or (H, W, C), got shape {image.shape}")
        # In the machine's own byte order, which engines and scales expect.
        native = image.astype(image.dtype.newbyteorder("="), copy=False)
        samples = native.reshape(*image.shape[:2], -1)
        height, width, colours = samples.shape
        cut = plan(
            self.card,
            height,
            width,
            sample_bytes=colours * samples.itemsize,
            memory=memory_budget() if memory is None else memory,
        )
        clean = np.empty_like(samples)
        done = 0
        for rows in denoise_rows(
            self,
            cut,
            [samples],
            intensity_range=intensity_range or _intensity_range(samples, self.card),
            strength=strength,
            colours=colours,
        ):
            clean[done : done + len(rows)] = rows
            done += len(rows)
        return clean.reshape(image.shape).astype(image.dtype, copy=False)

    def batch(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Denoise (N, H, W, C) float32 images in [0, 1] nominally; the result is in [0, 1].

        Sides that are no multiple of the card's are extended by mirroring them, and cut back.

        Raises
        ------
        InputError
            The channels or the size do not fit the model.
        """
        height, width, channels = images.shape[1:]
        card = self.card
        if channels != card.channels:
            raise InputError(
                f"the model {card.name} takes {card.channels} channel(s), the image has {channels}"
            )
        check_size(card, height, width)
        down, right = -height % card.size_multiple, -width % card.size_multiple
        # Mirrored noise is noise still; repeated, it makes streaks that a network takes for detail.
        padded = np.pad(images, ((0, 0), (0, down), (0, right), (0, 0)), mode="reflect")
        tensor = np.ascontiguousarray(padded.transpose(0, 3, 1, 2))
        try:
            clean: NDArray[np.float32] = self._session.run(None, {self._input: tensor})[0]
        except _UNRUNNABLE as error:
            reason = str(error).split("\n", 1)[0]
            raise InputError(
                f"the model {card.name} cannot work on {width}x{height} pixels: {reason}"
            ) from None
        if clean.shape != tensor.shape:
            raise InputError(
                f"the model {card.name} answers an image of shape {tensor.shape} with one of "
                f"{clean.shape}"
            )
        return clean.transpose(0, 2, 3, 1)[:, :height, :width]


def _intensity_range(image: NDArray[Any], card: Card) -> IntensityRange:
    """Give the scale that an image's dtype stands for, or that the model was trained on."""
    intensity_range = IntensityRange.for_dtype(image.dtype)
    if intensity_range is not None:
        return intensity_range
    if card.range is not None:
        return IntensityRange(*card.range)
    if not np.issubdtype(image.dtype, np.floating):
        raise InputError(
            f"expected uint8, uint16 or float samples, got {image.dtype}; for others pass "
            "intensity_range=Scale(black, white)"
        )
    low, high = float(image.min()), float(image.max())
    # Strong noise reaches a little outside; another scale reaches far.
    if low < -1 or high > 2:
        raise InputError(
            f"floating samples should be in [0, 1] but for noise, these reach from {low:g} to "
            f"{high:g}; pass intensity_range=Scale(black, white)"
        )
    return IntensityRange(0, 1)
