"""The key store on NATS keeps the contract, keeps secrets off the disk, and notices what others did."""

import os
from pathlib import Path

import pytest

from gateway.adapters.jetstream import Link, connect, streams
from gateway.adapters.keys import TRUSTED_S, BadMasterKey, JetStreamKeyStore, load_master_key
from gateway.ports import KeyForgotten, Unavailable
from tests.conftest import RunningNats
from tests.contracts.key_store import KeyStoreContract
from tests.processes.world import MovedClock

MASTER_KEY = bytes(range(32))


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def keys(site: Link, clock: MovedClock) -> JetStreamKeyStore:
    return JetStreamKeyStore(site, MASTER_KEY, clock=clock, entropy=os.urandom)


@pytest.fixture
def others(site: Link, clock: MovedClock) -> JetStreamKeyStore:
    return JetStreamKeyStore(site, MASTER_KEY, clock=clock, entropy=os.urandom)


class TestJetStreamKeyStore(KeyStoreContract):
    pass


async def test_what_others_forgot_or_replaced_is_noticed(
    keys: JetStreamKeyStore, others: JetStreamKeyStore, clock: MovedClock
) -> None:
    await keys.put("verifier.acc_1", b"old")
    await keys.get_or_make("account.acc_1")
    await others.put("verifier.acc_1", b"new")
    await others.forget("account.acc_1")
    assert len(await keys.get("account.acc_1")) == 32  # remembered, for a little while
    clock.move(TRUSTED_S)
    assert await keys.get("verifier.acc_1") == b"new"
    with pytest.raises(KeyForgotten):
        await keys.get("account.acc_1")


async def test_what_is_remembered_is_not_asked_again(
    keys: JetStreamKeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await keys.get_or_make("account.acc_1")
    monkeypatch.setattr(keys, "_last", None)  # whoever asked would fail
    assert await keys.get("account.acc_1") == key


async def test_another_master_key_opens_nothing(keys: JetStreamKeyStore, site: Link) -> None:
    await keys.get_or_make("account.acc_1")
    strange = JetStreamKeyStore(site, bytes(32), clock=MovedClock(), entropy=os.urandom)
    with pytest.raises(Unavailable, match="does not open with this master key"):
        await strange.get("account.acc_1")
    await keys.check()
    with pytest.raises(BadMasterKey, match="SARABAN_MASTER_KEY_FILE"):
        await strange.check()


async def test_a_secret_is_on_no_disk_in_the_clear_and_gone_when_forgotten(
    own_nats_server: RunningNats,
) -> None:
    async with connect(own_nats_server.url(), name="test") as link:
        await streams.prepare(link, 1024 * 1024)
        keys = JetStreamKeyStore(link, MASTER_KEY, clock=MovedClock(), entropy=os.urandom)
        await keys.put("verifier.acc_1", b"MARKER-SECRET")
        stored = await link.last(streams.KEYS, "key.>")
        assert stored is not None
        files = own_nats_server.folder / "jetstream"
        assert _holds(files, stored.payload)
        assert not _holds(files, b"MARKER-SECRET")
        await keys.forget("verifier.acc_1")
        own_nats_server.stop()
        assert not _holds(files, stored.payload)


def test_the_master_key_is_64_hex_digits_that_nobody_else_reads(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    with pytest.raises(BadMasterKey, match="cannot be read: No such file"):
        load_master_key(file)
    file.write_text(MASTER_KEY.hex() + "\n")
    file.chmod(0o640)
    with pytest.raises(BadMasterKey, match="has mode 640, expected 600"):
        load_master_key(file)
    file.chmod(0o600)
    assert load_master_key(file) == MASTER_KEY
    file.write_text("abc\n")
    with pytest.raises(BadMasterKey, match="is not 64 hex digits"):
        load_master_key(file)


def _holds(folder: Path, octets: bytes) -> bool:
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert files, "the server keeps its files here"
    return any(octets in file.read_bytes() for file in files)
