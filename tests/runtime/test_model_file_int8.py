"""Model files in 8 bits whose steps are not those of a denoiser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from autodenoise import runtime
from autodenoise.errors import InputError
from autodenoise.runtime import model_file
from tests.helpers.model_files import rounded_blur
from tests.runtime.test_model_file import assert_refused

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def in_bytes(tmp_path: Path) -> Any:
    return onnx.load(rounded_blur(tmp_path / "bytes.onnx"))


def weight(model: Any, name: str) -> Any:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def put(model: Any, name: str, values: Any) -> None:
    weight(model, name).CopyFrom(onnx.numpy_helper.from_array(np.asarray(values), name))


def no_zero(model: Any) -> None:
    del model.graph.node[0].input[2]


def steps_that_are_computed(model: Any) -> None:
    model.graph.node[0].input[1] = "exact"


def steps_of_the_image(model: Any) -> None:
    model.graph.node[4].input[1] = "noisy"


def zero_of_another_type(model: Any) -> None:
    put(model, "black", np.int8(0))


def zeros_without_end(model: Any) -> None:
    put(model, "black", np.zeros(1000, np.uint8))


def scale_with_many_axes(model: Any) -> None:
    put(model, "step", np.full((1, 1, 1), 0.1, np.float32))


def scale_of_whole_numbers(model: Any) -> None:
    put(model, "step", np.int64(1))


def scale_of_nothing(model: Any) -> None:
    put(model, "step", np.float32(0))


def scale_that_is_no_number(model: Any) -> None:
    put(model, "step", np.float32("nan"))


def scale_without_end(model: Any) -> None:
    put(model, "kernel.step", np.array([np.inf], np.float32))


def fewer_scales_than_channels(model: Any) -> None:
    put(model, "kernel", np.full((2, 1, 3, 3), 127, np.int8))


def kernel_without_sign(model: Any) -> None:
    put(model, "kernel", np.full((1, 1, 3, 3), 127, np.uint8))


def kernel_of_floats(model: Any) -> None:
    put(model, "kernel", np.full((1, 1, 3, 3), 127, np.float32))


def weights_that_are_rounded_while_running(model: Any) -> None:
    put(model, "kernel", np.full((1, 1, 3, 3), 127, np.float32))
    model.graph.node[2].op_type = "QuantizeLinear"


def another_axis(model: Any) -> None:
    model.graph.node[2].attribute[0].i = 1


def blocks(model: Any) -> None:
    model.graph.node[2].attribute.append(helper.make_attribute("block_size", 2**40))


def another_type_of_bytes(model: Any) -> None:
    kind = helper.make_attribute("output_dtype", int(TensorProto.FLOAT8E4M3FN))
    model.graph.node[0].attribute.append(kind)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (no_zero, "QuantizeLinear has a scale or zero point"),
        (steps_that_are_computed, "QuantizeLinear has a scale or zero point"),
        (steps_of_the_image, "QuantizeLinear has a scale or zero point"),
        (zero_of_another_type, "QuantizeLinear has a scale or zero point"),
        (zeros_without_end, "QuantizeLinear has a scale or zero point"),
        (scale_with_many_axes, "QuantizeLinear has a scale or zero point"),
        (scale_of_whole_numbers, "QuantizeLinear has a scale or zero point"),
        (scale_of_nothing, "QuantizeLinear has a scale or zero point"),
        (scale_that_is_no_number, "QuantizeLinear has a scale or zero point"),
        (scale_without_end, "DequantizeLinear has a scale or zero point"),
        (fewer_scales_than_channels, "DequantizeLinear has a scale or zero point"),
        (kernel_without_sign, "DequantizeLinear has a scale or zero point"),
        (kernel_of_floats, "DequantizeLinear has a scale or zero point"),
        (weights_that_are_rounded_while_running, "QuantizeLinear has a scale or zero point"),
        (another_axis, "axis = 1"),
        (blocks, f"block_size = {2**40}"),
        (another_type_of_bytes, "output_dtype = "),
    ],
)
def test_steps_that_no_denoiser_needs_are_refused(
    in_bytes: Any, spoil: Callable[[Any], None], says: str
) -> None:
    model_file.inspect(in_bytes.SerializeToString())
    spoil(in_bytes)
    assert_refused(in_bytes.SerializeToString(), says)


def test_scales_that_many_operators_share_are_parts_each_time(in_bytes: Any) -> None:
    channels = 60_000
    put(in_bytes, "kernel", np.ones((channels, 1, 1, 1), np.int8))
    put(in_bytes, "kernel.step", np.ones(channels, np.float32))
    put(in_bytes, "kernel.zero", np.zeros(channels, np.int8))
    model_file.inspect(in_bytes.SerializeToString())
    for number in range(3):
        again = onnx.NodeProto.FromString(in_bytes.graph.node[2].SerializeToString())
        again.output[0] = f"again {number}"
        in_bytes.graph.node.append(again)
    assert_refused(in_bytes.SerializeToString(), "more than 200,000 fields")


def test_bytes_that_are_read_as_others_are_one_error(tmp_path: Path, in_bytes: Any) -> None:
    in_bytes.graph.node[1].input[0] = "noisy"
    onnx.save(in_bytes, tmp_path / "odd.onnx")
    with pytest.raises(InputError, match=r"odd\.onnx is not a model file that can be run"):
        runtime.load(tmp_path / "odd.onnx")
