"""Each layer of Keras as those of ours that do the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from autodenoise.errors import InputError
from autodenoise.keras_import import weighted
from autodenoise.keras_import.activations import ACTIVATIONS, activated, activation
from autodenoise.keras_import.options import LONGEST_KERNEL, LONGEST_STRIDE, Options
from autodenoise.keras_import.parts import Work
from autodenoise.keras_import.sizes import Map, Row, Shape, Side, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autodenoise.keras_import.graph import Call
    from autodenoise.keras_import.parts import Layers, Value

__all__ = ["apply", "reshaped"]

_MOST_AROUND = 1024


def apply(call: Call, values: Sequence[Value], layers: Layers) -> Value:
    """Add what a layer of Keras does to some values.

    Raises
    ------
    InputError
        We do not know the layer or an option of it, or it does not fit the values.
    Uneven, FixedOnly
        It does not treat all sizes alike.
    """
    if call.kind not in _KINDS:
        code = " and holds Python code, which is not run" if call.kind == "Lambda" else ""
        raise InputError(
            f"{call.title} is not supported{code}. What is: {', '.join(sorted(_KINDS))}"
        )
    told = Options(call)
    made = _KINDS[call.kind](Work(told, tuple(values), layers))
    told.finish()
    return made


def reshaped(value: Value, shape: Shape, layers: Layers, title: str) -> Value:
    """Give a value another shape of as many numbers, pixel by pixel.

    Raises
    ------
    InputError
        They are not as many.
    FixedOnly
        How many there are depends on the image.
    """
    if value.shape == shape:
        return value
    given, wanted = (
        part.length if isinstance(part, Row) else math.prod(part.fixed())
        for part in (value.shape, shape)
    )
    if given != wanted:
        raise InputError(f"{title} makes {wanted:,} numbers of {given:,}")
    if isinstance(value.shape, Map):
        if isinstance(shape, Map) and value.shape.fixed() == shape.fixed():
            return value._replace(shape=shape)
        value = layers.put({"kind": "flatten"}, Row(given), value, title=title)
    if isinstance(shape, Row):
        return value
    sides = dict(zip(("height", "width", "channels"), shape.fixed(), strict=True))
    return layers.put({"kind": "reshape", **sides}, shape, value, title=title)


def _unchanged(work: Work) -> Value:
    work.told.take("data_format")
    return work.one


def _max_pooling(work: Work) -> Value:
    kernel, stride, (height, width), (top, bottom, left, right) = _pooling(work)
    pads = {"pads": [top, bottom, left, right]} if top + bottom + left + right else {}
    layer = {"kind": "max-pool", "kernel": kernel, "stride": stride, **pads}
    return work.put(layer, work.map._replace(height=height, width=width))


def _average_pooling(work: Work) -> Value:
    kernel, stride, (height, width), (top, bottom, left, right) = _pooling(work)
    if (top, left) != (bottom, right):
        raise work.told.refused(
            "padding", "same", "valid for these sizes: Keras's own backends disagree on this one"
        )
    pads = {"pads": [top, left]} if top + left else {}
    layer = {"kind": "average-pool", "kernel": kernel, "stride": stride, **pads}
    return work.put(layer, work.map._replace(height=height, width=width))


def _pooling(
    work: Work,
) -> tuple[list[int], list[int], tuple[Side, Side], tuple[int, int, int, int]]:
    told, x = work.told, work.map
    told.channels_last()
    kernel = told.pair("pool_size", LONGEST_KERNEL, (2, 2))
    stride = told.pair("strides", LONGEST_STRIDE, kernel)
    same = work.same()
    rows, columns = (Window(*sides, 1, same) for sides in zip(kernel, stride, strict=True))
    (height, top, bottom), (width, left, right) = x.height.under(rows), x.width.under(columns)
    return list(kernel), list(stride), (height, width), (top, bottom, left, right)


def _up_sampling(work: Work) -> Value:
    told, x = work.told, work.map
    told.channels_last()
    factors = told.pair("size", LONGEST_STRIDE, (2, 2))
    mode = told.word("interpolation", ["nearest", "bilinear"], "nearest")
    if factors == (1, 1):
        return work.one
    layer = {"kind": "upsample", "factors": list(factors)}
    layer |= {"mode": mode} if mode != "nearest" else {}
    height, width = (
        side.times(factor) for side, factor in zip((x.height, x.width), factors, strict=True)
    )
    return work.put(layer, x._replace(height=height, width=width))


def _zero_padding(work: Work) -> Value:
    return _framed(work, "zeros", "pads", work.told.ends("padding", _MOST_AROUND), 1)


def _cropping(work: Work) -> Value:
    return _framed(work, "cut", "crops", work.told.ends("cropping", _MOST_AROUND), -1)


def _framed(work: Work, kind: str, key: str, ends: tuple[int, int, int, int], sign: int) -> Value:
    x = work.map
    work.told.channels_last()
    top, bottom, left, right = ends
    height, width = x.height.plus(sign * (top + bottom)), x.width.plus(sign * (left + right))
    return work.put({"kind": kind, key: list(ends)}, x._replace(height=height, width=width))


def _flatten(work: Work) -> Value:
    work.told.channels_last()
    shape = work.one.shape
    row = shape if isinstance(shape, Row) else Row(math.prod(shape.fixed()))
    return reshaped(work.one, row, work.layers, work.told.call.title)


def _reshape(work: Work) -> Value:
    told, shape = work.told, work.one.shape
    target = told.take("target_shape")
    numbers = shape.length if isinstance(shape, Row) else math.prod(shape.fixed())
    sides = list(target) if isinstance(target, list) else []
    if sides.count(-1) == 1:
        known = math.prod(side for side in sides if side != -1)
        sides[sides.index(-1)] = numbers // known if known else 0
    if not all(type(side) is int and side > 0 for side in sides):
        sides = []
    match sides:
        case [length]:
            wanted: Shape = Row(length)
        case [height, width]:
            wanted = Map(Side(0, height), Side(0, width), 1, bare=True)
        case [height, width, channels]:
            wanted = Map(Side(0, height), Side(0, width), channels)
        case _:
            raise told.refused("target_shape", target, "one to three whole numbers")
    return reshaped(work.one, wanted, work.layers, told.call.title)


def _rescaling(work: Work) -> Value:
    told, shape = work.told, work.one.shape
    layer: dict[str, Any] = {"kind": "rescale"}
    for key, ours, default in (("scale", "factor", 1.0), ("offset", "offset", 0.0)):
        value = told.take(key, default)
        if isinstance(value, list):
            if isinstance(shape, Row) or shape.bare or len(value) != shape.channels:
                raise told.refused(key, value, "a number, or one for each channel")
            layer[ours] = [told.as_number(key, one) for one in value]
        else:
            layer[ours] = told.as_number(key, value)
    return work.put(layer, shape)


def _add(work: Work) -> Value:
    first, *others = work.values
    _check_alike(work)
    for other in others:
        first = work.put({"kind": "add"}, first.shape, first, other)
    return first


def _subtract(work: Work) -> Value:
    _check_alike(work)
    if len(work.values) != 2:
        raise InputError(f"{work.told.call.title} takes {len(work.values)} values; expected 2")
    first, second = work.values
    negative = work.put({"kind": "rescale", "factor": -1.0}, second.shape, second)
    return work.put({"kind": "add"}, first.shape, first, negative)


def _check_alike(work: Work) -> None:
    if len({value.shape for value in work.values}) > 1:
        raise InputError(f"{work.told.call.title} takes values of several shapes; expected one")


def _concatenate(work: Work) -> Value:
    maps = [value.shape for value in work.values if isinstance(value.shape, Map)]
    axis = work.told.take("axis", -1)
    if axis not in (-1, 3) or any(one.bare for one in maps):
        raise work.told.refused("axis", axis, "-1, the channels")
    if len(maps) < len(work.values) or len({one[:2] for one in maps}) > 1:
        raise InputError(f"{work.told.call.title} takes values of several sizes; expected one")
    shape = maps[0]._replace(channels=sum(one.channels for one in maps))
    return work.put({"kind": "concatenate"}, shape, *work.values)


_KINDS: dict[str, Callable[[Work], Value]] = {
    "Activation": lambda work: activated(work, work.one),
    "ActivityRegularization": _unchanged,
    "Add": _add,
    "AlphaDropout": _unchanged,
    "AveragePooling2D": _average_pooling,
    "BatchNormalization": weighted.batch_normalization,
    "Concatenate": _concatenate,
    "Conv2D": weighted.conv,
    "Conv2DTranspose": weighted.conv_transpose,
    "Cropping2D": _cropping,
    "Dense": weighted.dense,
    "Dropout": _unchanged,
    "Flatten": _flatten,
    "GaussianDropout": _unchanged,
    "GaussianNoise": _unchanged,
    "MaxPooling2D": _max_pooling,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "SpatialDropout2D": _unchanged,
    "Subtract": _subtract,
    "UpSampling2D": _up_sampling,
    "ZeroPadding2D": _zero_padding,
    **dict.fromkeys(ACTIVATIONS, activation),
}
