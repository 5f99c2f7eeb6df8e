"""A network that is a list of layers: what an imported network becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from autodenoise.errors import UsageError, unknown_name
from autodenoise.nets.autoencoder import Autoencoder
from autodenoise.nets.keras_layers import (
    AveragePool,
    ChannelScale,
    Concatenate,
    CroppedConvTranspose,
    Cropping,
    Flatten,
    MaxPool,
    PaddedConv,
    Rescaling,
    Reshape,
    Upsample,
    ZeroPadding,
    rectify,
)
from autodenoise.nets.layers import Add

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LAYERS", "SMALL", "LayeredAutoencoder"]

LAYERS: dict[str, Callable[..., nn.Module]] = {
    "conv": PaddedConv,
    "conv-transpose": CroppedConvTranspose,
    "dense": nn.Linear,
    "max-pool": MaxPool,
    "average-pool": AveragePool,
    "upsample": Upsample,
    "zeros": ZeroPadding,
    "cut": Cropping,
    "flatten": Flatten,
    "reshape": Reshape,
    "scale": ChannelScale,
    "rescale": Rescaling,
    "add": Add,
    "concatenate": Concatenate,
    "relu": rectify,
    "leaky-relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}
"""The name of each kind of layer, as a list of layers writes it in ``kind``."""

SMALL: tuple[dict[str, Any], ...] = (
    {"kind": "conv", "channels_in": 1, "channels_out": 8, "kernel": [3, 3], "pads": [1, 1, 1, 1]},
    {"kind": "relu"},
    {"kind": "max-pool", "kernel": [2, 2], "stride": [2, 2]},
    {"kind": "upsample", "factors": [2, 2]},
    {"kind": "conv", "channels_in": 8, "channels_out": 1, "kernel": [3, 3], "pads": [1, 1, 1, 1]},
    {"kind": "sigmoid"},
)
"""A small network for grey images, to see how such a list is written."""


class LayeredAutoencoder(Autoencoder):
    """The network that a list of layers describes.

    Parameters
    ----------
    channels
        Of the image.
    layers
        One after the other, each the keywords of its kind in `LAYERS`, with its ``kind``. A layer
        takes what the one before it gives; or, with ``of``, what the layers of these numbers give.
        The first layer has number 1, and 0 is the image.
    code
        How many of the layers are the encoder.
    multiple
        Sides must be multiples of this; None where only one size works.

    Raises
    ------
    UsageError
        A layer is of an unknown kind, cannot be made with its keywords, or takes what comes later.
    """

    answers = "image"

    def __init__(
        self,
        channels: int = 1,
        layers: tuple[dict[str, Any], ...] = SMALL,
        code: int = 3,
        multiple: int | None = None,
    ) -> None:
        parts = [_made(number, layer) for number, layer in enumerate(layers, 1)]
        if not 1 <= code <= len(parts):
            raise UsageError(f"code is {code}; expected 1 to {len(parts)}, as there are layers")
        # The number of the last layer that takes what each gives.
        last = {0: 0} | {source: number for number, (_, of) in enumerate(parts, 1) for source in of}
        handed = [number for number, taken in last.items() if number <= code < taken]
        # What nothing takes is the answer.
        handed = sorted(handed) or [code]
        super().__init__(
            channels,
            encoder=_Stretch(parts[:code], 0, [0], handed),
            decoder=_Stretch(parts[code:], code, handed, [len(parts)]),
        )
        self.multiple = multiple


class _Stretch(nn.Module):
    """Some layers that follow each other; several tensors come or go as a list."""

    def __init__(
        self,
        parts: Sequence[tuple[nn.Module, tuple[int, ...]]],
        done: int,
        taken: Sequence[int],
        handed: Sequence[int],
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layer for layer, _ in parts)
        self.sources = [of for _, of in parts]
        self.done, self.taken, self.handed = done, taken, handed

    def forward(self, x: Tensor | list[Tensor]) -> Tensor | list[Tensor]:
        values = dict(zip(self.taken, [x] if isinstance(x, Tensor) else x, strict=True))
        for number, (layer, of) in enumerate(zip(self.layers, self.sources, strict=True), 1):
            values[self.done + number] = layer(*(values[source] for source in of))
        given = [values[number] for number in self.handed]
        return given[0] if len(given) == 1 else given


def _made(number: int, layer: Mapping[str, Any]) -> tuple[nn.Module, tuple[int, ...]]:
    """Make one layer; give it with the numbers of those whose values it takes."""
    told = dict(layer)
    kind, of = told.pop("kind", ""), tuple(told.pop("of", [number - 1]))
    if kind not in LAYERS:
        raise unknown_name("kind of layer", str(kind), LAYERS)
    if not of or not all(type(source) is int and 0 <= source < number for source in of):
        raise UsageError(f"layer {number} is of {list(of)}; expected numbers below its own")
    try:
        return LAYERS[kind](**told), of
    except (RuntimeError, TypeError, ValueError) as error:
        raise UsageError(f"layer {number}, {kind}, cannot be made with {told}: {error}") from None
