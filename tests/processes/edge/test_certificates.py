"""Certificates whose files change: new handshakes show the new one, and nobody's session ends for it.

Source: RFC 5929 §4.1 (the channel binding is that of the certificate the client was shown).
"""

import asyncio
import base64
import hashlib
import os
import shutil
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.tls import CertificateFiles
from gateway.mail.ids import AccountId
from gateway.ports import BadCertificate
from gateway.processes import maillog
from gateway.processes.edge.certificates import LOOK_EVERY_S
from gateway.processes.signin import app_passwords
from gateway.processes.up.certificates import Certificates, self_made
from gateway.processes.up.folder import claim
from gateway.settings import Settings
from gateway.wiring.edge import server_tls
from projections.directory.query import AppPasswordRow
from tests.processes.edge.world import HOSTNAME, Client, EdgeWorld
from tests.protocols.sasl.client import final_message

SUDA = "suda@opm.go.th"
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Certificates]:
    """The certificate before and the one after, each of an authority of its own."""
    made = []
    for name in ("before", "after"):
        folder = tmp_path_factory.mktemp(name)
        with claim(folder):
            made.append(self_made(folder / "tls", folder / "secrets", HOSTNAME, datetime.now(UTC)))
    return made


@pytest.fixture
def live(tmp_path: Path, two: list[Certificates]) -> Certificates:
    """Files as the edge reads them."""
    files = Certificates(tmp_path / "none", tmp_path / "live.pem", tmp_path / "live.key")
    shutil.copy(two[0].chain, files.chain)
    shutil.copy(two[0].key, files.key)
    return files


