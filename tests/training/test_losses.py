from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from autodenoise import nets
from autodenoise.training.losses import charbonnier, loss_for, mean_squared_error
from autodenoise.training.phases import Phase


def test_loss_is_compiled_with_the_network_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graphs: list[torch.fx.GraphModule] = []

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        def count(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Callable[..., Any]:
            graphs.append(graph)
            return graph.forward

        return torch_compile(function, backend=count)

    torch_compile = torch.compile
    monkeypatch.setattr(torch, "compile", compiled)
    phase = Phase(epochs=1, loss="charbonnier", precision="bfloat16")
    network = nets.build("unet", {}, torch.Generator().manual_seed(0))
    noisy, clean = torch.rand(2, 1, 1, 16, 16)
    loss = loss_for(phase, torch.device("cuda"))
    expected = charbonnier(network, noisy, clean)
    torch.testing.assert_close(loss(network, noisy, clean), expected)
    convolutions = [node for graph in graphs for node in graph.graph.nodes if "conv" in node.name]
    assert len(convolutions) >= 16
    assert loss_for(phase, torch.device("cpu")) is charbonnier


def test_training_continues_uncompiled_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    torch_compile = torch.compile

    def without_a_compiler(*_: Any) -> Callable[..., Any]:
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(
        torch, "compile", lambda function: torch_compile(function, backend=without_a_compiler)
    )
    phase = Phase(epochs=1, loss="mse", precision="bfloat16")
    network = nets.build("unet", {}, torch.Generator().manual_seed(0))
    noisy, clean = torch.rand(2, 1, 1, 16, 16)
    loss = loss_for(phase, torch.device("cuda"))
    with pytest.warns(UserWarning, match="uncompiled.*Failed to find C compiler"):
        first = loss(network, noisy, clean)
    # Once is enough.
    assert torch.equal(first, loss(network, noisy, clean))
    assert torch.equal(first, mean_squared_error(network, noisy, clean))
