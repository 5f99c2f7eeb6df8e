"""Model files, which are checked before ONNX Runtime reads them.

An ONNX file is one protobuf message, ``ModelProto`` of `onnx.proto`_. It may contain much more than
a denoiser needs: loops, operators of other libraries, weights in any other file of the machine. And
ONNX Runtime does not check everything: a ``ConvTranspose`` with 0 groups crashes the process. So
the fields, operators and attributes that our networks need are listed here, and a file with
anything else is an error.

.. _onnx.proto: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from autodenoise.errors import InputError
from autodenoise.runtime.card import CARD_KEY, Card
from autodenoise.runtime.protobuf import Message, MessageReader, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["MAX_BYTES", "OPERATORS", "Contents", "inspect", "read", "read_card"]

MAX_BYTES: Final = 512 * 1024**2
"""The size limit of a model file: 134 million weights."""

OPERATORS: Final = frozenset(
    {"Conv", "ConvTranspose", "Gemm", "AveragePool", "MaxPool", "DepthToSpace", "Resize"}
    | {"Clip", "Elu", "LeakyRelu", "Relu", "Selu", "Sigmoid", "Tanh"}
    | {"Add", "Concat", "Div", "Mul", "Pad", "Reshape", "Shape", "Slice", "Transpose"}
    | {"DequantizeLinear", "QuantizeLinear"}
)
"""The operators of our networks; all are standard ONNX."""

_MAX_AXES = 8

_ATTRIBUTE_RANGES = {
    **dict.fromkeys(("dilations", "group"), (1, 1)),
    **dict.fromkeys(("blocksize", "strides"), (1, 16)),
    "kernel_shape": (1, 64),
    **dict.fromkeys(("output_padding", "pads"), (0, 64)),
    **dict.fromkeys(("axis", "end", "perm", "start"), (-_MAX_AXES, _MAX_AXES)),
    **dict.fromkeys(("allowzero", "antialias", "ceil_mode", "count_include_pad"), (0, 1)),
    **dict.fromkeys(("exclude_outside", "storage_order", "transA", "transB"), (0, 1)),
}
"""The lowest and highest value of each integer attribute.

