"""One server for all tests that leave it as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("serving")) as running:
        yield running
