"""Translate each Keras layer into our layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from autodenoise.errors import InputError
from autodenoise.keras_import.builder import Arrays, LayerTranslation, Value, WeightSource
from autodenoise.keras_import.graph import LayerCall
from autodenoise.keras_import.shapes import FeatureMap, Shape, Side, Vector, Window

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

    Raises
    ------
    InputError
        The layer or one of its options is not supported, or does not fit the inputs.
    NeedsMultiple, FixedSizeOnly
        The layer does not treat all image sizes alike.
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
    same, bias = layer.same_padding(), layer.boolean("use_bias", default=True)
    rows, columns = (Window(*sides, same) for sides in zip(kernel, stride, dilation, strict=True))
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
        **_without_bias(bias),
    }
    shapes = {"kernel": (*kernel, x.channels // groups, filters), **_bias_shape(bias, filters)}
    weights = WeightSource(layer.call, shapes, _transposed_kernel(3, 2, 0, 1))
    return _activate(layer, layer.add(ours, FeatureMap(height, width, filters), weights=weights))


def _conv_transpose(layer: LayerTranslation) -> Value:
    x = layer.feature_map
    layer.require_channels_last()
    filters = layer.integer("filters", 1, _MAX_CHANNELS)
    kernel = layer.pair("kernel_size", _MAX_KERNEL)
    stride = layer.pair("strides", _MAX_STRIDE, (1, 1))
    layer.pair("dilation_rate", 1, (1, 1))
    same, bias = layer.same_padding(), layer.boolean("use_bias", default=True)
    rows, columns = (Window(*sides, 1, same) for sides in zip(kernel, stride, strict=True))
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
        **_without_bias(bias),
    }
    shapes = {"kernel": (*kernel, filters, x.channels), **_bias_shape(bias, filters)}
    weights = WeightSource(layer.call, shapes, _transposed_kernel(3, 2, 0, 1))
    return _activate(layer, layer.add(ours, FeatureMap(height, width, filters), weights=weights))


def _dense(layer: LayerTranslation) -> Value:
    shape = layer.input.shape
    units = layer.integer("units", 1, _MAX_UNITS)
    bias = layer.boolean("use_bias", default=True)
    if isinstance(shape, Vector):
        features = shape.length
        ours = {"kind": "dense", "in_features": features, "out_features": units}
        output: Shape = Vector(units)
        convert = _transposed_kernel(1, 0)
    else:
        # On a feature map it works on the channels of each pixel.
        features = layer.feature_map.channels
        ours = {"kind": "conv", "channels_in": features, "channels_out": units, "kernel": [1, 1]}
        output = FeatureMap(shape.height, shape.width, units)
        convert = _transposed_kernel(1, 0, extra_axes=2)
    shapes = {"kernel": (features, units), **_bias_shape(bias, units)}
    weights = WeightSource(layer.call, shapes, convert)
    return _activate(layer, layer.add(ours | _without_bias(bias), output, weights=weights))


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
    names = [
        *(["gamma"] if layer.boolean("scale", default=True) else []),
        *(["beta"] if layer.boolean("center", default=True) else []),
        "moving_mean",
        "moving_variance",
    ]
    ours = {"kind": "scale", "channels": channels, **({"vector": True} if vector else {})}

    def convert(arrays: Arrays) -> Arrays:
        with np.errstate(invalid="ignore", divide="ignore"):
            factor = 1 / np.sqrt(arrays["moving_variance"].astype(np.float64) + epsilon)
            factor = factor * arrays.get("gamma", 1.0)
            offset = arrays.get("beta", 0.0) - arrays["moving_mean"] * factor
        if not np.isfinite([factor, offset]).all():
            raise InputError(f"{layer.call.title} has an invalid variance")
        sides = (channels,) if vector else (channels, 1, 1)
        return {
            "weight": factor.astype(np.float32).reshape(sides),
            "bias": offset.astype(np.float32).reshape(sides),
        }

    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(names, (channels,))
    return layer.add(ours, shape, weights=WeightSource(layer.call, shapes, convert))


def _unless_default(key: str, values: Sequence[int], default: int) -> _Layer:
    # Space on a card is limited.
    return {key: list(values)} if set(values) != {default} else {}


def _without_bias(bias: bool) -> _Layer:
    return {} if bias else {"bias": False}


def _bias_shape(bias: bool, count: int) -> dict[str, tuple[int, ...]]:
    return {"bias": (count,)} if bias else {}


def _transposed_kernel(*axes: int, extra_axes: int = 0) -> Callable[[Arrays], Arrays]:
    """Return a conversion that transposes a kernel to torch's order and appends axes."""

    def convert(arrays: Arrays) -> Arrays:
        kernel = arrays["kernel"].transpose(axes)
        bias = {"bias": arrays["bias"]} if "bias" in arrays else {}
        return {"weight": kernel.reshape(*kernel.shape, *(1,) * extra_axes), **bias}

    return convert