ONNX Runtime does not check all of them: 0 groups, or a dilated kernel far larger than the image,
crash the process.
"""

_OPERATOR_RANGES = {("Conv", "dilations"): (1, 16), ("Conv", "group"): (1, 65_536)}
"""Wider ranges for one operator; ONNX Runtime checks both attributes of a convolution."""

_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
"""Operators whose only attribute is an axis, which must be 0."""

_INT_ATTRIBUTE = 2
"""``AttributeProto.INT``."""

_FLOAT32, _UINT8, _INT8, _INT64 = 1, 2, 3, 7
_ITEM_SIZES = {_FLOAT32: 4, _UINT8: 1, _INT8: 1, _INT64: 8}
"""Bytes per value, by ``TensorProto.DataType``."""

# The messages of onnx.proto, with the fields that our exporter writes and descriptive texts.
_MODEL = Schema(
    "model",
    """
    int ir_version = 1; bytes producer_name = 2; bytes producer_version = 3; bytes domain = 4;
    int model_version = 5; bytes doc_string = 6; message graph = 7;
    repeated message opset_import = 8; repeated message metadata_props = 14;
    """,
    {20: "training steps", 25: "functions"},
)
_OPERATOR_SET = Schema("operator set", "string domain = 1; int version = 2;")
_METADATA = Schema("metadata", "bytes key = 1; bytes value = 2;")
_GRAPH = Schema(
    "network",
    """
    repeated message node = 1; string name = 2; repeated message initializer = 5;
    bytes doc_string = 10; repeated message input = 11; repeated message output = 12;
    repeated message value_info = 13; repeated message metadata_props = 16;
    """,
    {15: "sparse weights"},
)
_NODE = Schema(
    "operator",
    """
    repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
    repeated message attribute = 5; bytes doc_string = 6; string domain = 7;
    repeated message metadata_props = 9;
    """,
)
_ATTRIBUTE = Schema(
    "operator's attribute",
    """
    string name = 1; float f = 2; int i = 3; string s = 4; repeated int ints = 8;
    bytes doc_string = 13; int type = 20;
    """,
    dict.fromkeys((5, 10, 22, 23), "a tensor") | dict.fromkeys((6, 11), "a graph"),
)
_TENSOR = Schema(
    "weights",
    """
    repeated int dims = 1; int data_type = 2; string name = 8; bytes raw_data = 9;
    bytes doc_string = 12; repeated message metadata_props = 16;
    """,
    dict.fromkeys((13, 14), "data in another file"),
)
_VALUE = Schema(
    "value",
    """
    string name = 1; message type = 2; bytes doc_string = 3; repeated message metadata_props = 4;
    """,
)
_TYPE = Schema("type", "message tensor_type = 1; string denotation = 6;")
_TENSOR_TYPE = Schema("tensor type", "int elem_type = 1; message shape = 2;")
_SHAPE = Schema("shape", "repeated message dim = 1;")
_DIMENSION = Schema("dimension", "int dim_value = 1; string dim_param = 2; string denotation = 3;")

_Shape = tuple[int | None, ...]


class _Weights(NamedTuple):
    data_type: int
    shape: tuple[int, ...]
    content: memoryview


@dataclass(frozen=True)
class Contents:
    """The contents of a model file, except for its weights."""

    operators: tuple[str, ...]  # of each node, in order
    metadata: dict[str, str]  # one is the card
    shapes: tuple[_Shape, _Shape]  # (N, C, H, W) of the input and the output; None: any


def read(path: Path) -> tuple[bytes, Card]:
    """Read a model file from an untrusted source, and return its content and its card.

    Run these bytes and not the file, which may have changed since. The card's channels and size
    agree with the network. Raises `InputError` if the file is missing or damaged, has no card, or
    contains more than a denoiser needs.
    """
    if not path.is_file():
        raise InputError(f"no such model file: {path}")
    try:
        with path.open("rb") as file:
            # One byte more than allowed shows that the file is too large.
            content = file.read(min(path.stat().st_size, MAX_BYTES + 1))
        contents = inspect(content)
        card = Card.from_json(contents.metadata[CARD_KEY])
        _check_shapes(card, contents.shapes)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except InputError as error:
        raise InputError(f"{path} is not a usable model file: {error}") from None
    return content, card


def read_card(path: Path) -> Card:
    """Check a model file and return its card; see `read`."""
    return read(path)[1]


def _check_shapes(card: Card, shapes: tuple[_Shape, _Shape]) -> None:
    expected = (card.channels, *(card.size or (None, None)))
    for shape in shapes:
        if shape[1:] != expected:
            raise InputError(
                f"its card is for images of {_shape_text(expected)}, "
                f"but its network is for {_shape_text(shape[1:])}"
            )


def _shape_text(image: _Shape) -> str:
    channels, height, width = ("any" if side is None else side for side in image)
    return f"{channels} channel(s) and {width}x{height} pixels"


def inspect(content: bytes) -> Contents:
    """Check the bytes of a model file, and return their contents; see `read`.

    The time is proportional to the number of fields, which is limited. Weights are not copied.
    """
    if len(content) > MAX_BYTES:
        raise InputError(f"it has more than {MAX_BYTES:,} bytes")
    # ONNX Runtime reads files with this mark as its own format, even if they are valid ONNX.
    if content[4:8] == b"ORTM":
        raise InputError("it is in ONNX Runtime's own format; expected ONNX")
    reader = MessageReader()
    model = reader.read(memoryview(content), _MODEL)
    metadata = dict(_metadata(reader, part) for part in model["metadata_props"])
    if CARD_KEY not in metadata:
        raise InputError("it has no autodenoise card; expected a file written by autodenoise")
    for part in model["opset_import"]:
        _check_domain(reader.read(part, _OPERATOR_SET))
    graph = reader.read(model.only("graph"), _GRAPH)
    weights = dict(_weights(reader, part) for part in graph["initializer"])
    if len(weights) < len(graph["initializer"]):
        raise InputError("two of its weights have the same name")
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


def _metadata(reader: MessageReader, part: memoryview) -> tuple[str, str]:
    entry = reader.read(part, _METADATA)
    key, value = (bytes(entry.first(name, b"")) for name in ("key", "value"))
    try:
        return key.decode(), value.decode()
    except UnicodeDecodeError:
        raise InputError("it is damaged: its metadata is not UTF-8") from None


def _operator(reader: MessageReader, part: memoryview, weights: Mapping[str, _Weights]) -> str:
    node = reader.read(part, _NODE)
    _check_domain(node)
    operator: str = node.first("op_type", "")
    if operator not in OPERATORS:
        raise InputError(f"it uses the operator '{operator}', which is not supported")
    for attribute in node["attribute"]:
        _check_attribute(operator, reader.read(attribute, _ATTRIBUTE))
    if operator in _QUANTIZERS:
        _check_scales(reader, operator, node["input"], weights)
    return operator


def _check_scales(
    reader: MessageReader, operator: str, inputs: Sequence[str], weights: Mapping[str, _Weights]
) -> None:
    """Check the scale and zero point of a quantizer: our own files use two schemes.

    Feature maps are uint8, with one scale and one zero point. Kernels are int8, with a scale and a
    zero point for each output channel, which is their first axis.
    """
    value, scale, zero = ([weights.get(name) for name in inputs] + [None] * 3)[:3]
    if len(inputs) == 3 and scale is not None and zero is not None and scale.data_type == _FLOAT32:
        scales = scale.content.cast("f")
        # Many operators may share the same scales.
        reader.count(len(scales))
        if value is None:
            valid = zero.data_type == _UINT8 and scale.shape == zero.shape == ()
        else:
            kernel = operator == "DequantizeLinear" and value.data_type == zero.data_type == _INT8
            valid = kernel and scale.shape == zero.shape == value.shape[:1]
        if valid and all(0 < number < math.inf for number in scales):
            return
    raise InputError(f"its {operator} has a scale or zero point that is not supported")


def _check_domain(message: Message) -> None:
    if domain := message.first("domain", ""):
        raise InputError(f"it uses operators of '{domain}'; expected standard ONNX operators only")


def _check_attribute(operator: str, attribute: Message) -> None:
    name = attribute.first("name", "")
    numbers = [*attribute["i"], *attribute["ints"]]
    if not numbers and attribute.first("type", 0) == _INT_ATTRIBUTE:
        numbers = [0]  # ONNX Runtime's default for a missing value
    low, high = _OPERATOR_RANGES.get((operator, name), _ATTRIBUTE_RANGES.get(name, (0, -1)))
    if operator in _QUANTIZERS:
        low, high = 0, 0
    for number in numbers:
        if not low <= number <= high:
            raise InputError(f"its {operator} has {name} = {number}, which is not supported")


def _weights(reader: MessageReader, part: memoryview) -> tuple[str, _Weights]:
    tensor = reader.read(part, _TENSOR)
    name, shape = tensor.first("name", ""), tensor["dims"]
    data_type = tensor.first("data_type", 0)
    if data_type not in _ITEM_SIZES:
        raise InputError(
            f"its weights '{name}' have data type {data_type}; expected float32, int64, uint8 or "
            "int8"
        )
    if len(shape) > _MAX_AXES or any(not 1 <= side <= MAX_BYTES for side in shape):
        raise InputError(f"its weights '{name}' have an impossible shape")
    content = tensor.first("raw_data", memoryview(b""))
    expected, found = math.prod(shape) * _ITEM_SIZES[data_type], len(content)
    if expected != found:
        raise InputError(
            f"its weights '{name}' have {found:,} bytes; expected {expected:,} for their shape"
        )
    return name, _Weights(data_type, tuple(shape), content)


def _tensor_type(reader: MessageReader, part: memoryview) -> tuple[int, _Shape]:
    value_type = reader.read(reader.read(part, _VALUE).only("type"), _TYPE)
    tensor = reader.read(value_type.only("tensor_type"), _TENSOR_TYPE)
    shape = reader.read(tensor.first("shape", memoryview(b"")), _SHAPE)
    sides = (reader.read(side, _DIMENSION).first("dim_value", None) for side in shape["dim"])
    return tensor.first("elem_type", 0), tuple(sides)


def _image_shape(reader: MessageReader, part: memoryview) -> _Shape:
    data_type, shape = _tensor_type(reader, part)
    if data_type != _FLOAT32 or len(shape) != 4:
        raise InputError("its network must have float32 images (N, C, H, W) as input and output")
    return shape
