"""Model files that somebody has made in order to do harm, and files that chance has damaged."""

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
from tests.helpers.model_files import box_blur, rounded_blur

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def good(tmp_path: Path) -> Any:
    return onnx.load(box_blur(tmp_path / "box.onnx"))


def assert_refused(content: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says) as raised:
        model_file.inspect(content)
    assert str(raised.value).isprintable()


def test_it_sees_what_the_onnx_package_sees(good: Any) -> None:
    contents = model_file.inspect(good.SerializeToString())
    assert list(contents.operators) == [node.op_type for node in good.graph.node]
    assert contents.metadata == {entry.key: entry.value for entry in good.metadata_props}
    assert contents.shapes == ((None, 1, None, None), (None, 1, None, None))
    fixed = helper.make_tensor_value_info("noisy", TensorProto.FLOAT, ["n", 3, 28, 40])
    good.graph.input[0].CopyFrom(fixed)
    assert model_file.inspect(good.SerializeToString()).shapes[0] == (None, 3, 28, 40)


def foreign_operators(model: Any) -> None:
    model.graph.node[0].domain = "com.microsoft"


def foreign_operator_set(model: Any) -> None:
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))


def operator_of_no_use(model: Any) -> None:
    model.graph.node[0].op_type = "StringNormalizer"


def operator_with_a_message_for_the_terminal(model: Any) -> None:
    model.graph.node[0].op_type = "\x1b[31mConv"


def password_file(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def password_file_unmarked(model: Any) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")


def loop(model: Any) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["a"], ["b"], body=body))


def graph_in_a_setting(model: Any) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("body", body))


def tensor_in_a_setting(model: Any) -> None:
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


def weights_that_are_not_all_there(model: Any) -> None:
    model.graph.initializer[0].dims[0] = 2


def weights_with_many_axes(model: Any) -> None:
    model.graph.initializer[0].dims[:] = [1] * 100_000 + [9]


def weights_of_texts(model: Any) -> None:
    model.graph.initializer[0].data_type = TensorProto.STRING


def weights_of_one_name(model: Any) -> None:
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


def division_by_no_groups(model: Any) -> None:
    model.graph.node[0].op_type = "ConvTranspose"
    model.graph.node[0].attribute.append(helper.make_attribute("group", 0))


def division_by_groups_left_out(model: Any) -> None:
    model.graph.node[0].attribute.add(name="group", type=onnx.AttributeProto.INT)


def kernel_beyond_the_image(model: Any) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("dilations", [127, 1]))


def groups_of_another_operator(model: Any) -> None:
    model.graph.node[0].op_type = "ConvTranspose"
    model.graph.node[0].attribute.append(helper.make_attribute("group", 2))


def window_with_gaps(model: Any) -> None:
    model.graph.node[0].op_type = "MaxPool"
    model.graph.node[0].attribute.append(helper.make_attribute("dilations", [2, 2]))


def overflowing_blocks(model: Any) -> None:
    node = helper.make_node("DepthToSpace", ["noisy"], ["clean"], blocksize=2**62)
    model.graph.node[0].CopyFrom(node)


def endless_parts(model: Any) -> None:
    model.graph.node[0].input.extend([""] * 200_000)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (foreign_operators, "operators of 'com.microsoft'"),
        (foreign_operator_set, r"operators of 'ai\.onnx\.ml'"),
        (operator_of_no_use, "the operator 'StringNormalizer'"),
        (operator_with_a_message_for_the_terminal, "op_type is not printable"),
        (password_file, "weights has data in another file"),
        (password_file_unmarked, "weights has data in another file"),
        (loop, "the operator 'Loop'"),
        (graph_in_a_setting, "attribute has a graph"),
        (tensor_in_a_setting, "attribute has a tensor"),
        (functions, "model has functions"),
        (training, "training steps"),
        (sparse_weights, "sparse weights"),
        (huge_weights, "impossible shape"),
        (weights_of_negative_size, "impossible shape"),
        (weights_that_are_not_all_there, "have 36 bytes; expected 72 for their shape"),
        (weights_with_many_axes, "impossible shape"),
        (weights_of_texts, "data type 8; expected float32, int64, uint8 or int8"),
        (weights_of_one_name, "weights have the same name"),
        (two_inputs, "2 of input; expected 1"),
        (no_output, "0 of output; expected 1"),
        (input_of_another_type, "float32 images"),
        (input_that_is_a_sequence, "type has field 4"),
        (no_card, "no autodenoise card"),
        (division_by_no_groups, "group = 0"),
        (division_by_groups_left_out, "group = 0"),
        (kernel_beyond_the_image, "dilations = 127"),
        (groups_of_another_operator, "group = 2"),
        (window_with_gaps, "dilations = 2"),
        (overflowing_blocks, f"blocksize = {2**62}"),
        (endless_parts, "more than 200,000 fields"),
    ],
)
def test_what_no_denoiser_needs_is_refused(
    good: Any, spoil: Callable[[Any], None], says: str
) -> None:
    spoil(good)
    assert_refused(good.SerializeToString(), says)


