from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from autodenoise import nets, runtime
from autodenoise.errors import InputError, OutputError
from autodenoise.export.int8.quantization import quantize_model
from autodenoise.export.to_onnx import export
from autodenoise.images import IntensityRange
from autodenoise.nets.layered import SMALL
from autodenoise.runtime import model_file
from autodenoise.runtime.tiling import denoise_rows, plan
from tests.helpers.exported_models import card, measured_bytes_per_pixel


@pytest.mark.parametrize("name", list(nets.NETWORKS))
def test_model_file_has_the_output_of_the_network(name: str, tmp_path: Path) -> None:
    network = nets.build(name, {}, torch.Generator().manual_seed(1))
    written = card(network, name)
    export(network, written, tmp_path / "model.onnx")
    model = runtime.load(tmp_path / "model.onnx")
    assert model.card.bytes_per_pixel is not None
    assert dataclasses.replace(model.card, bytes_per_pixel=None) == written
    sizes = [(28, 28)] if network.multiple is None else [(24, 32), (8, 16), (40, 16)]
    for count, (height, width) in zip((1, 2, 7), sizes, strict=False):
        noisy = torch.randn(count, 1, height, width, generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            expected = network.denoise(noisy).clamp(0, 1).permute(0, 2, 3, 1).numpy()
        ours = model.batch(noisy.permute(0, 2, 3, 1).contiguous().numpy())
        np.testing.assert_allclose(ours, expected, atol=1e-5)
        assert ours.min() >= 0
        assert ours.max() <= 1


def test_tiles_of_a_network_are_invisible(tmp_path: Path) -> None:
    network = nets.build("unet", {"channels": 3}, torch.Generator().manual_seed(1))
    with torch.no_grad():
        # Large residuals, as after training.
        for name, weight in network.named_parameters():
            if name.endswith(".second.weight"):
                weight.mul_(3)
    written = dataclasses.replace(card(network, "unet"), channels=3)
    export(network, written, tmp_path / "model.onnx")
    model = runtime.load(tmp_path / "model.onnx")
    image = np.random.default_rng(0).integers(0, 256, (205, 330, 3), np.uint8)
    whole = plan(model.card, 205, 330, sample_bytes=3, memory=2**32)
    tiled = plan(model.card, 205, 330, sample_bytes=3, memory=9_000_000)
    assert whole.tiles == 1
    assert min(len(tiled.bands), len(tiled.columns)) > 1
    one, many = (
        np.concatenate(
            list(
                denoise_rows(
                    model,
                    cut,
                    [image],
                    intensity_range=IntensityRange(0, 255),
                    strength=1,
                    channels=3,
                )
            )
        ).astype(int)
        for cut in (whole, tiled)
    )
    assert np.abs(one - image).mean() > 5
    # A value halfway between two levels may round to either.
    assert np.abs(one - many).max() <= 1
    assert (one != many).mean() < 1e-3


@pytest.mark.parametrize(("halo", "multiple"), [(5, 4), (10, 2)])
def test_card_with_a_wrong_halo_is_never_written(halo: int, multiple: int, tmp_path: Path) -> None:
    network = nets.build("conv", {}, torch.Generator().manual_seed(1))
    wrong = dataclasses.replace(card(network, "conv"), halo=halo, size_multiple=multiple)
    with pytest.raises(RuntimeError, match="violates its halo"):
        export(network, wrong, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory as Linux counts it")
@pytest.mark.parametrize("name", ["unet", "conv"])
def test_memory_on_the_card_is_that_of_a_process(name: str, tmp_path: Path) -> None:
    network = nets.build(name, {}, torch.Generator().manual_seed(1))
    export(network, card(network, name), tmp_path / "model.onnx")
    bytes_per_pixel = runtime.load(tmp_path / "model.onnx").card.bytes_per_pixel
    assert bytes_per_pixel is not None
    # The margin is for copies of the input and output, which the card does not count.
    assert (
        0.6 * bytes_per_pixel
        < measured_bytes_per_pixel(tmp_path / "model.onnx", 1, 768)
        < 1.1 * bytes_per_pixel
    )


def test_export_does_not_change_the_network(tmp_path: Path) -> None:
    network = nets.build("conv", {}, torch.Generator().manual_seed(1)).train()
    before = [weight.clone() for weight in network.parameters()]
    export(network, card(network, "conv"), tmp_path / "model.onnx")
    assert network.training
    pairs = zip(network.parameters(), before, strict=True)
    assert all(torch.equal(weight, old) for weight, old in pairs)


def test_failed_write_leaves_no_file(tmp_path: Path) -> None:
    network = nets.build("conv", {}, torch.Generator().manual_seed(1))
    with pytest.raises(OutputError):
        export(network, card(network, "conv"), tmp_path / "missing" / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_onnx_file_without_a_card_is_refused(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "foreign", [value], [out])
    opset = onnx.helper.make_opsetid("", 20)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10), tmp_path / "a")
    with pytest.raises(InputError, match="no autodenoise card"):
        runtime.load(tmp_path / "a")


def test_networks_need_exactly_the_allowed_operators(tmp_path: Path) -> None:
    needed: set[str] = set()
    for name in nets.NETWORKS:
        network = nets.build(name, {}, torch.Generator().manual_seed(1))
        path = tmp_path / f"{name}.onnx"
        export(network, card(network, name), path)
        contents = model_file.inspect(path.read_bytes())
        model = onnx.load(path)
        assert list(contents.operators) == [node.op_type for node in model.graph.node]
        assert contents.metadata == {entry.key: entry.value for entry in model.metadata_props}
        needed |= set(contents.operators)
        # No paths of the machine that exported it.
        assert str(Path(nets.__file__).parent).encode() not in path.read_bytes()
    # Operators that only lists of layers use.
    layers = (
        *({"kind": kind} for kind in ("leaky-relu", "elu", "selu", "silu", "tanh")),
        {"kind": "average-pool", "kernel": [2, 2], "stride": [2, 2]},
        *SMALL[3:4],
        *SMALL[:2],
        {"kind": "conv", "channels_in": 8, "channels_out": 4, "kernel": [1, 1], "groups": 2},
        {"kind": "conv", "channels_in": 4, "channels_out": 1, "kernel": [1, 2], "dilation": [1, 2]},
        {"kind": "zeros", "pads": [0, 0, 2, 0]},
    )
    arguments = {"layers": layers, "multiple": 2}
    network = nets.build("layers", arguments, torch.Generator().manual_seed(1))
    export(network, card(network, "layers"), tmp_path / "layers.onnx")
    needed |= set(model_file.inspect((tmp_path / "layers.onnx").read_bytes()).operators)
    image = np.full((1, 32, 32, 1), 0.5, np.float32)
    quantize_model(tmp_path / "unet.onnx", tmp_path / "int8.onnx", image, "one image")
    needed |= set(model_file.inspect((tmp_path / "int8.onnx").read_bytes()).operators)
    assert needed == model_file.OPERATORS
