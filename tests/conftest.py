"""Real servers for tests: one set per pytest run, each started when the first test asks for it.

`nats_server` and `s3_server` are shared by the whole run: a test makes its own streams and object prefixes,
and a test that kills one brings it back with `restart()`. Who destroys files takes `own_nats_server`.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import hypothesis
import minio
import pytest
import urllib3

from gateway.processes.up.children import Child
from gateway.processes.up.credentials import Credentials
from gateway.processes.up.nats_server import NatsServer
from gateway.processes.up.postgres_server import PostgresServer
from gateway.processes.up.s3_server import S3Server
from gateway.processes.up.servers import Servers

# No time limit is an assertion, and CI's machine has its slow moments.
hypothesis.settings.register_profile("saraban", deadline=None)
hypothesis.settings.load_profile("saraban")

_numbers = itertools.count(1)
# Children die with the thread that started them (PR_SET_PDEATHSIG): one thread that lives as long as pytest.
_starter = ThreadPoolExecutor(1, "servers")
T = TypeVar("T")
R = TypeVar("R", bound="Running")


def _run(work: Coroutine[object, object, T]) -> T:
    return _starter.submit(asyncio.run, work).result()


class Running:
    """A started server that a test may kill, stop and start again."""

    def __init__(self, server: NatsServer | PostgresServer | S3Server) -> None:
        self._server = server
        self.child: Child = _run(server.start())

    @property
    def pid(self) -> int:
        return self.child.pid

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        self.child.kill()

    def stop(self) -> None:
        """End it in its own way."""
        _run(self.child.stop())

    def restart(self) -> None:
        """Stop it if it runs, start it on the same port and files, and wait until it is ready.

        Blocks; where the test's event loop must go on: `await asyncio.to_thread(server.restart)`.
        """
        self.stop()
        self.start()

    def start(self) -> None:
        self.child = _run(self._server.start())


class RunningNats(Running):
    def __init__(self, server: NatsServer) -> None:
        super().__init__(server)
        self.server = server
        self.folder = server.folder  # JetStream's files are below folder/jetstream
        self.monitor_url = server.monitor_url

    def url(self, user: str = "admin") -> str:
        """nats://user:password@127.0.0.1:port; users are those of infra/nats/nats-server.conf."""
        return self.server.url(user)


class RunningS3(Running):
    def __init__(self, server: S3Server) -> None:
        super().__init__(server)
        self.endpoint = server.endpoint  # host:port
        self.access_key = server.credentials.s3_access_key
        self.secret_key = server.credentials.s3_secret_key
        self.secure = False
        self.bucket = "saraban-onsite"  # not made yet: who needs it makes it
        self.folder = server.folder
        self.inner_ports = server.inner_ports

    @contextlib.contextmanager
    def client(self, secret_key: str | None = None) -> Iterator[minio.Minio]:
        """A client whose connections are closed at the end."""
        with urllib3.PoolManager(retries=False, timeout=30) as pool:
            yield minio.Minio(
                self.endpoint, self.access_key, secret_key or self.secret_key, secure=False, http_client=pool
            )


class RunningPostgres(Running):
    def __init__(self, server: PostgresServer) -> None:
        super().__init__(server)
        self.server = server

    def fresh_database(self) -> str:
        """Make an empty database and give its DSN."""
        name = f"test_{next(_numbers)}"
        self.server.run_sql(f"CREATE DATABASE {name}")
        return self.server.dsn(name)

    def drop(self, dsn: str) -> None:
        self.server.run_sql(f"DROP DATABASE {dsn.rsplit('/', 1)[1]} WITH (FORCE)")


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Servers:
    """The three servers of this run, not started."""
    data = tmp_path_factory.mktemp("servers")
    return Servers.in_folder(data, Credentials.kept_in(data / "credentials.json"))


@pytest.fixture(scope="session")
def nats_server(servers: Servers) -> Iterator[RunningNats]:
    with _running(RunningNats(servers.nats)) as running:
        yield running


@pytest.fixture
def own_nats_server(tmp_path: Path) -> Iterator[RunningNats]:
    """A NATS server for one test alone, whose files it may destroy."""
    with _running(RunningNats(Servers.in_folder(tmp_path, Credentials.random()).nats)) as running:
        yield running


@pytest.fixture(scope="session")
def postgres_server(servers: Servers) -> Iterator[RunningPostgres]:
    with _running(RunningPostgres(servers.postgres)) as running:
        yield running


@pytest.fixture
def postgres_dsn(postgres_server: RunningPostgres) -> Iterator[str]:
    """An empty database for one test."""
    dsn = postgres_server.fresh_database()
    yield dsn
    postgres_server.drop(dsn)


@pytest.fixture(scope="session")
def s3_server(servers: Servers, postgres_server: RunningPostgres) -> Iterator[RunningS3]:
    with _running(RunningS3(servers.s3)) as running:
        yield running


@contextlib.contextmanager
def _running(running: R) -> Iterator[R]:
    try:
        yield running
    finally:
        running.stop()
