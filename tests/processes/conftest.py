"""A certificate for whatever listens, and clients that trust it."""

import ssl
from datetime import UTC, datetime

import pytest

from gateway.ports import ServerContext
from gateway.processes.up.certificates import Certificates, self_made
from gateway.processes.up.folder import claim
from gateway.settings import Settings
from gateway.wiring.doors import server_tls
from tests.processes.doors import HOSTNAME


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
