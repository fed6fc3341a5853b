"""Real servers for tests: one set per pytest run, each started when the first test asks for it.

`nats_server` and `s3_server` are shared by the whole run: a test makes its own streams and object prefixes,
and a test that kills one brings it back with `restart()`. Who destroys files takes `own_nats_server`.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import argon2
import hypothesis
import minio
import pytest
import urllib3

from gateway.processes.signin import passwords
from gateway.processes.up.children import Child
from gateway.processes.up.credentials import Credentials
from gateway.processes.up.nats_server import NatsServer
from gateway.processes.up.postgres_server import PostgresServer
from gateway.processes.up.s3_server import S3Server
from gateway.processes.up.servers import Servers
from projections.readmodel import Pool, open_pool

# No time limit is an assertion, and CI's machine has its slow moments.
hypothesis.settings.register_profile("saraban", deadline=None)
hypothesis.settings.load_profile("saraban")

# Who was connected is gone, and all tables are as they were made: those of partitions are made by rows.
EMPTY = """
SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend';
SET session_replication_role = replica;  -- the order of tables does not matter
DO $$
DECLARE made record;
BEGIN
    FOR made IN
        SELECT oid::regclass AS name, relispartition FROM pg_class
        WHERE relkind = 'r' AND relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')
          AND (relispartition OR pg_relation_size(oid) > 0)
    LOOP
        IF made.relispartition THEN EXECUTE 'DROP TABLE ' || made.name;
        ELSE EXECUTE 'DELETE FROM ' || made.name;
        END IF;
    END LOOP;
END $$
"""

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


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole gateways first: what takes minutes is no good end for a run on two cores."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords with the least work argon2id can be asked for; its price is a thing of test_passwords.py."""
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", hasher)
    monkeypatch.setattr(passwords, "NOBODYS", hasher.hash("nobody's").encode())


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
def shared_dsn(postgres_server: RunningPostgres) -> str:
    return postgres_server.fresh_database()


@pytest.fixture
async def emptied_pool(shared_dsn: str) -> AsyncIterator[Pool]:
    """For one test a database without rows, where the tables of an earlier test may be already.

    To make all tables takes longer than most tests: who looks at nothing but rows takes this one.
    """
    async with open_pool(shared_dsn) as pool:
        async with pool.rows() as rows:
            await rows.execute(EMPTY)
            await rows.execute("RESET session_replication_role")
        yield pool


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
