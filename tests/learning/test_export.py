from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from autodenoise import nets, runtime
from autodenoise.errors import InputError, OutputError
from autodenoise.learning.export import export


def card(network: nets.Autoencoder, name: str) -> runtime.Card:
    return runtime.Card(
        name=f"my-{name}",
        network=name,
        channels=1,
        parameters=nets.parameter_count(network),
        size=(28, 28) if network.multiple is None else None,
        size_multiple=network.multiple or 1,
        halo=nets.halo(network),
        noise=[{"kind": "gaussian", "sigma": 0.4}],
    )


@pytest.mark.parametrize("name", list(nets.NETWORKS))
def test_the_model_file_equals_the_network(name: str, tmp_path: Path) -> None:
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


def test_a_network_in_training_is_left_as_it_was(tmp_path: Path) -> None:
    network = nets.build("conv", {}, torch.Generator().manual_seed(1)).train()
    before = [weight.clone() for weight in network.parameters()]
    export(network, card(network, "conv"), tmp_path / "model.onnx")
    assert network.training
    pairs = zip(network.parameters(), before, strict=True)
    assert all(torch.equal(weight, old) for weight, old in pairs)


def test_nothing_is_left_where_it_cannot_be_written(tmp_path: Path) -> None:
    network = nets.build("conv", {}, torch.Generator().manual_seed(1))
    with pytest.raises(OutputError):
        export(network, card(network, "conv"), tmp_path / "missing" / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_foreign_onnx_file_is_refused_for_its_missing_card(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "foreign", [value], [out])
    opset = onnx.helper.make_opsetid("", 20)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10), tmp_path / "a")
    with pytest.raises(InputError, match="no autodenoise card"):
        runtime.load(tmp_path / "a")
