from __future__ import annotations

import pytest
import torch

from autodenoise.training.ema import EMA


def test_ema_follows_its_decay() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    values = [0.7, -1.0, 2.0, 5.0, 0.25]
    layer.weight.data.fill_(values[0])
    average = EMA(layer, 0.5)
    expected = values[0]
    for count, value in enumerate(values[1:], 1):
        layer.weight.data.fill_(value)
        average.update()
        inputs = min(0.5, (1 + count) / (10 + count))
        expected = inputs * expected + (1 - inputs) * value
    with average.applied():
        assert layer.weight.item() == pytest.approx(expected)
    assert layer.weight.item() == values[-1]
    average.copy_to_network()
    assert layer.weight.item() == pytest.approx(expected)
