"""A desk for each test."""

import pytest

from tests.processes.registry.desk import Desk


@pytest.fixture
def desk() -> Desk:
    return Desk()
