"""A model file is read with suspicion, before ONNX Runtime sees any of it.

An ONNX file is one protobuf message, ``ModelProto`` of `onnx.proto`_. It can say far more than a
denoiser needs: loops, operators of other libraries, weights that lie in any other file of the
machine. And ONNX Runtime trusts what it is given: a ``ConvTranspose`` in 0 groups ends the whole
process. So here are lists of what our own networks need, and a file with anything else is refused.

.. _onnx.proto: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from autodenoise.errors import InputError
from autodenoise.runtime.card import CARD_KEY, Card
from autodenoise.runtime.protobuf import FIXED32, VARINT, Field, Layout, Message, Reader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["LARGEST", "OPERATORS", "Contents", "inspect", "read", "read_card"]

LARGEST: Final = 512 * 1024**2
"""The most bytes that a model file may have: 134 million weights."""

OPERATORS: Final = frozenset(
    {
        "Add",
        "AveragePool",
        "Clip",
        "Concat",
        "Conv",
        "ConvTranspose",
        "DepthToSpace",
        "DequantizeLinear",
        "Div",
        "Elu",
        "Gemm",
        "LeakyRelu",
        "MaxPool",
        "Mul",
        "Pad",
        "QuantizeLinear",
        "Relu",
        "Reshape",
        "Resize",
        "Selu",
        "Shape",
        "Sigmoid",
        "Slice",
        "Tanh",
        "Transpose",
    }
)
"""What our networks are made of, all from ONNX's own set."""

_MOST_AXES = 8

_SETTINGS = {
    **dict.fromkeys(("dilations", "group"), (1, 1)),
    **dict.fromkeys(("blocksize", "strides"), (1, 16)),
    "kernel_shape": (1, 64),
    **dict.fromkeys(("output_padding", "pads"), (0, 64)),
    **dict.fromkeys(("axis", "end", "perm", "start"), (-_MOST_AXES, _MOST_AXES)),
    **dict.fromkeys(
        ("allowzero", "antialias", "ceil_mode", "count_include_pad", "exclude_outside"), (0, 1)
    ),
    "storage_order": (0, 1),
    **dict.fromkeys(("transA", "transB"), (0, 1)),
}
"""The least and the most that each setting of an operator may be, where it is a whole number.

ONNX Runtime does not look at all of them: no groups or a kernel spread far beyond the image end the
process.
"""

_SETTINGS_OF = {("Conv", "dilations"): (1, 16), ("Conv", "group"): (1, 65_536)}
"""Where one operator may have more: of a convolution's, ONNX Runtime does look at both."""

_ROUNDING = ("QuantizeLinear", "DequantizeLinear")
"""Operators that have no setting but an axis, the first."""

_WHOLE_NUMBER = 2
"""``AttributeProto.INT``."""

_FLOAT32, _UINT8, _INT8, _INT64 = 1, 2, 3, 7
_ITEM_SIZES = {_FLOAT32: 4, _UINT8: 1, _INT8: 1, _INT64: 8}
"""Bytes a number, by ``TensorProto.DataType``."""

# The messages of onnx.proto, each with the fields that our exporter writes, and remarks.
_MODEL = Layout(
    "model",
    {
        1: Field("ir_version", VARINT),
        2: Field("producer_name"),
        3: Field("producer_version"),
        4: Field("domain"),
        5: Field("model_version", VARINT),
        6: Field("doc_string"),
        7: Field("graph"),
        8: Field("opset_import", many=True),
        14: Field("metadata_props", many=True),
    },
    refused={20: "steps of training", 25: "functions of its own"},
)
_OPERATOR_SET = Layout("operator set", {1: Field("domain", text=True), 2: Field("version", VARINT)})
_METADATA = Layout("metadata", {1: Field("key"), 2: Field("value")})
_GRAPH = Layout(
    "network",
    {
        1: Field("node", many=True),
        2: Field("name", text=True),
        5: Field("initializer", many=True),
        10: Field("doc_string"),
        11: Field("input", many=True),
        12: Field("output", many=True),
        13: Field("value_info", many=True),
        16: Field("metadata_props", many=True),
    },
    refused={15: "sparse weights"},
)
_NODE = Layout(
    "operator",
    {
        1: Field("input", text=True, many=True),
        2: Field("output", text=True, many=True),
        3: Field("name", text=True),
        4: Field("op_type", text=True),
        5: Field("attribute", many=True),
        6: Field("doc_string"),
        7: Field("domain", text=True),
        9: Field("metadata_props", many=True),
    },
)
_ATTRIBUTE = Layout(
    "operator's setting",
    {
        1: Field("name", text=True),
        2: Field("f", FIXED32),
        3: Field("i", VARINT),
        4: Field("s", text=True),
        8: Field("ints", VARINT, many=True),
        13: Field("doc_string"),
        20: Field("type", VARINT),
    },
    refused={
        5: "a tensor",
        6: "a graph inside",
        10: "tensors",
        11: "graphs inside",
        22: "a sparse tensor",
        23: "sparse tensors",
    },
)
_TENSOR = Layout(
    "weights",
    {
        1: Field("dims", VARINT, many=True),
        2: Field("data_type", VARINT),
        8: Field("name", text=True),
        9: Field("raw_data"),
        12: Field("doc_string"),
        16: Field("metadata_props", many=True),
    },
    refused={13: "a place outside the file", 14: "a place outside the file"},
)
_VALUE = Layout(
    "value",
    {
        1: Field("name", text=True),
        2: Field("type"),
        3: Field("doc_string"),
        4: Field("metadata_props", many=True),
    },
)
_TYPE = Layout("type", {1: Field("tensor_type"), 6: Field("denotation", text=True)})
_TENSOR_TYPE = Layout("type of tensor", {1: Field("elem_type", VARINT), 2: Field("shape")})
_SHAPE = Layout("shape", {1: Field("dim", many=True)})
_SIDE = Layout(
    "side",
    {
        1: Field("dim_value", VARINT),
        2: Field("dim_param", text=True),
        3: Field("denotation", text=True),
    },
)

