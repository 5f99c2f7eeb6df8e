"""A model that is loaded from a model file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodenoise.errors import InputError
from autodenoise.images import IntensityRange
from autodenoise.runtime import model_file
from autodenoise.runtime.session import onnxruntime
from autodenoise.runtime.tiling import check_size, denoise_rows, plan

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from autodenoise.runtime.card import Card

# The exceptions of ONNX Runtime have no common base class.
_errors = onnxruntime.capi.onnxruntime_pybind11_state
_RUNTIME_ERRORS = (
    _errors.EPFail,
    _errors.Fail,
    _errors.InvalidArgument,
    _errors.InvalidGraph,
    _errors.InvalidProtobuf,
    _errors.NotImplemented,
    _errors.RuntimeException,
)

__all__ = ["MODEL_NAME", "Model"]

MODEL_NAME = "model.onnx"
"""The name of the model file in a run folder."""


class Model:
    """A denoiser that is loaded from a model file.

    Call it with one image, or call `batch` with images of the same size. Inputs are not modified.
    Several threads may use one model.

    Parameters
    ----------
    path
        The ``.onnx`` file.

    Raises
    ------
    InputError
        The file is missing or damaged, or contains more than a denoiser needs.

    Examples
    --------
    >>> from autodenoise import runtime
    >>> model = runtime.load("photo-fast-gray")
    >>> model(np.zeros((20, 30), np.uint8)).shape
    (20, 30)
    """

    def __init__(self, path: Path) -> None:
        content, self.card = model_file.read(path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        # Memory patterns allocate a second arena: twice the memory, and no faster.
        options.enable_mem_pattern = False
        try:
            self._session = onnxruntime.InferenceSession(
                content,
                options,
                providers=["CPUExecutionProvider"],
                # Constant folding would run parts of an untrusted network while loading it. Our
                # exporter has folded constants already.
                disabled_optimizers=["ConstantFolding"],
            )
        except _RUNTIME_ERRORS as error:
            reason = str(error).split("\n", 1)[0]
            raise InputError(f"ONNX Runtime cannot load {path}: {reason}") from None
        self.path = path
        self._input = self._session.get_inputs()[0].name

    def __repr__(self) -> str:
        card = self.card.describe()
        facts = [card["images"][0], *card["network"], *(f"license: {x}" for x in card["license"])]
        return f"<Model {self.card.name}: {', '.join(facts)}>"

    def __call__(self, image: NDArray[Any]) -> NDArray[Any]:
        """Denoise one image at full strength; see `denoise`."""
        return self.denoise(image)

    def denoise(
        self,
        image: NDArray[Any],
        *,
        strength: float = 1.0,
        intensity_range: IntensityRange | None = None,
        memory: int | None = None,
    ) -> NDArray[Any]:
        """Denoise one image of any size, in tiles if it is large.

        Parameters
        ----------
        image
            (H, W) or (H, W, C); uint8, uint16, or float with nominal range [0, 1], which noise may
            exceed. All channels are treated as color, so remove transparency first. Models with 1
            or 3 channels accept any number of channels.
        strength
            Weight of the model's output in [0, 1]; the rest is the input. 0 returns a copy.
        intensity_range
            The sample values of black and white. By default those of the dtype; for floats and
            wide integers those of the card, if it has them.
        memory
            Memory limit in bytes; by default 600 MiB, or less if little is free.

        Returns
        -------
        ndarray
            The denoised image, with the same shape and dtype, clipped to the intensity range.

        Raises
        ------
        UsageError
            The strength is outside [0, 1].
        InputError
            The channels or the size do not fit the model or the memory, the intensity range is
            unknown, or samples are NaN or infinite.
        """
        if image.ndim not in (2, 3) or image.size == 0:
            raise InputError(f"expected an image (H, W) or (H, W, C), got shape {image.shape}")
        # ONNX Runtime expects the native byte order.
        native = image.astype(image.dtype.newbyteorder("="), copy=False)
        samples = native.reshape(*image.shape[:2], -1)
        height, width, channels = samples.shape
        sample_bytes = channels * samples.itemsize
        cut = plan(self.card, height, width, sample_bytes=sample_bytes, memory=memory)
        clean = np.empty_like(samples)
        done = 0
        for rows in denoise_rows(
            self,
            cut,
            [samples],
            intensity_range=intensity_range or _intensity_range(samples, self.card),
            strength=strength,
            channels=channels,
        ):
            clean[done : done + len(rows)] = rows
            done += len(rows)
        return clean.reshape(image.shape).astype(image.dtype, copy=False)

    def batch(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Denoise float32 images (N, H, W, C) with nominal range [0, 1]; the result is in [0, 1].

        Images are padded by reflection to multiples of the card's `size_multiple`, then cropped.

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
        # Reflected noise is still noise; repeated pixels make streaks, which look like detail.
        padded = np.pad(images, ((0, 0), (0, down), (0, right), (0, 0)), mode="reflect")
        tensor = np.ascontiguousarray(padded.transpose(0, 3, 1, 2))
        try:
            clean: NDArray[np.float32] = self._session.run(None, {self._input: tensor})[0]
        except _RUNTIME_ERRORS as error:
            reason = str(error).split("\n", 1)[0]
            raise InputError(
                f"the model {card.name} cannot process {width}x{height} pixels: {reason}"
            ) from None
        if clean.shape != tensor.shape:
            raise InputError(
                f"the model {card.name} returns shape {clean.shape} for an input of shape "
                f"{tensor.shape}; expected the same shape"
            )
        return clean.transpose(0, 2, 3, 1)[:, :height, :width]


def _intensity_range(image: NDArray[Any], card: Card) -> IntensityRange:
    """Return the intensity range of the image's dtype, or of the model's training images."""
    intensity_range = IntensityRange.for_dtype(image.dtype)
    if intensity_range is not None:
        return intensity_range
    if card.range is not None:
        return IntensityRange(*card.range)
    if not np.issubdtype(image.dtype, np.floating):
        raise InputError(
            f"expected uint8, uint16 or float samples, got {image.dtype}; for other types pass "
            "intensity_range=IntensityRange(black, white)"
        )
    low, high = float(image.min()), float(image.max())
    # Strong noise exceeds [0, 1] a little; samples with another range exceed it by far.
    if low < -1 or high > 2:
        raise InputError(
            f"expected float samples in [0, 1], apart from noise, got values from {low:g} to "
            f"{high:g}; pass intensity_range=IntensityRange(black, white)"
        )
    return IntensityRange(0, 1)
