"""The embedded servers start, refuse strangers, come back after a crash, and change no folder's mode."""

import asyncio
import dataclasses
import io
import os
import re
import stat
import subprocess
import tempfile
from pathlib import Path

import asyncpg
import minio
import nats
import pytest
from nats.aio.client import Client as NatsClient
from nats.errors import Error as NatsError

from gateway.processes.up import postgres_server
from gateway.processes.up.children import StartFailed
from gateway.processes.up.credentials import NATS_USERS, Credentials
from gateway.processes.up.nats_server import check_fit_for_a_log
from gateway.processes.up.servers import Servers
from tests.conftest import RunningNats, RunningPostgres, RunningS3
from tests.needs import lacks


@pytest.mark.parametrize("user", [user for user in NATS_USERS if user != "sys"])
async def test_each_role_signs_in_with_its_own_user(nats_server: RunningNats, user: str) -> None:
    connection = await nats.connect(nats_server.url(user), inbox_prefix=f"_INBOX_{user}".encode())
    assert connection.is_connected
    await connection.close()


async def test_a_role_cannot_change_a_stream(nats_server: RunningNats) -> None:
    refused: asyncio.Queue[str] = asyncio.Queue()

    async def on_error(error: Exception) -> None:
        await refused.put(str(error))

    edge = await nats.connect(nats_server.url("edge"), inbox_prefix=b"_INBOX_edge", error_cb=on_error)
    for verb in ("CREATE", "UPDATE", "PURGE", "DELETE", "MSG.DELETE"):
        await edge.publish(f"$JS.API.STREAM.{verb}.EV_1", b"{}")
        assert "permissions violation" in (await asyncio.wait_for(refused.get(), 10)).lower()
    await edge.close()


async def test_the_web_may_write_what_a_postmaster_decides(nats_server: RunningNats) -> None:
    refused: asyncio.Queue[str] = asyncio.Queue()

    async def on_error(error: Exception) -> None:
        await refused.put(str(error))

    web = await nats.connect(nats_server.url("web"), inbox_prefix=b"_INBOX_web", error_cb=on_error)
    never_stored = {"Nats-Expected-Last-Sequence": "999999999"}
    for subject in (
        "in.1.mail.07",
        "in.1.queue",
        "in.1.route.0",
    ):  # and a router's progress is not its to write
        await web.publish(subject, b"", headers=never_stored)
    said = (await asyncio.wait_for(refused.get(), 10)).lower()
    assert "permissions violation" in said
    assert "in.1.route.0" in said
    assert refused.empty()
    await web.close()


async def test_a_wrong_password_is_refused_by_each_server(
    nats_server: RunningNats, postgres_dsn: str, s3_server: RunningS3
) -> None:
    async def ignore(error: Exception) -> None:
        assert error

    wrong = nats_server.url("edge").replace("edge:", "edge:wrong")
    connection = NatsClient()
    with pytest.raises(NatsError, match="Authorization"):
        await connection.connect(wrong, allow_reconnect=False, error_cb=ignore)
    await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres_dsn.replace("saraban:", "saraban:wrong"))
    with (
        s3_server.client(secret_key="wrong") as stranger,
        pytest.raises(minio.S3Error, match="SignatureDoesNotMatch"),
    ):
        stranger.list_buckets()


async def test_rows_survive_a_kill(postgres_server: RunningPostgres, postgres_dsn: str) -> None:
    rows = await asyncpg.connect(postgres_dsn)
    await rows.execute("CREATE TABLE mails AS SELECT 'จดหมาย' AS subject")
    rows.terminate()
    postgres_server.kill()
    await asyncio.to_thread(postgres_server.restart)
    rows = await asyncpg.connect(postgres_dsn)
    assert await rows.fetchval("SELECT subject FROM mails") == "จดหมาย"
    await rows.close()


def test_objects_survive_a_kill(s3_server: RunningS3) -> None:
    with s3_server.client() as client:
        client.make_bucket("survives")
        client.put_object("survives", "packs/one", io.BytesIO(b"x" * 100_000), 100_000)
    s3_server.kill()
    s3_server.restart()
    with s3_server.client() as client, client.get_object("survives", "packs/one") as answer:
        assert answer.read() == b"x" * 100_000


def test_a_stopped_s3_server_leaves_nothing_outside_its_folder(s3_server: RunningS3) -> None:
    ports = {s3_server.endpoint.rpartition(":")[2], *map(str, s3_server.inner_ports)}

    def sockets() -> set[str]:
        made = Path(tempfile.gettempdir()).glob("*.sock")
        return {file.name for file in made if ports & set(re.findall(r"\d+", file.name))}

    s3_server.stop()
    of_others = sockets()  # killed long ago, on a port that is in use again
    s3_server.start()
    assert sockets() - of_others, "it makes some, and this looks for the right ones"
    s3_server.stop()
    left = sockets()
    s3_server.start()
    assert left <= of_others


async def test_no_folder_that_was_there_changes_its_mode(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    data = home / "data"
    data.mkdir(mode=0o750)
    servers = Servers.in_folder(data, Credentials.kept_in(data / "credentials.json"))
    started = [await servers.nats.start(), await servers.postgres.start()]
    for child in reversed(started):
        await child.stop()
    assert [child.exit_code for child in started] == [0, 0]
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE(data.stat().st_mode) == 0o750
    assert stat.S_IMODE((data / "credentials.json").stat().st_mode) == 0o600


def owner_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


async def test_root_without_user_namespaces_runs_postgres_as_a_system_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        lacks("root, who alone has to become somebody else")
    (tmp_path / "unshare").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    postgres_server._without_root.cache_clear()
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    try:
        server = Servers.in_folder(home / "data", Credentials.random()).postgres
        child = await server.start()
        assert owner_of(child.pid) != 0
        assert server.run_sql("SELECT 1") == "1"
        await child.stop()
    finally:
        postgres_server._without_root.cache_clear()
    assert child.exit_code == 0
    assert (home.stat().st_uid, stat.S_IMODE(home.stat().st_mode)) == (0, 0o700)


async def test_a_server_that_does_not_come_up_says_why(tmp_path: Path, nats_server: RunningNats) -> None:
    servers = Servers.in_folder(tmp_path, Credentials.random())
    taken = nats_server.server.port
    twin = dataclasses.replace(servers.nats, port=taken)
    with pytest.raises(StartFailed, match=r"nats ended with code 1.*address already in use"):
        await twin.start()


VARZ = [
    ({"version": "2.14.0", "jetstream": {"config": {"sync_always": True}}}, "2.15.0 or later"),
    ({"version": "2.15.1", "jetstream": {"config": {"sync_always": False}}}, "before fsync"),
    ({"version": "2.15.1"}, "before fsync"),
]


@pytest.mark.parametrize(("varz", "reason"), VARZ)
def test_a_server_that_acknowledges_before_fsync_is_refused(varz: dict[str, object], reason: str) -> None:
    with pytest.raises(StartFailed, match=reason):
        check_fit_for_a_log(varz)


def test_no_password_is_on_a_command_line(nats_server: RunningNats, postgres_server: RunningPostgres) -> None:
    for running in (nats_server, postgres_server):
        shown = subprocess.check_output(["ps", "-o", "args=", "-p", str(running.pid)], text=True)
        assert "-server" in shown or "postgres" in shown
        assert running.server.credentials.postgres not in shown
        assert running.server.credentials.nats["admin"] not in shown
