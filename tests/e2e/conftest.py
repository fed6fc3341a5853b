"""One demonstration gateway for all tests that leave it as they found it; damage is done to others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gateway import Gateway, running_gateway

PUBLIC_URL = "https://mail.saraban.example"  # of the shared one: nobody resolves it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with the demonstration, shared. Tests use mailboxes and Message-IDs of their own."""
    env = {"SARABAN_PUBLIC_URL": PUBLIC_URL}
    with running_gateway(tmp_path_factory.mktemp("shared"), env=env) as running:
        yield running


@pytest.fixture
def own_gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test alone, that may be killed and damaged."""
    with running_gateway(tmp_path) as running:
        yield running
