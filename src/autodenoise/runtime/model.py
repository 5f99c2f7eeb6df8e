"""A model file, ready to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors

from autodenoise.errors import InputError
from autodenoise.images import from_float, to_float
from autodenoise.runtime import checking

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# onnxruntime's exceptions share no root of their own.
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

    Call it with one image, or `batch` with many. Nothing that is passed in is changed.

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
        content, self.card = checking.read(path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
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

    def __call__(self, image: NDArray[Any]) -> NDArray[Any]:
        """Denoise one image.

        Parameters
        ----------
        image
            (H, W) or (H, W, C); uint8, uint16, or floating in [0, 1] nominally. Floating noise may
            reach outside that range.

        Returns
        -------
        ndarray
            The clean image, of the same shape and dtype.

        Raises
        ------
        InputError
            The channels or the size do not fit the model.
        """
        floating = np.issubdtype(image.dtype, np.floating)
        values = image.astype(np.float32) if floating else to_float(image)
        if image.ndim not in (2, 3):
            raise InputError(f"expected an image (H, W) or (H, W, C), got shape {image.shape}")
        clean = self.batch(values.reshape(1, *image.shape[:2], -1))
        return from_float(clean.reshape(image.shape), image.dtype)

    def batch(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Denoise (N, H, W, C) float32 images in [0, 1] nominally; the result is in [0, 1].

        Sides that are no multiple of the card's are extended by repeating the border, and cut back.

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
        if card.size is not None and (height, width) != card.size:
            raise InputError(
                f"the model {card.name} takes images of {card.size[1]}x{card.size[0]} pixels, "
                f"this one has {width}x{height}; crop or resize it, or train a network that takes "
                "any size"
            )
        down, right = -height % card.size_multiple, -width % card.size_multiple
        padded = np.pad(images, ((0, 0), (0, down), (0, right), (0, 0)), mode="edge")
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
