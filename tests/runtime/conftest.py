"""What the tests of folders share."""

from __future__ import annotations

from pathlib import Path

import pytest

from autodenoise import runtime
from tests.helpers.model_files import box_blur


@pytest.fixture
def model(tmp_path: Path) -> runtime.Model:
    return runtime.load(box_blur(tmp_path / "box.onnx"))


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    return tmp_path / "in"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"
