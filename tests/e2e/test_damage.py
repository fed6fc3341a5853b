"""Acceptance 6: stores altered behind us: who reads says what and where, and nothing else suffers."""

import asyncio
import io
import re
import shutil
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunningNats
from tests.e2e.gateway import CommandFailed, Gateway, eventually, running_gateway
from tests.e2e.load import Load, Plan, host_and_port, send_one
from tests.e2e.stores import objects, s3_client

MAILS = 5
TO = "malee@opdc.go.th"
ROLES = ("edge", "imap", "pop3", "router", "relay", "packer", "projector", "steward", "web")
CUT_OCTETS = 500
DAMAGED_AT = re.compile(r"damaged at position (\d+)")


@dataclass(frozen=True, slots=True)
class Filled:
    """A data folder with some mails, not running: to copy, not to change."""

    data: Path
    ready: dict[str, Any]  # of its start; a copy comes up on the same ports
    accepted: list[dict[str, Any]]  # as Gateway.events gives them
    last: int  # position


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp("filled")
    with running_gateway(folder) as gateway:
        fill(gateway)
        events = gateway.events("")
    accepted = [recorded for recorded in events if recorded["topic"] == "mail.accepted/1"]
    yield Filled(gateway.data, gateway.ready, accepted, events[-1]["position"])
    shutil.rmtree(folder)


