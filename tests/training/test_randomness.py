from __future__ import annotations

from typing import Any

import torch

from autodenoise.training.randomness import generator


def test_generators_differ_by_purpose_and_place() -> None:
    def number(*where: Any) -> float:
        return float(torch.rand(1, generator=generator(*where), dtype=torch.float64))

    places = [(0, "a"), (1, "a"), (0, "b"), (0, "a", 0), (0, "a", 1), (0, "a", 0, 1)]
    assert len({number(*place) for place in places}) == len(places)
    assert number(7, "order", 3) == number(7, "order", 3)