@pytest.fixture
async def world(tmp_path: Path, live: Certificates) -> AsyncIterator[EdgeWorld]:
    files = CertificateFiles(live.chain, live.key)
    async with EdgeWorld(tmp_path, certificates=files).running() as world:
        yield world


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the log says of certificates."""
    lines: list[str] = []
    monkeypatch.setattr(maillog, "certificates_changed", lambda: lines.append("changed"))
    monkeypatch.setattr(maillog, "certificates_unusable", lambda *, reason: lines.append(reason))
    return lines


def trusting(certificates: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificates.authority))


async def immediate(world: EdgeWorld, trust: ssl.SSLContext) -> Client:
    """A client of the submissions port."""
    client = Client(
        *await asyncio.open_connection(
            "127.0.0.1", world.submissions_port, ssl=trust, server_hostname=HOSTNAME
        )
    )
    assert (await client.reply()).startswith(b"220 ")
    return client


async def ready_for_tls(world: EdgeWorld) -> Client:
    client = await world.connect(world.submission_port)
    await client.reply()
    await client.say(b"EHLO client.example\r\n")
    return client


async def start_tls(client: Client, trust: ssl.SSLContext) -> None:
    assert (await client.say(b"STARTTLS\r\n")).startswith(b"220 2.0.0 ")
    await client.writer.start_tls(trust, server_hostname=HOSTNAME)


async def new_app_password(world: EdgeWorld) -> str:
    salt = await app_passwords.salt_of(world.keys, AccountId(f"acc_{SUDA}"))
    password = app_passwords.new_password(os.urandom)
    await app_passwords.keep(world.keys, "app_1", password, salt)
    world.people.apps = [AppPasswordRow("app_1", "phone", AT, None, (), ())]
    return password


async def sign_in_bound(client: Client, password: str) -> bytes:
    """By SCRAM-SHA-256-PLUS, bound to the certificate that this client has seen; the last reply."""
    assert b"SCRAM-SHA-256-PLUS" in await client.say(b"EHLO client.example\r\n")
    shown: Any = client.writer.get_extra_info("ssl_object")
    binding = hashlib.sha256(shown.getpeercert(True)).digest()  # signed with SHA-256
    gs2, bare = b"p=tls-server-end-point,,", f"n={SUDA},r=abc".encode()
    first = await client.say(b"AUTH SCRAM-SHA-256-PLUS " + base64.b64encode(gs2 + bare) + b"\r\n")
    final = final_message(gs2, bare, base64.b64decode(first[4:]), password, binding)
    last = await client.say(base64.b64encode(final) + b"\r\n")
    return await client.say(b"\r\n") if last.startswith(b"334 ") else last


def put(source: Certificates, live: Certificates) -> None:
    shutil.copy(source.chain, live.chain)
    shutil.copy(source.key, live.key)


async def test_new_handshakes_show_the_new_certificate_and_sessions_go_on(
    world: EdgeWorld, two: list[Certificates], live: Certificates, told: list[str]
) -> None:
    before, after = map(trusting, two)
    async with await immediate(world, before) as old, await ready_for_tls(world) as waiting:
        put(two[1], live)
        async with await immediate(world, before):  # nobody has looked yet
            pass
        await world.looking.look()
        assert told == ["changed"]
        assert world.looking.monotonic() >= LOOK_EVERY_S
        async with await immediate(world, after) as new:
            assert (await new.say(b"NOOP\r\n")).startswith(b"250 ")
        await start_tls(waiting, after)
        assert b"AUTH" in await waiting.say(b"EHLO client.example\r\n")
        assert (await old.say(b"NOOP\r\n")).startswith(b"250 ")
        with pytest.raises(ssl.SSLCertVerificationError):
            await immediate(world, before)
    await world.looking.look()
    assert told == ["changed"]


async def test_the_channel_binding_is_that_of_the_certificate_a_client_was_shown(
    world: EdgeWorld, two: list[Certificates], live: Certificates
) -> None:
    before, after = map(trusting, two)
    password = await new_app_password(world)
    async with await immediate(world, before) as old, await ready_for_tls(world) as waiting:
        put(two[1], live)
        await world.looking.look()
        await start_tls(waiting, after)  # it was connected before the change, and is shown the new one
        async with await immediate(world, after) as new:
            for client in (old, waiting, new):
                assert (await sign_in_bound(client, password)).startswith(b"235 ")


async def test_a_certificate_that_does_not_belong_to_its_key_is_not_shown_and_told_of_once(
    world: EdgeWorld, two: list[Certificates], live: Certificates, told: list[str]
) -> None:
    before, after = map(trusting, two)
    shutil.copy(two[1].chain, live.chain)
    for _ in range(3):
        await world.looking.look()
        async with await immediate(world, before):
            pass
    assert len(told) == 1
    assert told[0].startswith(
        f"the certificate {live.chain} and the key {live.key} cannot be used together: "
    )
    shutil.copy(two[1].key, live.key)
    await world.looking.look()
    assert told[1:] == ["changed"]
    async with await immediate(world, after):
        pass


@pytest.mark.parametrize("is_gone", [False, True])
async def test_a_file_that_is_half_written_or_away_changes_nothing(
    world: EdgeWorld, two: list[Certificates], live: Certificates, told: list[str], is_gone: bool
) -> None:
    live.chain.write_bytes(two[1].chain.read_bytes()[:300])
    if is_gone:
        live.chain.unlink()
    await world.looking.look()
    async with await immediate(world, trusting(two[0])):
        pass
    assert len(told) == 1
    put(two[1], live)
    await world.looking.look()
    live.key.unlink()
    await world.looking.look()
    assert [line == "changed" for line in told] == [False, True, False], "told of again after it was good"


async def test_files_that_change_while_they_are_read_wait_for_the_next_look(
    tmp_path: Path, two: list[Certificates], live: Certificates, told: list[str]
) -> None:
    class Touched(CertificateFiles):
        reads = 0

        def load(self) -> Any:
            loaded = super().load()
            self.reads += 1
            if self.reads == 2:
                os.utime(live.key, ns=(1, 1))
            return loaded

    async with EdgeWorld(tmp_path, certificates=Touched(live.chain, live.key)).running() as world:
        put(two[1], live)
        await world.looking.look()
        assert told == []
        await world.looking.look()
        assert told == ["changed"]


@pytest.mark.parametrize("which", ["chain", "key"])
def test_files_that_cannot_be_used_are_named_at_the_start(live: Certificates, which: str) -> None:
    getattr(live, which).write_bytes(b"")
    with pytest.raises(BadCertificate, match=r"live\.pem and the key .*live\.key cannot be used together"):
        server_tls(Settings(tls_cert=live.chain, tls_key=live.key))