@pytest.fixture
def copied(filled: Filled, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway of its own on a copy of the filled folder, not started."""
    gateway = Gateway(tmp_path / "copied")
    shutil.copytree(filled.data, gateway.data, symlinks=True)
    for log in (gateway.data / "logs").glob("*.log"):
        log.unlink()
    gateway.ready = filled.ready
    yield gateway
    if gateway.is_launched:
        gateway.stop()


def fill(gateway: Gateway) -> None:
    """Some mails, delivered and in packs."""
    host, port = host_and_port(gateway.address("smtp"))
    load = Load(Plan(host, port, [(TO,)], mails=MAILS, connections=1))
    asyncio.run(load.run())
    assert load.counts()["acknowledged"] == MAILS, load.counts()
    gateway.wait_idle()
    gateway.wait(lambda: len(_entries(gateway)) == MAILS, "all mails are in packs")
    gateway.wait_idle()


def _entries(gateway: Gateway) -> dict[str, tuple[str, dict[str, Any]]]:
    """Content digest → pack and entry, as the log has them."""
    packed = [recorded["event"] for recorded in gateway.events("content.packed/1")]
    return {entry["digest"]: (event["pack"], entry) for event in packed for entry in event["entries"]}


def test_a_flipped_bit_in_a_pack_spoils_one_mail_and_is_named(filled: Filled, copied: Gateway) -> None:
    copied.start()
    assert copied.cli("check")["verdict"] == "whole", "the copy itself has not suffered"
    victim = filled.accepted[MAILS // 2]["event"]
    pack, entry = _entries(copied)[victim["message"]["content"]["digest"]]
    _flip_a_bit(copied, pack, entry["offset"] + entry["octets"] // 2)
    for row in copied.mailbox(TO):
        if row["mail_id"] != victim["mail_id"]:
            assert copied.export(TO, row["uid"]).endswith(b"\r\n")
            continue
        with pytest.raises(CommandFailed) as failed:
            copied.export(TO, row["uid"])
        assert pack in failed.value.said
        assert victim["mail_id"] in failed.value.said
        offsets = [int(number) for number in re.findall(r"\b\d+\b", failed.value.said)]
        assert any(entry["offset"] <= at < entry["offset"] + entry["octets"] for at in offsets), failed.value
    with pytest.raises(CommandFailed) as failed:
        copied.cli("check", "--all")
    assert failed.value.said.count(pack) == 1, failed.value.said


def _flip_a_bit(gateway: Gateway, name: str, offset: int) -> None:
    (found,) = [each for each in objects(gateway, name) if each.endswith(f"/{name}")]
    bucket = found.removesuffix(f"/{name}")
    with s3_client(gateway.ready) as client:
        answer = client.get_object(bucket, name)
        octets = bytearray(answer.read())
        answer.close()
        octets[offset] ^= 1
        client.put_object(bucket, name, io.BytesIO(octets), len(octets))


def test_nothing_starts_on_a_copied_stream_that_lacks_a_message(filled: Filled, copied: Gateway) -> None:
    victim = filled.accepted[MAILS // 2]["position"]
    assert _delete(copied.data, victim), f"no block holds position {victim}"
    copied.launch()
    copied.wait(lambda: copied.exit_code is not None, "a gateway that does not start on a damaged log")
    assert copied.exit_code != 0
    assert f"damaged at position {victim}:" in copied.said()


def _delete(data: Path, sequence: int) -> bool:
    """Cut one record out of JetStream's block files and let the server index what is left anew.

    A record: length (32 bits, the highest says "has headers"), sequence (64), time, subject, …
    """
    for block in sorted(data.rglob("EV_1/msgs/*.blk")):
        octets, at = block.read_bytes(), 0
        while at < len(octets):
            length, found = struct.unpack_from("<IQ", octets, at)
            length &= 0x7FFFFFFF
            if found == sequence:
                block.write_bytes(octets[:at] + octets[at + length :])
                (block.parent / "index.db").unlink(missing_ok=True)
                return True
            at += length
    return False


@pytest.mark.parametrize("has_index", [True, False], ids=["index-kept", "index-lost"])
def test_a_block_cut_short_stops_every_role(filled: Filled, copied: Gateway, has_index: bool) -> None:
    block = max(copied.data.rglob("EV_1/msgs/*.blk"))
    block.write_bytes(block.read_bytes()[:-CUT_OCTETS])
    if not has_index:
        (block.parent / "index.db").unlink(missing_ok=True)
    copied.launch()

    def has_said_so() -> bool:
        with suppress(OSError, TimeoutError, ConnectionError):
            asyncio.run(_send(copied))
        return copied.exit_code is not None or not _silent(copied)

    copied.wait(has_said_so, "every role has stopped and named the position")
    if copied.exit_code is not None:
        assert copied.exit_code != 0
        told = {int(position) for position in DAMAGED_AT.findall(copied.said())}
    else:
        told = {int(at) for role in ROLES for at in DAMAGED_AT.findall(copied.log_of(role))}
    assert told
    assert all(filled.last - MAILS <= position <= filled.last + 1 for position in told), (told, filled.last)


async def test_a_log_that_comes_back_shorter_stops_the_roles_that_run(
    own_nats_server: RunningNats, tmp_path: Path
) -> None:
    """Only the log's server is started again: those that hold no place in the log notice as well."""
    outside = {
        "SARABAN_NATS_URL": own_nats_server.url("admin"),
        "SARABAN_NATS_MONITOR_URL": own_nats_server.monitor_url,
    }
    gateway = Gateway(tmp_path / "data", env=outside)
    await asyncio.to_thread(gateway.start)
    try:
        await asyncio.to_thread(fill, gateway)
        own_nats_server.kill()
        block = max(own_nats_server.folder.rglob("EV_1/msgs/*.blk"))
        block.write_bytes(block.read_bytes()[:-CUT_OCTETS])
        (block.parent / "index.db").unlink(missing_ok=True)
        await asyncio.to_thread(own_nats_server.start)
        await eventually(lambda: not _silent(gateway), "every role has stopped and named the position")
    finally:
        await asyncio.to_thread(gateway.stop)


def _silent(gateway: Gateway) -> list[str]:
    """Roles that have not named a position."""
    return [role for role in ROLES if not DAMAGED_AT.search(gateway.log_of(role))]


async def _send(gateway: Gateway) -> None:
    message = b"Subject: one more\r\n\r\nafter the cut\r\n"
    await send_one(gateway.address("smtp"), "late@sender.example", [TO], message)
