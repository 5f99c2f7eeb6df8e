from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from autodenoise import files, metrics, nets, runtime
from autodenoise.errors import InputError, OutputError
from autodenoise.export.int8.equalization import ChannelRange, equalize
from autodenoise.export.int8.quantization import _inner_convolutions, quantize_model
from autodenoise.export.to_onnx import export
from autodenoise.images import IntensityRange
from autodenoise.runtime.session import onnxruntime
from autodenoise.runtime.tiling import denoise_rows, plan
from tests.helpers.exported_models import card, measured_bytes_per_pixel
from tests.helpers.model_files import box_blur

if TYPE_CHECKING:
    from numpy.typing import NDArray


def noisy(count: int, side: int, seed: int = 0) -> NDArray[np.float32]:
    """Return waves with noise of many strengths."""
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:side, 0:side]
    waves = [
        0.5 + 0.4 * np.sin(rows / draw.uniform(3, 30) + columns / draw.uniform(3, 30))
        for _ in range(3 * count)
    ]
    clean = np.stack(waves).reshape(count, 3, side, side).transpose(0, 2, 3, 1)
    strengths = draw.uniform(0, 0.2, (count, 1, 1, 1))
    return (clean + strengths * draw.normal(size=clean.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export a network with large residuals and different channels, as after training."""
    network = nets.build("unet", {"channels": 3}, torch.Generator().manual_seed(1))
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith(".second.weight"):
                weight.mul_(3)
            if name.endswith(".first.weight"):
                weight.mul_(torch.empty(len(weight), 1, 1, 1).uniform_(0.05, 1, generator=draw))
    path = tmp_path_factory.mktemp("models") / "whole.onnx"
    written = dataclasses.replace(card(network, "unet"), channels=3, scores={"loss": 0.1})
    export(network, written, path)
    return path


@pytest.fixture(scope="module")
def in_bytes(whole: Path) -> Path:
    path = whole.with_name("bytes.onnx")
    quantize_model(whole, path, noisy(8, 64), "8 waves")
    return path


def test_output_is_close_to_that_of_the_float32_file(whole: Path, in_bytes: Path) -> None:
    images = noisy(4, 96, seed=1)
    expected, output = (runtime.load(path).batch(images) for path in (whole, in_bytes))
    change = metrics.psnr(images.clip(0, 1), expected)
    assert change.max() < 25
    error = metrics.psnr(expected, output)
    assert error.min() > 42
    # Rounding the image itself to 8 bits would lose more.
    assert error.min() > change.max() + 15


def test_inner_convolutions_run_in_8_bits(in_bytes: Path, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(in_bytes), options, providers=["CPUExecutionProvider"])
    run = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert run.count("QLinearConv") == 10
    # The first, a residual block, and the last.
    assert sum(kind in ("Conv", "FusedConv") for kind in run) == 4
    assert "QLinearAdd" not in run


def test_grouped_convolutions_are_not_quantized() -> None:
    kinds = ["Conv", "Conv", "Conv", "Grouped", "Conv", "ConvTranspose", "Conv"]
    nodes = [
        onnx.helper.make_node(
            "Conv" if kind == "Grouped" else kind, [f"{place}", "w"], [f"{place + 1}"]
        )
        for place, kind in enumerate(kinds)
    ]
    nodes[3].attribute.append(onnx.helper.make_attribute("group", 2))
    graph = onnx.helper.make_graph(nodes, "seven", [], [])
    chosen = _inner_convolutions(onnx.helper.make_model(graph))
    assert [node.input[0] for node in chosen] == ["4"]


def test_weights_saturate_on_no_cpu(in_bytes: Path) -> None:
    kernels = [
        numpy_helper.to_array(tensor).astype(int)
        for tensor in onnx.load(in_bytes).graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4
    ]
    assert len(kernels) == 10
    for kernel in kernels:
        for layout in (kernel, kernel.transpose(0, 2, 3, 1)):
            rows = layout.reshape(len(kernel), -1)
            assert np.abs(rows[:, 1:] + rows[:, :-1]).max() <= 32767 // 255
        # But most of the steps are used.
        assert np.abs(kernel).max() > 60


def test_card_names_precision_parent_and_calibration(whole: Path, in_bytes: Path) -> None:
    before, after = runtime.load(whole).card, runtime.load(in_bytes).card
    assert before.precision == "float32"
    assert after == dataclasses.replace(
        before,
        name="my-unet-int8",
        precision="int8",
        parent=files.digest(whole),
        calibration="8 waves",
        scores={},
        bytes_per_pixel=after.bytes_per_pixel,
    )
    assert in_bytes.stat().st_size < whole.stat().st_size / 2.5


def test_memory_on_the_card_is_enough(in_bytes: Path) -> None:
    bytes_per_pixel = runtime.load(in_bytes).card.bytes_per_pixel
    assert bytes_per_pixel is not None
    assert (
        0.6 * bytes_per_pixel < measured_bytes_per_pixel(in_bytes, 3, 768) < 1.1 * bytes_per_pixel
    )


def test_quantization_is_deterministic(whole: Path, in_bytes: Path, tmp_path: Path) -> None:
    quantize_model(whole, tmp_path / "again.onnx", noisy(8, 64), "8 waves")
    assert (tmp_path / "again.onnx").read_bytes() == in_bytes.read_bytes()
    image = noisy(1, 64, seed=3)
    model = runtime.load(in_bytes)
    np.testing.assert_array_equal(model.batch(image), model.batch(image))


def test_tiles_are_invisible(in_bytes: Path) -> None:
    model = runtime.load(in_bytes)
    image = (noisy(1, 336)[0, :205, :330].clip(0, 1) * 255).astype(np.uint8)
    one, many = (
        np.concatenate(
            list(
                denoise_rows(
                    model,
                    plan(model.card, 205, 330, sample_bytes=3, memory=memory),
                    [image],
                    intensity_range=IntensityRange(0, 255),
                    strength=1,
                    channels=3,
                )
            )
        ).astype(int)
        for memory in (2**32, 9_000_000)
    )
    assert plan(model.card, 205, 330, sample_bytes=3, memory=9_000_000).tiles > 3
    assert np.abs(one - many).max() <= 1
    assert (one != many).mean() < 1e-3


def test_equalization_changes_weights_but_not_the_output(whole: Path, tmp_path: Path) -> None:
    model = onnx.load(whole)
    relu = next(node.output[0] for node in model.graph.node if node.op_type == "Relu")
    high = np.repeat(np.array([0, 1, 4, 16], np.float32), 8)
    before = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    ranges = equalize(model.graph, {relu: ChannelRange(np.zeros(32, np.float32), high)})
    np.testing.assert_allclose(ranges[relu].high, np.repeat([0, 4, 8, 16], 8))
    changed = [
        tensor.name
        for tensor in model.graph.initializer
        if not np.array_equal(before[tensor.name], numpy_helper.to_array(tensor))
    ]
    assert len(changed) == 2
    onnx.save(model, tmp_path / "equal.onnx")
    image = noisy(1, 64)
    one, other = (runtime.load(path).batch(image) for path in (whole, tmp_path / "equal.onnx"))
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_unsuitable_models_raise_input_error(in_bytes: Path, tmp_path: Path) -> None:
    target = tmp_path / "new.onnx"
    with pytest.raises(InputError, match=r"bytes\.onnx is in int8 already; use the float32 file"):
        quantize_model(in_bytes, target, noisy(1, 64), "")
    network = nets.build("dense", {}, torch.Generator().manual_seed(1))
    export(network, card(network, "dense"), tmp_path / "dense.onnx")
    for path in (tmp_path / "dense.onnx", box_blur(tmp_path / "box.onnx")):
        with pytest.raises(InputError, match="nothing to compute in 8 bits"):
            quantize_model(path, target, noisy(1, 64), "")
    with pytest.raises(InputError, match="no such model file"):
        quantize_model(tmp_path / "none.onnx", target, noisy(1, 64), "")
    assert not target.exists()


def test_failed_write_leaves_no_file(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        quantize_model(whole, tmp_path / "missing" / "new.onnx", noisy(1, 64), "")
    assert not list(tmp_path.iterdir())
