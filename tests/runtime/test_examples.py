"""Examples in docstrings print the output that they show."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from autodenoise import system
from autodenoise.runtime import card, model, models


@pytest.mark.parametrize("module", [card, model, models, system])
def test_examples_run(module: ModuleType) -> None:
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0