def _max_pooling(layer: LayerTranslation) -> Value:
    ours, shape, pads = _pooling(layer)
    padding = {"pads": list(pads)} if any(pads) else {}
    return layer.add({"kind": "max-pool", **ours, **padding}, shape)


def _average_pooling(layer: LayerTranslation) -> Value:
    ours, shape, (top, bottom, left, right) = _pooling(layer)
    if (top, left) != (bottom, right):
        raise layer.invalid(
            "padding", "same", "valid for these sizes: Keras's own backends disagree on this one"
        )
    padding = {"pads": [top, left]} if top or left else {}
    return layer.add({"kind": "average-pool", **ours, **padding}, shape)


def _pooling(layer: LayerTranslation) -> tuple[_Layer, FeatureMap, tuple[int, int, int, int]]:
    """Return kernel and stride, the output's shape, and the padding."""
    x = layer.feature_map
    layer.require_channels_last()
    kernel = layer.pair("pool_size", _MAX_KERNEL, (2, 2))
    stride = layer.pair("strides", _MAX_STRIDE, kernel)
    same = layer.same_padding()
    rows, columns = (Window(*sides, 1, same) for sides in zip(kernel, stride, strict=True))
    height, top, bottom = x.height.convolved(rows)
    width, left, right = x.width.convolved(columns)
    ours = {"kernel": list(kernel), "stride": list(stride)}
    return ours, x._replace(height=height, width=width), (top, bottom, left, right)


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


def _zero_padding(layer: LayerTranslation) -> Value:
    return _change_borders(layer, "zeros", "pads", layer.borders("padding", _MAX_BORDER), 1)


def _cropping(layer: LayerTranslation) -> Value:
    return _change_borders(layer, "cut", "crops", layer.borders("cropping", _MAX_BORDER), -1)


def _change_borders(
    layer: LayerTranslation, kind: str, key: str, borders: tuple[int, int, int, int], sign: int
) -> Value:
    x = layer.feature_map
    layer.require_channels_last()
    top, bottom, left, right = borders
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
    total, *others = layer.inputs
    _require_equal_shapes(layer)
    for other in others:
        total = layer.add({"kind": "add"}, total.shape, total, other)
    return total


def _subtract(layer: LayerTranslation) -> Value:
    _require_equal_shapes(layer)
    if len(layer.inputs) != 2:
        raise InputError(f"{layer.call.title} has {len(layer.inputs)} inputs; expected 2")
    first, second = layer.inputs
    negative = layer.add({"kind": "rescale", "factor": -1.0}, second.shape, second)
    return layer.add({"kind": "add"}, first.shape, first, negative)


def _require_equal_shapes(layer: LayerTranslation) -> None:
    if len({value.shape for value in layer.inputs}) > 1:
        raise InputError(f"the inputs of {layer.call.title} differ in shape; expected equal shapes")


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


def _elu(layer: LayerTranslation) -> _Layer:
    return {"kind": "elu", "alpha": layer.number("alpha", 1.0)}


_ACTIVATION_LAYERS: dict[str, Callable[[LayerTranslation], _Layer]] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    # Functions of keras.ops, applied to the output of a layer.
    "Relu": lambda _: ACTIVATION_FUNCTIONS["relu"],
    "Sigmoid": lambda _: ACTIVATION_FUNCTIONS["sigmoid"],
    "Tanh": lambda _: ACTIVATION_FUNCTIONS["tanh"],
}
"""Our layer for each Keras layer that is an activation."""


def _activation_layer(layer: LayerTranslation) -> Value:
    ours = _ACTIVATION_LAYERS[layer.call.kind](layer)
    return layer.add(ours, layer.input.shape)


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
    "ActivityRegularization": _identity,
    "Add": _add,
    "AlphaDropout": _identity,
    "AveragePooling2D": _average_pooling,
    "BatchNormalization": _batch_normalization,
    "Concatenate": _concatenate,
    "Conv2D": _conv,
    "Conv2DTranspose": _conv_transpose,
    "Cropping2D": _cropping,
    "Dense": _dense,
    "Dropout": _identity,
    "Flatten": _flatten,
    "GaussianDropout": _identity,
    "GaussianNoise": _identity,
    "MaxPooling2D": _max_pooling,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "SpatialDropout2D": _identity,
    "Subtract": _subtract,
    "UpSampling2D": _up_sampling,
    "ZeroPadding2D": _zero_padding,
    **dict.fromkeys(_ACTIVATION_LAYERS, _activation_layer),
}
