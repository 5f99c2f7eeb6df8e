"""A network built from a list of layers, such as an imported one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from autodenoise.errors import UsageError, unknown_name
from autodenoise.nets import keras_layers
from autodenoise.nets.autoencoder import Autoencoder
from autodenoise.nets.layers import Add

__all__ = ["LAYERS", "SMALL", "LayeredAutoencoder"]

LAYERS: dict[str, Callable[..., nn.Module]] = {
    "conv": keras_layers.PaddedConv,
    "conv-transpose": keras_layers.CroppedConvTranspose,
    "dense": nn.Linear,
    "max-pool": keras_layers.MaxPool,
    "average-pool": keras_layers.average_pool,
    "upsample": keras_layers.upsample,
    "zeros": keras_layers.ZeroPadding,
    "cut": keras_layers.Cropping,
    "flatten": keras_layers.Flatten,
    "reshape": keras_layers.Reshape,
    "scale": keras_layers.ChannelScale,
    "rescale": keras_layers.Rescaling,
    "add": Add,
    "concatenate": keras_layers.Concatenate,
    "relu": keras_layers.relu,
    "leaky-relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}
"""Each layer by its ``kind`` in a list of layers."""

SMALL: tuple[dict[str, Any], ...] = (
    {"kind": "conv", "channels_in": 1, "channels_out": 8, "kernel": [3, 3], "pads": [1, 1, 1, 1]},
    {"kind": "relu"},
    {"kind": "max-pool", "kernel": [2, 2], "stride": [2, 2]},
    {"kind": "upsample", "factors": [2, 2]},
    {"kind": "conv", "channels_in": 8, "channels_out": 1, "kernel": [3, 3], "pads": [1, 1, 1, 1]},
    {"kind": "sigmoid"},
)
"""An example: a small network for gray images."""


class LayeredAutoencoder(Autoencoder):
    """A network built from a list of layers.

    Parameters
    ----------
    channels
        Channels of the image.
    layers
        Each layer as its ``kind`` in `LAYERS` and the keyword arguments of that kind. Its input is
        the output of the previous layer or, with ``of``, those of the layers with these numbers.
        Layer 1 is the first, 0 is the image.
    code
        Number of layers in the encoder.
    multiple
        Sides must be multiples of this; None if only one size works.

    Raises
    ------
    UsageError
        A layer has an unknown kind, invalid arguments, or an input that comes later.
    """

    answers = "image"

    def __init__(
        self,
        channels: int = 1,
        layers: tuple[dict[str, Any], ...] = SMALL,
        code: int = 3,
        multiple: int | None = None,
    ) -> None:
        parts = [_build_layer(number, layer) for number, layer in enumerate(layers, 1)]
        if not 1 <= code <= len(parts):
            raise UsageError(f"code is {code}; expected 1 to {len(parts)}, the number of layers")
        # The last layer that uses each output.
        last = {0: 0} | {source: number for number, (_, of) in enumerate(parts, 1) for source in of}
        outputs = sorted(number for number, used in last.items() if number <= code < used)
        # If no later layer uses any, the encoder is the whole network.
        outputs = outputs or [code]
        super().__init__(
            channels,
            encoder=_Layers(parts[:code], 0, [0], outputs),
            decoder=_Layers(parts[code:], code, outputs, [len(parts)]),
        )
        self.multiple = multiple


class _Layers(nn.Module):
    """Consecutive layers, numbered from `first` + 1; several inputs or outputs are a list."""

    def __init__(
        self,
        parts: Sequence[tuple[nn.Module, tuple[int, ...]]],
        first: int,
        inputs: Sequence[int],
        outputs: Sequence[int],
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layer for layer, _ in parts)
        self.sources = [of for _, of in parts]
        self.first, self.inputs, self.outputs = first, inputs, outputs

    def forward(self, x: Tensor | list[Tensor]) -> Tensor | list[Tensor]:
        values = dict(zip(self.inputs, [x] if isinstance(x, Tensor) else x, strict=True))
        for number, (layer, of) in enumerate(zip(self.layers, self.sources, strict=True), 1):
            values[self.first + number] = layer(*(values[source] for source in of))
        results = [values[number] for number in self.outputs]
        return results[0] if len(results) == 1 else results


def _build_layer(number: int, layer: Mapping[str, Any]) -> tuple[nn.Module, tuple[int, ...]]:
    """Build a layer; return it and the numbers of its inputs."""
    arguments = dict(layer)
    kind, of = arguments.pop("kind", ""), tuple(arguments.pop("of", [number - 1]))
    if kind not in LAYERS:
        raise unknown_name("kind of layer", str(kind), LAYERS)
    if not of or not all(type(source) is int and 0 <= source < number for source in of):
        raise UsageError(f"layer {number} has inputs {list(of)}; expected numbers below its own")
    try:
        return LAYERS[kind](**arguments), of
    except (RuntimeError, TypeError, ValueError) as error:
        raise UsageError(
            f"layer {number}, {kind}, cannot be built with {arguments}: {error}"
        ) from None
