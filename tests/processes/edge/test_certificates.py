"""Certificates whose files change: new handshakes show the new one, and nobody's session ends for it.

And several, each for the clients that ask for its names.

Source: RFC 6066 §3, RFC 9525 §6.3 (names), RFC 5929 §4.1 (the channel binding is that of the certificate the
client was shown).
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
from gateway.cli.running import EXPECTED
from gateway.mail.ids import AccountId
from gateway.ports import BadCertificate
from gateway.processes import maillog
from gateway.processes.listening.certificates import LOOK_EVERY_S
from gateway.processes.signin import app_passwords
from gateway.processes.up.certificates import Certificates, self_made
from gateway.processes.up.folder import claim
from gateway.settings import Settings
from gateway.wiring import edge
from gateway.wiring.doors import server_tls
from projections.directory.query import AppPasswordRow
from tests.processes.doors import HOSTNAME
from tests.processes.edge.world import Client, EdgeWorld
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
    log = maillog.certificates_unusable

    def tell(*, reason: str) -> None:
        lines.append(reason)
        log(reason=reason)

    monkeypatch.setattr(maillog, "certificates_changed", lambda: lines.append("changed"))
    monkeypatch.setattr(maillog, "certificates_unusable", tell)
    return lines


def trusting(certificates: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificates.authority))


async def immediate(world: EdgeWorld, trust: ssl.SSLContext, name: str = HOSTNAME) -> Client:
    """A client of the submissions port."""
    client = Client(
        *await asyncio.open_connection("127.0.0.1", world.submissions_port, ssl=trust, server_hostname=name)
    )
    assert (await client.reply()).startswith(b"220 ")
    return client


async def ready_for_tls(world: EdgeWorld) -> Client:
    client = await world.connect(world.submission_port)
    await client.reply()
    await client.say(b"EHLO client.example\r\n")
    return client


async def start_tls(client: Client, trust: ssl.SSLContext, name: str = HOSTNAME) -> None:
    assert (await client.say(b"STARTTLS\r\n")).startswith(b"220 2.0.0 ")
    await client.writer.start_tls(trust, server_hostname=name)


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


async def test_a_certificate_without_a_binding_offers_no_plus(
    tmp_path: Path, two: list[Certificates], live: Certificates
) -> None:
    """Ed25519 signs without a hash of its own (RFC 5929 §4.1)."""
    tls = CertificateFiles(live.chain, live.key).load()
    tls.channel_binding = None
    async with (
        EdgeWorld(tmp_path, tls=tls).running() as world,
        await immediate(world, trusting(two[0])) as client,
    ):
        offers = await client.say(b"EHLO client.example\r\n")
        assert b"SCRAM-SHA-256 " in offers
        assert b"PLUS" not in offers
        assert (await client.say(b"AUTH SCRAM-SHA-256-PLUS\r\n")).startswith(b"504 ")


@pytest.mark.parametrize("which", ["chain", "key"])
def test_files_that_cannot_be_used_are_named_at_the_start(live: Certificates, which: str) -> None:
    getattr(live, which).write_bytes(b"")
    with pytest.raises(BadCertificate, match=r"live\.pem and the key .*live\.key cannot be used together"):
        server_tls(Settings(tls_cert=live.chain, tls_key=live.key))


# --- several, by name -------------------------------------------------------------------------------------

OPM, WILD, THAI = "mx.opm.go.th", "*.dld.go.th", "xn--12c4brxj1afq7d8cum.example"  # กรมปศุสัตว์.example
FILES = {"a.pem": OPM, "b.pem": WILD, "c.pem": THAI}


class Site:
    """One authority and what it signs."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.default = self.made(HOSTNAME)
        self.others = {file: b"".join(self.made(name)) for file, name in FILES.items()}
        self.trust = ssl.create_default_context(cafile=str(root / "tls" / "ca.pem"))

    def made(self, name: str) -> tuple[bytes, bytes]:
        """Chain and key."""
        with claim(self._root):
            files = self_made(self._root / "tls", self._root / "secrets", name, datetime.now(UTC))
        return files.chain.read_bytes(), files.key.read_bytes()

    def put(self, folder: Path) -> CertificateFiles:
        """All of it, as an edge reads it."""
        (folder / "names").mkdir()
        for file, octets in self.others.items():
            (folder / "names" / file).write_bytes(octets)
        (folder / "names" / "readme.txt").write_text("no certificate")
        (folder / "names" / ".d.pem").write_text("half a copy")
        chain, key = folder / "live.pem", folder / "live.key"
        chain.write_bytes(self.default[0])
        key.write_bytes(self.default[1])
        return CertificateFiles(chain, key, folder / "names")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


@pytest.fixture
async def named(tmp_path: Path, site: Site) -> AsyncIterator[EdgeWorld]:
    async with EdgeWorld(tmp_path, certificates=site.put(tmp_path)).running() as world:
        yield world


def shown_to(client: Client) -> str:
    """The first name of the certificate that the client has seen."""
    names: Any = client.writer.get_extra_info("peercert")["subjectAltName"]
    return str(names[0][1])


