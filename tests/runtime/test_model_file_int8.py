"""8-bit model files with unsupported quantization."""

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
from tests.helpers.model_files import assert_input_error, int8_blur

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def int8_model(tmp_path: Path) -> Any:
    return onnx.load(int8_blur(tmp_path / "bytes.onnx"))


def weight(model: Any, name: str) -> Any:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def set_weight(model: Any, name: str, values: Any) -> None:
    weight(model, name).CopyFrom(onnx.numpy_helper.from_array(np.asarray(values), name))


def missing_zero_point(model: Any) -> None:
    del model.graph.node[0].input[2]


def computed_scale(model: Any) -> None:
    model.graph.node[0].input[1] = "exact"


def scale_from_the_image(model: Any) -> None:
    model.graph.node[4].input[1] = "noisy"


def zero_point_of_another_type(model: Any) -> None:
    set_weight(model, "black", np.int8(0))


def too_many_zero_points(model: Any) -> None:
    set_weight(model, "black", np.zeros(1000, np.uint8))


def scale_with_many_axes(model: Any) -> None:
    set_weight(model, "step", np.full((1, 1, 1), 0.1, np.float32))


def integer_scale(model: Any) -> None:
    set_weight(model, "step", np.int64(1))


def zero_scale(model: Any) -> None:
    set_weight(model, "step", np.float32(0))


def nan_scale(model: Any) -> None:
    set_weight(model, "step", np.float32("nan"))


def infinite_scale(model: Any) -> None:
    set_weight(model, "kernel.step", np.array([np.inf], np.float32))


def fewer_scales_than_channels(model: Any) -> None:
    set_weight(model, "kernel", np.full((2, 1, 3, 3), 127, np.int8))


def unsigned_kernel(model: Any) -> None:
    set_weight(model, "kernel", np.full((1, 1, 3, 3), 127, np.uint8))


def float_kernel(model: Any) -> None:
    set_weight(model, "kernel", np.full((1, 1, 3, 3), 127, np.float32))


def weights_quantized_at_run_time(model: Any) -> None:
    set_weight(model, "kernel", np.full((1, 1, 3, 3), 127, np.float32))
    model.graph.node[2].op_type = "QuantizeLinear"


def another_axis(model: Any) -> None:
    model.graph.node[2].attribute[0].i = 1


def block_size(model: Any) -> None:
    model.graph.node[2].attribute.append(helper.make_attribute("block_size", 2**40))


def another_output_type(model: Any) -> None:
    kind = helper.make_attribute("output_dtype", int(TensorProto.FLOAT8E4M3FN))
    model.graph.node[0].attribute.append(kind)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (missing_zero_point, "QuantizeLinear has a scale or zero point"),
        (computed_scale, "QuantizeLinear has a scale or zero point"),
        (scale_from_the_image, "QuantizeLinear has a scale or zero point"),
        (zero_point_of_another_type, "QuantizeLinear has a scale or zero point"),
        (too_many_zero_points, "QuantizeLinear has a scale or zero point"),
        (scale_with_many_axes, "QuantizeLinear has a scale or zero point"),
        (integer_scale, "QuantizeLinear has a scale or zero point"),
        (zero_scale, "QuantizeLinear has a scale or zero point"),
        (nan_scale, "QuantizeLinear has a scale or zero point"),
        (infinite_scale, "DequantizeLinear has a scale or zero point"),
        (fewer_scales_than_channels, "DequantizeLinear has a scale or zero point"),
        (unsigned_kernel, "DequantizeLinear has a scale or zero point"),
        (float_kernel, "DequantizeLinear has a scale or zero point"),
        (weights_quantized_at_run_time, "QuantizeLinear has a scale or zero point"),
        (another_axis, "axis = 1"),
        (block_size, f"block_size = {2**40}"),
        (another_output_type, "output_dtype = "),
    ],
)
def test_unsupported_quantization_is_an_error(
    int8_model: Any, change: Callable[[Any], None], message: str
) -> None:
    model_file.inspect(int8_model.SerializeToString())
    change(int8_model)
    assert_input_error(int8_model.SerializeToString(), message)


def test_shared_scales_count_for_each_operator(int8_model: Any) -> None:
    channels = 60_000
    set_weight(int8_model, "kernel", np.ones((channels, 1, 1, 1), np.int8))
    set_weight(int8_model, "kernel.step", np.ones(channels, np.float32))
    set_weight(int8_model, "kernel.zero", np.zeros(channels, np.int8))
    model_file.inspect(int8_model.SerializeToString())
    for number in range(3):
        again = onnx.NodeProto.FromString(int8_model.graph.node[2].SerializeToString())
        again.output[0] = f"again {number}"
        int8_model.graph.node.append(again)
    assert_input_error(int8_model.SerializeToString(), "more than 200,000 fields")


def test_tensor_of_the_wrong_type_is_an_error(tmp_path: Path, int8_model: Any) -> None:
    int8_model.graph.node[1].input[0] = "noisy"
    onnx.save(int8_model, tmp_path / "odd.onnx")
    with pytest.raises(InputError, match=r"ONNX Runtime cannot load .*odd\.onnx"):
        runtime.load(tmp_path / "odd.onnx")
