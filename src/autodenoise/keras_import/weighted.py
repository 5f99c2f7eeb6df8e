"""The layers of Keras that have weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodenoise.errors import InputError
from autodenoise.keras_import.activations import activated
from autodenoise.keras_import.options import LONGEST_KERNEL, LONGEST_STRIDE
from autodenoise.keras_import.parts import Weights
from autodenoise.keras_import.sizes import Map, Row, Shape, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autodenoise.keras_import.parts import Arrays, Value, Work

__all__ = ["batch_normalization", "conv", "conv_transpose", "dense"]

_MOST_CHANNELS = 2**16
_MOST_UNITS = 2**24


def conv(work: Work) -> Value:
    """Translate ``Conv2D``."""
    told, x = work.told, work.map
    told.channels_last()
    filters = told.whole("filters", 1, _MOST_CHANNELS)
    kernel = told.pair("kernel_size", LONGEST_KERNEL)
    stride = told.pair("strides", LONGEST_STRIDE, (1, 1))
    dilation = told.pair("dilation_rate", LONGEST_STRIDE, (1, 1))
    groups = told.whole("groups", 1, _MOST_CHANNELS, 1)
    if x.channels % groups or filters % groups:
        raise told.refused("groups", groups, f"what divides {x.channels} and {filters} channels")
    same, bias = work.same(), told.flag("use_bias", default=True)
    rows, columns = (Window(*sides, same) for sides in zip(kernel, stride, dilation, strict=True))
    (height, top, bottom), (width, left, right) = x.height.under(rows), x.width.under(columns)
    layer = {
        "kind": "conv",
        "channels_in": x.channels,
        "channels_out": filters,
        "kernel": list(kernel),
        **_set("stride", stride, 1),
        **_set("pads", (top, bottom, left, right), 0),
        **_set("dilation", dilation, 1),
        **({"groups": groups} if groups > 1 else {}),
        **_without_bias(bias),
    }
    shapes = {"kernel": (*kernel, x.channels // groups, filters), **_bias(bias, filters)}
    weights = Weights(told.call, shapes, _turned(3, 2, 0, 1))
    made = work.put(layer, Map(height, width, filters), weights=weights)
    return activated(work, made)


def conv_transpose(work: Work) -> Value:
    """Translate ``Conv2DTranspose``."""
    told, x = work.told, work.map
    told.channels_last()
    filters = told.whole("filters", 1, _MOST_CHANNELS)
    kernel = told.pair("kernel_size", LONGEST_KERNEL)
    stride = told.pair("strides", LONGEST_STRIDE, (1, 1))
    told.pair("dilation_rate", 1, (1, 1))
    same, bias = work.same(), told.flag("use_bias", default=True)
    rows, columns = (Window(*sides, 1, same) for sides in zip(kernel, stride, strict=True))
    height, top, bottom, down = x.height.spread(rows)
    width, left, right, across = x.width.spread(columns)
    layer = {
        "kind": "conv-transpose",
        "channels_in": x.channels,
        "channels_out": filters,
        "kernel": list(kernel),
        **_set("stride", stride, 1),
        **_set("crops", (top, bottom, left, right), 0),
        **_set("more", (down, across), 0),
        **_without_bias(bias),
    }
    shapes = {"kernel": (*kernel, filters, x.channels), **_bias(bias, filters)}
    weights = Weights(told.call, shapes, _turned(3, 2, 0, 1))
    made = work.put(layer, Map(height, width, filters), weights=weights)
    return activated(work, made)


def dense(work: Work) -> Value:
    """Translate ``Dense``."""
    told, shape = work.told, work.one.shape
    units = told.whole("units", 1, _MOST_UNITS)
    bias = told.flag("use_bias", default=True)
    if isinstance(shape, Row):
        given = shape.length
        layer = {"kind": "dense", "in_features": given, "out_features": units}
        made_of: Shape = Row(units)
        turn = _turned(1, 0)
    else:
        # On a map it works on the channels of each pixel.
        given = work.map.channels
        layer = {"kind": "conv", "channels_in": given, "channels_out": units, "kernel": [1, 1]}
        made_of = Map(shape.height, shape.width, units)
        turn = _turned(1, 0, more=2)
    layer |= _without_bias(bias)
    weights = Weights(told.call, {"kernel": (given, units), **_bias(bias, units)}, turn)
    return activated(work, work.put(layer, made_of, weights=weights))


def batch_normalization(work: Work) -> Value:
    """Translate ``BatchNormalization``: at inference a factor and an offset for each channel."""
    told, shape = work.told, work.one.shape
    row = isinstance(shape, Row)
    channels = shape.length if isinstance(shape, Row) else work.map.channels
    axis = told.take("axis", -1)
    # Keras 2 has it as a list.
    (axis,) = axis if isinstance(axis, list) and len(axis) == 1 else (axis,)
    if axis not in (-1, 1 if row else 3):
        raise told.refused("axis", axis, "-1, the channels")
    epsilon = told.number("epsilon", 1e-3)
    names = ["moving_mean", "moving_variance"]
    if told.flag("center", default=True):
        names.insert(0, "beta")
    if told.flag("scale", default=True):
        names.insert(0, "gamma")
    layer = {"kind": "scale", "channels": channels, **({"vector": True} if row else {})}

    def turn(given: Arrays) -> Arrays:
        with np.errstate(invalid="ignore", divide="ignore"):
            factor = 1 / np.sqrt(given["moving_variance"].astype(np.float64) + epsilon)
            factor = factor * given.get("gamma", 1.0)
            offset = given.get("beta", 0.0) - given["moving_mean"] * factor
        if not np.isfinite([factor, offset]).all():
            raise InputError(f"{told.call.title} has a variance that no values have")
        sides = (channels,) if row else (channels, 1, 1)
        return {
            "weight": factor.astype(np.float32).reshape(sides),
            "bias": offset.astype(np.float32).reshape(sides),
        }

    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(names, (channels,))
    return work.put(layer, shape, weights=Weights(told.call, shapes, turn))


def _set(key: str, values: Sequence[int], default: int) -> dict[str, Any]:
    # A card has room for what differs from the defaults.
    return {key: list(values)} if set(values) != {default} else {}


def _without_bias(bias: bool) -> dict[str, Any]:
    return {} if bias else {"bias": False}


def _bias(bias: bool, count: int) -> dict[str, tuple[int, ...]]:
    return {"bias": (count,)} if bias else {}


def _turned(*axes: int, more: int = 0) -> Callable[[Arrays], Arrays]:
    """Give what brings a kernel's axes into torch's order, and adds some at the end."""

    def turn(given: Arrays) -> Arrays:
        kernel = given["kernel"].transpose(axes)
        bias = {"bias": given["bias"]} if "bias" in given else {}
        return {"weight": kernel.reshape(*kernel.shape, *(1,) * more), **bias}

    return turn
