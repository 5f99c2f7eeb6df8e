"""Malicious and damaged model files."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from autodenoise import runtime
from autodenoise.errors import InputError
from autodenoise.runtime import model_file
from autodenoise.runtime.session import onnxruntime
from tests.helpers.model_files import assert_input_error, box_blur, int8_blur

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def good(tmp_path: Path) -> Any:
    return onnx.load(box_blur(tmp_path / "box.onnx"))


def test_contents_agree_with_the_onnx_package(good: Any) -> None:
    contents = model_file.inspect(good.SerializeToString())
    assert list(contents.operators) == [node.op_type for node in good.graph.node]
    assert contents.metadata == {entry.key: entry.value for entry in good.metadata_props}
    assert contents.shapes == ((None, 1, None, None), (None, 1, None, None))
    fixed = helper.make_tensor_value_info("noisy", TensorProto.FLOAT, ["n", 3, 28, 40])
    good.graph.input[0].CopyFrom(fixed)
    assert model_file.inspect(good.SerializeToString()).shapes[0] == (None, 3, 28, 40)


def operators_of_another_domain(model: Any) -> None:
    model.graph.node[0].domain = "com.microsoft"


def operator_set_of_another_domain(model: Any) -> None:
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))


def unsupported_operator(model: Any) -> None:
    model.graph.node[0].op_type = "StringNormalizer"


def operator_with_escape_sequence(model: Any) -> None:
    model.graph.node[0].op_type = "\x1b[31mConv"


def external_file(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def external_file_unmarked(model: Any) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")


def loop(model: Any) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["a"], ["b"], body=body))


def graph_in_an_attribute(model: Any) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("body", body))


def tensor_in_an_attribute(model: Any) -> None:
    value = helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])
    model.graph.node[0].attribute.append(helper.make_attribute("value", value))


def functions(model: Any) -> None:
    model.functions.append(helper.make_function("mine", "Conv", [], [], [], []))


def training(model: Any) -> None:
    model.training_info.add()


def sparse_weights(model: Any) -> None:
    model.graph.sparse_initializer.add()


def huge_weights(model: Any) -> None:
    model.graph.initializer[0].dims[:] = [2**31, 2**31, 2**31, 2**31]


def weights_of_negative_size(model: Any) -> None:
    model.graph.initializer[0].dims[:] = [-3, -3]


def truncated_weights(model: Any) -> None:
    model.graph.initializer[0].dims[0] = 2


def weights_with_many_axes(model: Any) -> None:
    model.graph.initializer[0].dims[:] = [1] * 100_000 + [9]


def weights_of_strings(model: Any) -> None:
    model.graph.initializer[0].data_type = TensorProto.STRING


def weights_with_the_same_name(model: Any) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def two_inputs(model: Any) -> None:
    model.graph.input.append(model.graph.input[0])


def no_output(model: Any) -> None:
    del model.graph.output[:]


def input_of_another_type(model: Any) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def input_that_is_a_sequence(model: Any) -> None:
    inner = helper.make_tensor_sequence_value_info("noisy", TensorProto.FLOAT, [1])
    model.graph.input[0].CopyFrom(inner)


def no_card(model: Any) -> None:
    del model.metadata_props[:]


def zero_groups(model: Any) -> None:
    model.graph.node[0].op_type = "ConvTranspose"
    model.graph.node[0].attribute.append(helper.make_attribute("group", 0))


def missing_groups(model: Any) -> None:
    model.graph.node[0].attribute.add(name="group", type=onnx.AttributeProto.INT)


def too_large_dilation(model: Any) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("dilations", [127, 1]))


def groups_of_a_transposed_convolution(model: Any) -> None:
    model.graph.node[0].op_type = "ConvTranspose"
    model.graph.node[0].attribute.append(helper.make_attribute("group", 2))


def dilated_pooling(model: Any) -> None:
    model.graph.node[0].op_type = "MaxPool"
    model.graph.node[0].attribute.append(helper.make_attribute("dilations", [2, 2]))


def overflowing_blocks(model: Any) -> None:
    node = helper.make_node("DepthToSpace", ["noisy"], ["clean"], blocksize=2**62)
    model.graph.node[0].CopyFrom(node)


def too_many_fields(model: Any) -> None:
    model.graph.node[0].input.extend([""] * 200_000)


def too_many_empty_messages(model: Any) -> None:
    model.graph.value_info.extend([onnx.ValueInfoProto()] * 200_000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (operators_of_another_domain, "operators of 'com.microsoft'"),
        (operator_set_of_another_domain, r"operators of 'ai\.onnx\.ml'"),
        (unsupported_operator, "the operator 'StringNormalizer'"),
        (operator_with_escape_sequence, "op_type is not printable"),
        (external_file, "weights has data in another file"),
        (external_file_unmarked, "weights has data in another file"),
        (loop, "the operator 'Loop'"),
        (graph_in_an_attribute, "attribute has a graph"),
        (tensor_in_an_attribute, "attribute has a tensor"),
        (functions, "model has functions"),
        (training, "training steps"),
        (sparse_weights, "sparse weights"),
        (huge_weights, "impossible shape"),
        (weights_of_negative_size, "impossible shape"),
        (truncated_weights, "have 36 bytes; expected 72 for their shape"),
        (weights_with_many_axes, "impossible shape"),
        (weights_of_strings, "data type 8; expected float32, int64, uint8 or int8"),
        (weights_with_the_same_name, "weights have the same name"),
        (two_inputs, "2 of input; expected 1"),
        (no_output, "0 of output; expected 1"),
        (input_of_another_type, "float32 images"),
        (input_that_is_a_sequence, "type has field 4"),
        (no_card, "no autodenoise card"),
        (zero_groups, "group = 0"),
        (missing_groups, "group = 0"),
        (too_large_dilation, "dilations = 127"),
        (groups_of_a_transposed_convolution, "group = 2"),
        (dilated_pooling, "dilations = 2"),
        (overflowing_blocks, f"blocksize = {2**62}"),
        (too_many_fields, "more than 200,000 fields"),
        (too_many_empty_messages, "more than 200,000 fields"),
    ],
)
def test_unsupported_contents_are_errors(
    good: Any, change: Callable[[Any], None], message: str
) -> None:
    change(good)
    assert_input_error(good.SerializeToString(), message)


@pytest.mark.parametrize(("group", "dilation"), [(1, 16), (7, 1), (65_536, 3)])
def test_wrong_groups_and_dilations_do_not_crash_the_process(
    tmp_path: Path, good: Any, group: int, dilation: int
) -> None:
    good.graph.node[0].attribute.extend(
        [
            helper.make_attribute("group", group),
            helper.make_attribute("dilations", [dilation, dilation]),
        ]
    )
    onnx.save(good, tmp_path / "odd.onnx")
    model = runtime.load(tmp_path / "odd.onnx")
    with pytest.raises(InputError, match="cannot process 8x8 pixels"):
        model.batch(np.zeros((1, 8, 8, 1), np.float32))


def test_ambiguous_encodings_are_errors(good: Any) -> None:
    content = good.SerializeToString()
    again = onnx.ModelProto(graph=good.graph).SerializeToString()
    assert_input_error(content + again, "graph occurs twice")
    assert_input_error(content + b"\x30\x01", "doc_string has the wrong type")
    assert_input_error(content + b"\x33\x34", "doc_string has the wrong type")
    assert_input_error(content + b"\xfa\x3f\x00", "has field 1023")


def test_file_that_is_valid_in_two_formats_is_an_error(good: Any) -> None:
    # A field of 6 bytes moves the mark of the other format to the expected position.
    content = b"\x12\x06abORTM" + good.SerializeToString()
    onnx.load_from_string(content)
    with pytest.raises(Exception, match="ORT model verification failed"):
        onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert_input_error(content, "ONNX Runtime's own format")


def test_too_large_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = box_blur(tmp_path / "box.onnx")
    monkeypatch.setattr(model_file, "MAX_BYTES", path.stat().st_size)
    model_file.read(path)
    monkeypatch.setattr(model_file, "MAX_BYTES", path.stat().st_size - 1)
    with pytest.raises(InputError, match="more than"):
        model_file.read(path)


def test_errors_name_the_file(tmp_path: Path, good: Any) -> None:
    path = tmp_path / "damaged.onnx"
    two_inputs(good)
    onnx.save(good, path)
    with pytest.raises(InputError, match=r"damaged\.onnx is not a usable model file: its"):
        runtime.load(path)
    with pytest.raises(InputError, match=r"no such model file: .*none\.onnx"):
        model_file.read(tmp_path / "none.onnx")


def test_card_and_network_with_different_shapes_are_an_error(tmp_path: Path, good: Any) -> None:
    path = tmp_path / "damaged.onnx"
    card = runtime.Card("box", "box", 3, 9, size=(28, 28))
    helper.set_model_props(good, {runtime.CARD_KEY: card.to_json()})
    onnx.save(good, path)
    message = (
        r"3 channel\(s\) and 28x28 pixels, but its network is for 1 channel\(s\) and anyxany pixels"
    )
    with pytest.raises(InputError, match=message):
        model_file.read(path)


def test_escape_sequences_in_a_card_are_not_printed(tmp_path: Path, good: Any) -> None:
    path = tmp_path / "damaged.onnx"
    card = runtime.Card("\x1b]0;mine\x07", "box", 1, 9)
    helper.set_model_props(good, {runtime.CARD_KEY: card.to_json()})
    onnx.save(good, path)
    with pytest.raises(InputError, match="card's name is") as raised:
        model_file.read(path)
    assert "\x1b" not in str(raised.value)


def test_output_of_another_size_is_an_error(tmp_path: Path, good: Any) -> None:
    pads = next(item for item in good.graph.node[0].attribute if item.name == "pads")
    pads.ints[:] = [0, 0, 0, 0]
    onnx.save(good, tmp_path / "small.onnx")
    model = runtime.load(tmp_path / "small.onnx")
    with pytest.raises(InputError, match="returns shape"):
        model.batch(np.zeros((1, 8, 8, 1), np.float32))


def test_checked_bytes_are_run_even_if_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = box_blur(tmp_path / "a.onnx"), box_blur(tmp_path / "b.onnx", radius=2)
    image = np.random.default_rng(0).random((1, 16, 16, 1), np.float32)
    expected = runtime.load(path).batch(image)
    read = model_file.read

    def read_and_replace_file(file: Path) -> tuple[bytes, runtime.Card]:
        checked = read(file)
        file.write_bytes(other.read_bytes())
        return checked

    monkeypatch.setattr(model_file, "read", read_and_replace_file)
    np.testing.assert_array_equal(runtime.load(path).batch(image), expected)


def test_loading_runs_no_operators(tmp_path: Path, good: Any) -> None:
    # Constant folding would turn a few hundred bytes into 400 MB.
    scales = np.array([1, 1, 3333, 3333], np.float32)
    good.graph.initializer.append(onnx.numpy_helper.from_array(scales, "scales"))
    good.graph.node[0].output[0] = "mean"
    good.graph.node.extend(
        [
            helper.make_node("Resize", ["kernel", "", "scales"], ["large"], mode="nearest"),
            helper.make_node(
                "MaxPool", ["large"], ["small"], kernel_shape=[64, 64], strides=[16, 16]
            ),
            helper.make_node("Add", ["mean", "small"], ["clean"]),
        ]
    )
    onnx.save(good, tmp_path / "bomb.onnx")
    program = (
        "import resource, sys\n"
        "from autodenoise import runtime\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "runtime.load(sys.argv[1])\n"
        "print((peak() - before) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "bomb.onnx"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 100


def mutated(content: bytes, seed: int) -> bytes:
    chance, damaged = random.Random(seed), bytearray(content)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(damaged))
        match chance.randrange(4):
            case 0:
                damaged[place] = chance.randrange(256)
            case 1:
                damaged[place] ^= 1 << chance.randrange(8)
            case 2:
                del damaged[place : place + chance.randint(1, 4)]
            case _:
                damaged[place:place] = chance.randbytes(chance.randint(1, 4))
    return bytes(damaged)


@pytest.mark.parametrize("write", [box_blur, int8_blur])
def test_mutated_file_works_or_is_an_input_error(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    content = write(tmp_path / "box.onnx").read_bytes()
    path, image = tmp_path / "damaged.onnx", np.full((1, 8, 8, 1), 0.5, np.float32)
    worked = refused = 0
    for seed in range(500):
        path.write_bytes(mutated(content, seed))
        try:
            assert runtime.load(path).batch(image).shape == image.shape
            worked += 1
        except InputError:
            refused += 1
    # Most mutations damage the file; some change only a name.
    assert worked > 5
    assert refused > 300


def test_truncated_file_is_an_input_error(good: Any) -> None:
    content = good.SerializeToString()
    for end in range(len(content)):
        with pytest.raises(InputError):
            model_file.inspect(content[:end])


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_an_input_error(content: bytes) -> None:
    with pytest.raises(InputError):
        model_file.inspect(content)


@settings(max_examples=200)
@given(st.data())
def test_inserted_bytes_are_an_input_error_or_read_as_by_onnx(
    data: st.DataObject,
) -> None:
    kernel = np.full((1, 1, 3, 3), 1 / 9, np.float32)
    shape = helper.make_tensor_value_info("noisy", TensorProto.FLOAT, ["n", 1, "h", "w"])
    graph = helper.make_graph(
        [helper.make_node("Conv", ["noisy", "kernel"], ["clean"], pads=[1] * 4)],
        "box",
        [shape],
        [shape],
        [onnx.numpy_helper.from_array(kernel, "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    helper.set_model_props(model, {runtime.CARD_KEY: "{}"})
    content = model.SerializeToString()
    place = data.draw(st.integers(0, len(content)))
    inserted, removed = data.draw(st.binary(max_size=6)), data.draw(st.integers(0, 6))
    damaged = content[:place] + inserted + content[place + removed :]
    try:
        contents = model_file.inspect(damaged)
    except InputError:
        return
    seen = onnx.load_from_string(damaged)
    assert list(contents.operators) == [node.op_type for node in seen.graph.node]
    assert contents.metadata == {entry.key: entry.value for entry in seen.metadata_props}
