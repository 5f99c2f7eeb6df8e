from __future__ import annotations

from typing import Any

import pytest

from autodenoise.errors import UsageError
from autodenoise.training.phases import Phase


@pytest.mark.parametrize("change", [{"epochs": 0}, {"batch_size": 0}, {"patience": 0}])
def test_invalid_phases_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected at least 1"):
        Phase(**({"epochs": 1} | change))