@pytest.mark.parametrize(("group", "dilation"), [(1, 16), (7, 1), (65_536, 3)])
def test_groups_and_dilations_that_do_not_fit_end_no_process(
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
    with pytest.raises(InputError, match="cannot work on 8x8 pixels"):
        model.batch(np.zeros((1, 8, 8, 1), np.float32))


def test_what_readers_disagree_about_is_refused(good: Any) -> None:
    content = good.SerializeToString()
    again = onnx.ModelProto(graph=good.graph).SerializeToString()
    assert_refused(content + again, "graph occurs twice")
    assert_refused(content + b"\x30\x01", "doc_string has the wrong type")
    assert_refused(content + b"\x33\x34", "doc_string has the wrong type")
    assert_refused(content + b"\xfa\x3f\x00", "has field 1023")


def test_a_file_that_pretends_to_be_of_two_formats_is_refused(good: Any) -> None:
    # A field of 6 bytes in front brings the mark of the other format to where it is looked for.
    content = b"\x12\x06abORTM" + good.SerializeToString()
    onnx.load_from_string(content)
    with pytest.raises(Exception, match="ORT model verification failed"):
        onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert_refused(content, "ONNX Runtime's own format")


def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = box_blur(tmp_path / "box.onnx")
    monkeypatch.setattr(model_file, "MAX_BYTES", path.stat().st_size)
    model_file.read(path)
    monkeypatch.setattr(model_file, "MAX_BYTES", path.stat().st_size - 1)
    with pytest.raises(InputError, match="more than"):
        model_file.read(path)


def test_every_error_names_the_file(tmp_path: Path, good: Any) -> None:
    path = tmp_path / "spoilt.onnx"
    two_inputs(good)
    onnx.save(good, path)
    with pytest.raises(InputError, match=r"spoilt\.onnx is not a usable model file: its"):
        runtime.load(path)
    with pytest.raises(InputError, match=r"no such model file: .*none\.onnx"):
        model_file.read(tmp_path / "none.onnx")


def test_a_card_that_tells_of_other_images_is_refused(tmp_path: Path, good: Any) -> None:
    path = tmp_path / "spoilt.onnx"
    card = runtime.Card("box", "box", 3, 9, size=(28, 28))
    helper.set_model_props(good, {runtime.CARD_KEY: card.to_json()})
    onnx.save(good, path)
    says = (
        r"3 channel\(s\) and 28x28 pixels, but its network is for 1 channel\(s\) and anyxany pixels"
    )
    with pytest.raises(InputError, match=says):
        model_file.read(path)


def test_a_card_with_escape_sequences_never_reaches_a_terminal(tmp_path: Path, good: Any) -> None:
    path = tmp_path / "spoilt.onnx"
    card = runtime.Card("\x1b]0;mine\x07", "box", 1, 9)
    helper.set_model_props(good, {runtime.CARD_KEY: card.to_json()})
    onnx.save(good, path)
    with pytest.raises(InputError, match="card's name is") as raised:
        model_file.read(path)
    assert "\x1b" not in str(raised.value)


def test_a_network_that_gives_another_size_is_one_error(tmp_path: Path, good: Any) -> None:
    pads = next(item for item in good.graph.node[0].attribute if item.name == "pads")
    pads.ints[:] = [0, 0, 0, 0]
    onnx.save(good, tmp_path / "small.onnx")
    model = runtime.load(tmp_path / "small.onnx")
    with pytest.raises(InputError, match="answers an image of shape"):
        model.batch(np.zeros((1, 8, 8, 1), np.float32))


def test_the_bytes_that_were_checked_are_those_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = box_blur(tmp_path / "a.onnx"), box_blur(tmp_path / "b.onnx", radius=2)
    image = np.random.default_rng(0).random((1, 16, 16, 1), np.float32)
    expected = runtime.load(path).batch(image)
    read = model_file.read

    def swapped_behind_our_back(file: Path) -> tuple[bytes, runtime.Card]:
        checked = read(file)
        file.write_bytes(other.read_bytes())
        return checked

    monkeypatch.setattr(model_file, "read", swapped_behind_our_back)
    np.testing.assert_array_equal(runtime.load(path).batch(image), expected)


def test_nothing_is_run_while_loading(tmp_path: Path, good: Any) -> None:
    # 400 MB from a few hundred bytes, if its constants were worked out before there is an image.
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
        "def most(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = most()\n"
        "runtime.load(sys.argv[1])\n"
        "print((most() - before) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "bomb.onnx"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 100


def mutated(content: bytes, seed: int) -> bytes:
    chance, spoilt = random.Random(seed), bytearray(content)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(spoilt))
        match chance.randrange(4):
            case 0:
                spoilt[place] = chance.randrange(256)
            case 1:
                spoilt[place] ^= 1 << chance.randrange(8)
            case 2:
                del spoilt[place : place + chance.randint(1, 4)]
            case _:
                spoilt[place:place] = chance.randbytes(chance.randint(1, 4))
    return bytes(spoilt)


@pytest.mark.parametrize("write", [box_blur, rounded_blur])
def test_a_damaged_file_is_one_error_or_works(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    content = write(tmp_path / "box.onnx").read_bytes()
    path, image = tmp_path / "spoilt.onnx", np.full((1, 8, 8, 1), 0.5, np.float32)
    worked = refused = 0
    for seed in range(500):
        path.write_bytes(mutated(content, seed))
        try:
            assert runtime.load(path).batch(image).shape == image.shape
            worked += 1
        except InputError:
            refused += 1
    # Most hit something; some only the name of something.
    assert worked > 5
    assert refused > 300


def test_a_file_that_ends_too_early_is_one_error(good: Any) -> None:
    content = good.SerializeToString()
    for end in range(len(content)):
        with pytest.raises(InputError):
            model_file.inspect(content[:end])


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_one_error(content: bytes) -> None:
    with pytest.raises(InputError):
        model_file.inspect(content)


@settings(max_examples=200)
@given(st.data())
def test_any_bytes_inside_are_one_error_or_a_file_that_onnx_reads_alike(
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
    spoilt = content[:place] + inserted + content[place + removed :]
    try:
        contents = model_file.inspect(spoilt)
    except InputError:
        return
    seen = onnx.load_from_string(spoilt)
    assert list(contents.operators) == [node.op_type for node in seen.graph.node]
    assert contents.metadata == {entry.key: entry.value for entry in seen.metadata_props}
