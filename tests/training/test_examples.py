"""Examples in docstrings give the output that they show."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from autodenoise.training import distributed, phases, randomness, schedules


@pytest.mark.parametrize("module", [distributed, phases, randomness, schedules])
def test_examples_run(module: ModuleType) -> None:
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0