@pytest.mark.parametrize(
    ("name", "shown"),
    [(OPM, OPM), (OPM.upper(), OPM), ("mx.dld.go.th", WILD), (THAI, THAI), (HOSTNAME, HOSTNAME)],
)
async def test_a_client_is_shown_the_certificate_of_the_name_it_asks_for(
    named: EdgeWorld, site: Site, name: str, shown: str
) -> None:
    async with await immediate(named, site.trust, name) as client:
        assert shown_to(client) == shown
    async with await ready_for_tls(named) as client:
        await start_tls(client, site.trust, name)
        assert shown_to(client) == shown


@pytest.mark.parametrize("name", ["", "other.example", "dld.go.th", "a.mx.dld.go.th", "*.dld.go.th.example"])
async def test_who_asks_for_no_name_or_an_unknown_one_is_shown_the_default(
    named: EdgeWorld, site: Site, name: str
) -> None:
    trust = ssl.create_default_context(cadata=site.default[0].decode())  # the authority is in the chain
    trust.check_hostname = False
    async with await immediate(named, trust, name) as client:
        assert shown_to(client) == HOSTNAME


async def test_the_channel_binding_is_that_of_the_certificate_of_the_name(
    named: EdgeWorld, site: Site
) -> None:
    password = await new_app_password(named)
    for name in (OPM, "mx.dld.go.th", HOSTNAME):
        async with await immediate(named, site.trust, name) as client:
            assert (await sign_in_bound(client, password)).startswith(b"235 ")
        async with await ready_for_tls(named) as client:
            await start_tls(client, site.trust, name)
            assert (await sign_in_bound(client, password)).startswith(b"235 ")


async def test_files_that_come_and_go_in_the_folder_are_noticed(
    named: EdgeWorld, site: Site, tmp_path: Path, told: list[str]
) -> None:
    new = tmp_path / "names" / "n.pem"
    new.write_bytes(b"".join(reversed(site.made("new.opm.go.th"))))  # the key in front
    (tmp_path / "names" / "a.pem").unlink()
    await named.looking.look()
    assert told == ["changed"]
    async with await immediate(named, site.trust, "new.opm.go.th") as client:
        assert shown_to(client) == "new.opm.go.th"
    with pytest.raises(ssl.SSLCertVerificationError):
        await immediate(named, site.trust, OPM)
    new.write_bytes(b"")
    await named.looking.look()
    assert len(told) == 2
    async with await immediate(named, site.trust, "new.opm.go.th") as client:
        assert shown_to(client) == "new.opm.go.th"


async def test_a_name_in_two_files_is_that_of_the_first(
    named: EdgeWorld, site: Site, tmp_path: Path, told: list[str]
) -> None:
    async with await immediate(named, site.trust, OPM) as client:
        before = client.writer.get_extra_info("ssl_object").getpeercert(True)
    (tmp_path / "names" / "aa.pem").write_bytes(b"".join(site.made(OPM)))
    await named.looking.look()
    assert told == ["changed"]
    async with await immediate(named, site.trust, OPM) as client:
        assert client.writer.get_extra_info("ssl_object").getpeercert(True) == before


def test_files_of_the_folder_that_cannot_be_used_are_named_in_one_sentence(
    site: Site, tmp_path: Path
) -> None:
    site.put(tmp_path)
    names = tmp_path / "names"
    settings = Settings(
        tls_cert=tmp_path / "live.pem", tls_key=tmp_path / "live.key", tls_folder=tmp_path / "names"
    )
    assert server_tls(settings) is not None
    (names / "b.pem").write_bytes(site.default[0])  # no key
    (names / "c.pem").write_bytes(b"")
    with pytest.raises(BadCertificate) as refused:
        server_tls(settings)
    said = str(refused.value)
    assert said.startswith(f"certificates in {names} cannot be used: b.pem (")
    assert "), c.pem (" in said
    assert "a.pem" not in said


def test_a_folder_that_is_not_there_or_has_no_default_is_named(site: Site, tmp_path: Path) -> None:
    site.put(tmp_path)
    chain, key = tmp_path / "live.pem", tmp_path / "live.key"
    with pytest.raises(BadCertificate, match="no such folder cannot be read: No such file or directory"):
        server_tls(Settings(tls_cert=chain, tls_key=key, tls_folder=tmp_path / "no such folder"))
    with pytest.raises(BadCertificate, match="set SARABAN_TLS_CERT and SARABAN_TLS_KEY"):
        server_tls(Settings(tls_folder=tmp_path / "names"))


async def test_the_role_stops_with_the_sentence(tmp_path: Path) -> None:
    """Before anything else is asked for: no server is there."""
    settings = Settings(data=tmp_path, tls_cert=tmp_path / "none.pem", tls_key=tmp_path / "none.key")
    with pytest.raises(
        BadCertificate, match=r"none\.pem and the key .* cannot be used together: No such file"
    ):
        await edge.run(settings, lambda: None)
    assert BadCertificate in EXPECTED, "the command says it and ends"