_Shape = tuple[int | None, ...]


class _Weights(NamedTuple):
    kind: int
    axes: tuple[int, ...]
    content: memoryview


@dataclass(frozen=True)
class Contents:
    """What a model file holds beside its weights.

    Attributes
    ----------
    operators
        Of the network's nodes, in their order.
    metadata
        Texts by their key; the card is one.
    shapes
        Of the noisy and of the clean image as the file declares them, (N, C, H, W): None for a side
        that is free.
    """

    operators: tuple[str, ...]
    metadata: dict[str, str]
    shapes: tuple[_Shape, _Shape]


def read(path: Path) -> tuple[bytes, Card]:
    """Read a model file of whatever origin, and check that it can do no harm.

    Returns
    -------
    bytes
        The file. Run these and not the path, where something else may lie by now.
    Card
        What it says of itself; its network takes and gives the images that the card tells of.

    Raises
    ------
    InputError
        The file is missing, damaged, has no card, or holds more than a denoiser needs.
    """
    if not path.is_file():
        raise InputError(f"no such model file: {path}")
    try:
        with path.open("rb") as file:
            # One byte too many is enough to tell.
            content = file.read(min(path.stat().st_size, LARGEST + 1))
        contents = inspect(content)
        card = Card.from_json(contents.metadata[CARD_KEY])
        _compare(card, contents)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except InputError as error:
        raise InputError(f"{path} is no model file that can be used: {error}") from None
    return content, card


def read_card(path: Path) -> Card:
    """Check a model file and return its card; see `read`."""
    return read(path)[1]


def _compare(card: Card, contents: Contents) -> None:
    told = (card.channels, *(card.size or (None, None)))
    for shape in contents.shapes:
        if shape[1:] != told:
            raise InputError(
                f"its card tells of images of {_in_words(told)}, "
                f"its network is for {_in_words(shape[1:])}"
            )


def _in_words(image: _Shape) -> str:
    channels, height, width = ("any" if side is None else side for side in image)
    return f"{channels} channel(s) and {width}x{height} pixels"


def inspect(content: bytes) -> Contents:
    """Check the bytes of a model file, and tell what they hold.

    Its time grows with the number of parts, which is limited, and the weights are not copied.

    Raises
    ------
    InputError
        They are damaged, have no card, or hold anything that our own networks have no need of.
    """
    if len(content) > LARGEST:
        raise InputError(f"it has more than {LARGEST:,} bytes")
    # ONNX Runtime takes bytes that are marked so for a format of its own, whatever else they are.
    if content[4:8] == b"ORTM":
        raise InputError("it is in ONNX Runtime's own format; expected ONNX")
    reader = Reader()
    model = reader.read(memoryview(content), _MODEL)
    metadata = dict(_metadata(reader, part) for part in model["metadata_props"])
    if CARD_KEY not in metadata:
        raise InputError("it has no autodenoise card; train writes files that have one")
    for part in model["opset_import"]:
        _check_domain(reader.read(part, _OPERATOR_SET))
    graph = reader.read(model.only("graph"), _GRAPH)
    weights = dict(_weights(reader, part) for part in graph["initializer"])
    if len(weights) < len(graph["initializer"]):
        raise InputError("it has two weights of one name")
    for part in graph["value_info"]:
        _tensor_type(reader, part)
    return Contents(
        operators=tuple(_operator(reader, part, weights) for part in graph["node"]),
        metadata=metadata,
        shapes=(
            _image_shape(reader, graph.only("input")),
            _image_shape(reader, graph.only("output")),
        ),
    )


