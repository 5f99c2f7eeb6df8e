"""A server shared by all tests that do not change its state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.serving import RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("serving")) as running:
        yield running
