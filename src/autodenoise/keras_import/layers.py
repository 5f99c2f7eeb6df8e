"""Translate each Keras layer into our layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from autodenoise.errors import InputError
from autodenoise.keras_import.builder import Arrays, LayerTranslation, Value, WeightSource
from autodenoise.keras_import.graph import LayerCall
from autodenoise.keras_import.shapes import FeatureMap, KernelWindow, Shape, Side, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autodenoise.keras_import.builder import NetworkBuilder

__all__ = ["ACTIVATION_FUNCTIONS", "translate"]

_MAX_KERNEL: Final = 64
_MAX_STRIDE: Final = 16
"""The limits of `runtime.model_file` for model files."""

_MAX_BORDER = 1024
_MAX_CHANNELS = 2**16
_MAX_UNITS = 2**24

_TRAINING_LAYERS = (
    *("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"),
    "SpatialDropout2D",
)
"""Layers without effect at inference."""

_Layer = dict[str, Any]

ACTIVATION_FUNCTIONS: dict[str, _Layer] = {
    "linear": {},
    "relu": {"kind": "relu"},
    "relu6": {"kind": "relu", "most": 6.0},
    "leaky_relu": {"kind": "leaky-relu", "negative_slope": 0.2},
    "elu": {"kind": "elu"},
    "selu": {"kind": "selu"},
    "silu": {"kind": "silu"},
    "swish": {"kind": "silu"},
    "sigmoid": {"kind": "sigmoid"},
    "tanh": {"kind": "tanh"},
}
"""Our layer for each activation function of Keras; an empty one is the identity."""


def translate(call: LayerCall, inputs: Sequence[Value], builder: NetworkBuilder) -> Value:
    """Add our layers for a Keras layer and return its output.

    Raises `NeedsMultiple` or `FixedSizeOnly` if the layer does not treat all image sizes alike.
    """
    if call.kind not in _TRANSLATORS:
        code = " and contains Python code, which is never run" if call.kind == "Lambda" else ""
        raise InputError(
            f"{call.title} is not supported{code}. Supported: {', '.join(sorted(_TRANSLATORS))}"
        )
    layer = LayerTranslation(call, inputs, builder)
    output = _TRANSLATORS[call.kind](layer)
    layer.check_all_used()
    return output


def _identity(layer: LayerTranslation) -> Value:
    layer.option("data_format")
    return layer.input


def _conv(layer: LayerTranslation) -> Value:
    x = layer.feature_map
    layer.require_channels_last()
    filters = layer.integer("filters", 1, _MAX_CHANNELS)
    kernel = layer.pair("kernel_size", _MAX_KERNEL)
    stride = layer.pair("strides", _MAX_STRIDE, (1, 1))
    dilation = layer.pair("dilation_rate", _MAX_STRIDE, (1, 1))
    groups = layer.integer("groups", 1, _MAX_CHANNELS, 1)
    if x.channels % groups or filters % groups:
        raise layer.invalid("groups", groups, f"a divisor of {x.channels} and {filters} channels")
    same = layer.same_padding()
    rows, columns = (
        KernelWindow(*sides, same) for sides in zip(kernel, stride, dilation, strict=True)
    )
    height, top, bottom = x.height.convolved(rows)
    width, left, right = x.width.convolved(columns)
    ours = {
        "kind": "conv",
        "channels_in": x.channels,
        "channels_out": filters,
        "kernel": list(kernel),
        **_unless_default("stride", stride, 1),
        **_unless_default("pads", (top, bottom, left, right), 0),
        **_unless_default("dilation", dilation, 1),
        **({"groups": groups} if groups > 1 else {}),
    }
    output = FeatureMap(height, width, filters)
    return _add_with_kernel(layer, ours, output, (*kernel, x.channels // groups, filters))


def _conv_transpose(layer: LayerTranslation) -> Value:
    x = layer.feature_map
    layer.require_channels_last()
    filters = layer.integer("filters", 1, _MAX_CHANNELS)
    kernel = layer.pair("kernel_size", _MAX_KERNEL)
    stride = layer.pair("strides", _MAX_STRIDE, (1, 1))
    layer.pair("dilation_rate", 1, (1, 1))
    same = layer.same_padding()
    rows, columns = (KernelWindow(*sides, 1, same) for sides in zip(kernel, stride, strict=True))
    height, top, bottom, more_rows = x.height.transposed(rows)
    width, left, right, more_columns = x.width.transposed(columns)
    ours = {
        "kind": "conv-transpose",
        "channels_in": x.channels,
        "channels_out": filters,
        "kernel": list(kernel),
        **_unless_default("stride", stride, 1),
        **_unless_default("crops", (top, bottom, left, right), 0),
        **_unless_default("more", (more_rows, more_columns), 0),
    }
    output = FeatureMap(height, width, filters)
    return _add_with_kernel(layer, ours, output, (*kernel, filters, x.channels))


def _dense(layer: LayerTranslation) -> Value:
    shape = layer.input.shape
    units = layer.integer("units", 1, _MAX_UNITS)
    if isinstance(shape, Vector):
        ours = {"kind": "dense", "in_features": shape.length, "out_features": units}
        return _add_with_kernel(layer, ours, Vector(units), (shape.length, units))
    # On a feature map it works on the channels of each pixel.
    features = layer.feature_map.channels
    ours = {"kind": "conv", "channels_in": features, "channels_out": units, "kernel": [1, 1]}
    output = FeatureMap(shape.height, shape.width, units)
    return _add_with_kernel(layer, ours, output, (features, units))


def _batch_normalization(layer: LayerTranslation) -> Value:
    """Translate to a factor and an offset per channel, which is what it does at inference."""
    shape = layer.input.shape
    vector = isinstance(shape, Vector)
    channels = shape.length if isinstance(shape, Vector) else layer.feature_map.channels
    axis = layer.option("axis", -1)
    # Keras 2 stores a list.
    (axis,) = axis if isinstance(axis, list) and len(axis) == 1 else (axis,)
    if axis not in (-1, 1 if vector else 3):
        raise layer.invalid("axis", axis, "-1, the channels")
    epsilon = layer.number("epsilon", 1e-3)
    # In Keras's order.
    optional = {"gamma": "scale", "beta": "center"}
    names = [name for name, key in optional.items() if layer.boolean(key, default=True)]
    names += ["moving_mean", "moving_variance"]

    def convert(arrays: Arrays) -> Arrays:
        with np.errstate(invalid="ignore", divide="ignore"):
            factor = 1 / np.sqrt(arrays["moving_variance"].astype(np.float64) + epsilon)
            factor = factor * arrays.get("gamma", 1.0)
            offset = arrays.get("beta", 0.0) - arrays["moving_mean"] * factor
        if not np.isfinite([factor, offset]).all():
            raise InputError(f"{layer.call.title} has an invalid variance")
        sides = (channels,) if vector else (channels, 1, 1)
        converted = {"weight": factor, "bias": offset}
        return {name: a.astype(np.float32).reshape(sides) for name, a in converted.items()}

    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(names, (channels,))
    ours = {"kind": "scale", "channels": channels, **({"vector": True} if vector else {})}
    return layer.add(ours, shape, weights=WeightSource(layer.call, shapes, convert))


def _unless_default(key: str, values: Sequence[int], default: int) -> _Layer:
    # Space on a card is limited.
    return {key: list(values)} if set(values) != {default} else {}


def _add_with_kernel(
    layer: LayerTranslation, ours: _Layer, output: Shape, kernel: tuple[int, ...]
) -> Value:
    """Add a layer with a kernel and possibly a bias, then its activation."""
    shapes = {"kernel": kernel}
    if layer.boolean("use_bias", default=True):
        shapes["bias"] = (output.length if isinstance(output, Vector) else output.channels,)
    else:
        ours = {**ours, "bias": False}

    def convert(arrays: Arrays) -> Arrays:
        # To torch's order: output, input, rows, columns. A dense layer on pixels is a 1x1 kernel.
        weight = arrays["kernel"].transpose((3, 2, 0, 1) if len(kernel) == 4 else (1, 0))
        if ours["kind"] != "dense" and len(kernel) == 2:
            weight = weight[..., None, None]
        return {"weight": weight, **({"bias": arrays["bias"]} if "bias" in arrays else {})}

    weights = WeightSource(layer.call, shapes, convert)
    return _activate(layer, layer.add(ours, output, weights=weights))


def _pooling(layer: LayerTranslation) -> Value:
    x = layer.feature_map
    layer.require_channels_last()
    kernel = layer.pair("pool_size", _MAX_KERNEL, (2, 2))
    stride = layer.pair("strides", _MAX_STRIDE, kernel)
    same = layer.same_padding()
    rows, columns = (KernelWindow(*sides, 1, same) for sides in zip(kernel, stride, strict=True))
    height, top, bottom = x.height.convolved(rows)
    width, left, right = x.width.convolved(columns)
    kind, pads = "max-pool", [top, bottom, left, right]
    if layer.call.kind == "AveragePooling2D":
        if (top, left) != (bottom, right):
            expected = "valid for these sizes: Keras's own backends disagree on this one"
            raise layer.invalid("padding", "same", expected)
        kind, pads = "average-pool", [top, left]
    ours = {"kind": kind, "kernel": list(kernel), "stride": list(stride)}
    ours |= {"pads": pads} if any(pads) else {}
    return layer.add(ours, x._replace(height=height, width=width))


def _up_sampling(layer: LayerTranslation) -> Value:
    x = layer.feature_map
    layer.require_channels_last()
    rows, columns = layer.pair("size", _MAX_STRIDE, (2, 2))
    mode = layer.choice("interpolation", ["nearest", "bilinear"], "nearest")
    if (rows, columns) == (1, 1):
        return layer.input
    ours = {"kind": "upsample", "factors": [rows, columns]}
    ours |= {"mode": mode} if mode != "nearest" else {}
    return layer.add(ours, x._replace(height=x.height.times(rows), width=x.width.times(columns)))


def _change_borders(layer: LayerTranslation) -> Value:
    kind, key, option, sign = "zeros", "pads", "padding", 1
    if layer.call.kind == "Cropping2D":
        kind, key, option, sign = "cut", "crops", "cropping", -1
    borders = top, bottom, left, right = layer.borders(option, _MAX_BORDER)
    x = layer.feature_map
    layer.require_channels_last()
    height, width = x.height.plus(sign * (top + bottom)), x.width.plus(sign * (left + right))
    return layer.add({"kind": kind, key: list(borders)}, x._replace(height=height, width=width))


def _flatten(layer: LayerTranslation) -> Value:
    layer.require_channels_last()
    shape = layer.input.shape
    vector = shape if isinstance(shape, Vector) else Vector(math.prod(shape.fixed()))
    return layer.builder.reshape(layer.input, vector, layer.call.title)


def _reshape(layer: LayerTranslation) -> Value:
    shape = layer.input.shape
    target = layer.option("target_shape")
    count = shape.length if isinstance(shape, Vector) else math.prod(shape.fixed())
    sides = list(target) if isinstance(target, list) else []
    if sides.count(-1) == 1:
        known = math.prod(side for side in sides if side != -1)
        sides[sides.index(-1)] = count // known if known else 0
    if not all(type(side) is int and side > 0 for side in sides):
        sides = []
    match sides:
        case [length]:
            output: Shape = Vector(length)
        case [height, width]:
            output = FeatureMap(Side(0, height), Side(0, width), 1, no_channel_axis=True)
        case [height, width, channels]:
            output = FeatureMap(Side(0, height), Side(0, width), channels)
        case _:
            raise layer.invalid("target_shape", target, "one to three positive integers")
    return layer.builder.reshape(layer.input, output, layer.call.title)


def _rescaling(layer: LayerTranslation) -> Value:
    shape = layer.input.shape
    ours: _Layer = {"kind": "rescale"}
    for key, our_key, default in (("scale", "factor", 1.0), ("offset", "offset", 0.0)):
        value = layer.option(key, default)
        if isinstance(value, list):
            if isinstance(shape, Vector) or shape.no_channel_axis or len(value) != shape.channels:
                raise layer.invalid(key, value, "a number, or one per channel")
            ours[our_key] = [layer.check_number(key, one) for one in value]
        else:
            ours[our_key] = layer.check_number(key, value)
    return layer.add(ours, shape)


def _add(layer: LayerTranslation) -> Value:
    if len({value.shape for value in layer.inputs}) > 1:
        raise InputError(f"the inputs of {layer.call.title} differ in shape; expected equal shapes")
    total, *others = layer.inputs
    if layer.call.kind == "Subtract":
        if len(others) != 1:
            raise InputError(f"{layer.call.title} has {len(layer.inputs)} inputs; expected 2")
        others = [layer.add({"kind": "rescale", "factor": -1.0}, total.shape, *others)]
    for other in others:
        total = layer.add({"kind": "add"}, total.shape, total, other)
    return total


def _concatenate(layer: LayerTranslation) -> Value:
    maps = [value.shape for value in layer.inputs if isinstance(value.shape, FeatureMap)]
    axis = layer.option("axis", -1)
    if axis not in (-1, 3) or any(one.no_channel_axis for one in maps):
        raise layer.invalid("axis", axis, "-1, the channels")
    if len(maps) < len(layer.inputs) or len({one[:2] for one in maps}) > 1:
        raise InputError(f"the inputs of {layer.call.title} differ in size; expected equal sizes")
    shape = maps[0]._replace(channels=sum(one.channels for one in maps))
    return layer.add({"kind": "concatenate"}, shape, *layer.inputs)


def _relu(layer: LayerTranslation) -> _Layer:
    for key in ("negative_slope", "threshold"):
        if layer.number(key, 0.0):
            raise layer.invalid(key, layer.call.config[key], "0")
    maximum = layer.number("max_value", 0.0)
    return {"kind": "relu", "most": maximum} if maximum else {"kind": "relu"}


def _leaky_relu(layer: LayerTranslation) -> _Layer:
    # Keras 2 calls it alpha.
    slope = layer.number("negative_slope", layer.number("alpha", 0.3))
    return {"kind": "leaky-relu", "negative_slope": slope}


_ACTIVATION_LAYERS: dict[str, Callable[[LayerTranslation], _Layer]] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": lambda layer: {"kind": "elu", "alpha": layer.number("alpha", 1.0)},
    # Functions of keras.ops, applied to the output of a layer.
    "Relu": lambda _: ACTIVATION_FUNCTIONS["relu"],
    "Sigmoid": lambda _: ACTIVATION_FUNCTIONS["sigmoid"],
    "Tanh": lambda _: ACTIVATION_FUNCTIONS["tanh"],
}
"""Our layer for each Keras layer that is an activation."""


def _activation_layer(layer: LayerTranslation) -> Value:
    return layer.add(_ACTIVATION_LAYERS[layer.call.kind](layer), layer.input.shape)


def _activate(layer: LayerTranslation, value: Value) -> Value:
    """Apply the layer's option ``activation`` to a value."""
    activation = layer.option("activation", "linear")
    if isinstance(activation, dict):
        # A layer instead of a function, or a custom function.
        kind, config = activation.get("class_name"), activation.get("config")
        if kind in _ACTIVATION_LAYERS and isinstance(config, dict):
            call = LayerCall(kind, config, layer.call.path, ())
            return translate(call, [value], layer.builder)
        activation = config if isinstance(config, str) else kind
    if not isinstance(activation, str) or activation not in ACTIVATION_FUNCTIONS:
        raise layer.invalid("activation", activation, f"one of {', '.join(ACTIVATION_FUNCTIONS)}")
    ours = ACTIVATION_FUNCTIONS[activation]
    return layer.add(ours, value.shape, value) if ours else value


_TRANSLATORS: dict[str, Callable[[LayerTranslation], Value]] = {
    "Activation": lambda layer: _activate(layer, layer.input),
    "Add": _add,
    "AveragePooling2D": _pooling,
    "BatchNormalization": _batch_normalization,
    "Concatenate": _concatenate,
    "Conv2D": _conv,
    "Conv2DTranspose": _conv_transpose,
    "Cropping2D": _change_borders,
    "Dense": _dense,
    "Flatten": _flatten,
    "MaxPooling2D": _pooling,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "Subtract": _add,
    "UpSampling2D": _up_sampling,
    "ZeroPadding2D": _change_borders,
    **dict.fromkeys(_ACTIVATION_LAYERS, _activation_layer),
    **dict.fromkeys(_TRAINING_LAYERS, _identity),
}
