"""Every conversation on the loop of the standard library and on uvloop, which roles run on."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvloop

from gateway.ports import ServerContext
from gateway.processes.up.certificates import Certificates, self_made
from gateway.processes.up.folder import claim
from gateway.settings import Settings
from gateway.wiring.doors import server_tls
from tests.processes.imap.world import HOSTNAME, ImapWorld


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    with claim(folder):
        return self_made(folder / "tls", folder / "secrets", HOSTNAME, datetime.now(UTC))


@pytest.fixture
def trust(certificates: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificates.authority))


@pytest.fixture
def tls(certificates: Certificates) -> ServerContext:
    context = server_tls(Settings(tls_cert=certificates.chain, tls_key=certificates.key))
    assert context is not None
    return context


@pytest.fixture
async def world(tmp_path: Path, tls: ServerContext, cheap_hashes: None) -> AsyncIterator[ImapWorld]:
    async with ImapWorld(tmp_path, tls).running() as world:
        yield world