def _metadata(reader: Reader, part: memoryview) -> tuple[str, str]:
    entry = reader.read(part, _METADATA)
    key, value = (bytes(entry.first(name, b"")) for name in ("key", "value"))
    try:
        return key.decode(), value.decode()
    except UnicodeDecodeError:
        raise InputError("it is damaged: its metadata is not UTF-8") from None


def _operator(reader: Reader, part: memoryview, weights: Mapping[str, _Weights]) -> str:
    node = reader.read(part, _NODE)
    _check_domain(node)
    name: str = node.first("op_type", "")
    if name not in OPERATORS:
        raise InputError(f"it has the operator '{name}', which no network of autodenoise needs")
    for setting in node["attribute"]:
        _check_setting(name, reader.read(setting, _ATTRIBUTE))
    if name in _ROUNDING:
        _check_steps(reader, name, node["input"], weights)
    return name


def _check_steps(
    reader: Reader, operator: str, inputs: Sequence[str], weights: Mapping[str, _Weights]
) -> None:
    """Check how bytes are said to stand for numbers: the two ways that our own files have.

    A feature map has one scale, and zero among its steps 0 to 255. A kernel has a scale for each
    channel that it makes, along its first axis, and steps from -128 to 127.
    """
    value, scale, zero = ([weights.get(name) for name in inputs] + [None] * 3)[:3]
    if len(inputs) == 3 and scale is not None and zero is not None and scale.kind == _FLOAT32:
        scales = scale.content.cast("f")
        # Many operators may share them.
        reader.count(len(scales))
        if value is None:
            fits = zero.kind == _UINT8 and scale.axes == zero.axes == ()
        else:
            kernel = operator == "DequantizeLinear" and value.kind == zero.kind == _INT8
            fits = kernel and scale.axes == zero.axes == value.axes[:1]
        if fits and all(0 < number < math.inf for number in scales):
            return
    raise InputError(f"its {operator} has steps that no network of autodenoise needs")


def _check_domain(message: Message) -> None:
    if domain := message.first("domain", ""):
        raise InputError(f"it wants operators of '{domain}'; expected ONNX's own alone")


def _check_setting(operator: str, setting: Message) -> None:
    name = setting.first("name", "")
    numbers = [*setting["i"], *setting["ints"]]
    if not numbers and setting.first("type", 0) == _WHOLE_NUMBER:
        numbers = [0]  # what ONNX Runtime takes for one that is left out
    low, high = _SETTINGS_OF.get((operator, name), _SETTINGS.get(name, (0, -1)))
    if operator in _ROUNDING:
        low, high = 0, 0
    for number in numbers:
        if not low <= number <= high:
            raise InputError(
                f"its {operator} has {name} = {number}, which no network of autodenoise needs"
            )


def _weights(reader: Reader, part: memoryview) -> tuple[str, _Weights]:
    tensor = reader.read(part, _TENSOR)
    name, axes = tensor.first("name", ""), tensor["dims"]
    kind = tensor.first("data_type", 0)
    if kind not in _ITEM_SIZES:
        raise InputError(
            f"its weights '{name}' are of type {kind}; expected float32, int64 or 8 bits"
        )
    if len(axes) > _MOST_AXES or any(not 1 <= axis <= LARGEST for axis in axes):
        raise InputError(f"its weights '{name}' have an impossible shape")
    content = tensor.first("raw_data", memoryview(b""))
    needed, found = math.prod(axes) * _ITEM_SIZES[kind], len(content)
    if needed != found:
        raise InputError(
            f"its weights '{name}' need {needed:,} bytes by their shape and have {found:,}"
        )
    return name, _Weights(kind, tuple(axes), content)


def _tensor_type(reader: Reader, part: memoryview) -> tuple[int, _Shape]:
    kind = reader.read(reader.read(part, _VALUE).only("type"), _TYPE)
    tensor = reader.read(kind.only("tensor_type"), _TENSOR_TYPE)
    shape = reader.read(tensor.first("shape", memoryview(b"")), _SHAPE)
    sides = (reader.read(side, _SIDE).first("dim_value", None) for side in shape["dim"])
    return tensor.first("elem_type", 0), tuple(sides)


def _image_shape(reader: Reader, part: memoryview) -> _Shape:
    kind, shape = _tensor_type(reader, part)
    if kind != _FLOAT32 or len(shape) != 4:
        raise InputError("its network does not take and give float32 images (N, C, H, W)")
    return shape
