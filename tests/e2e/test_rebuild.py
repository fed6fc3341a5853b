"""Acceptance 5: every projection dropped and folded anew is what it was, UIDs and MODSEQs included."""

import asyncio
from pathlib import Path

from tests.e2e.gateway import Gateway, running_gateway
from tests.e2e.load import Load, Plan, host_and_port
from tests.e2e.rows import Rows
from tests.sizes import size

MAILS = size(200, 5_000)
RECIPIENTS = [
    ("somchai@opm.go.th",),
    ("malee@opdc.go.th", "somchai@opm.go.th"),
    ("farm@dld.go.th", "malee@opdc.go.th"),
]


def test_rebuilding_beside_the_live_rows_finds_them_equal(gateway: Gateway) -> None:
    _fill(gateway)
    names = [row["name"] for row in gateway.cli("projection", "list")]
    assert set(names) >= {"directory", "mailbox", "queue", "trace", "content", "bans"}
    for name in names:
        told = gateway.cli("projection", "rebuild", name)
        assert told["equal"] is True, told
        print(f"{name}: {told['rows']} rows equal at position {told['position']}")


def test_dropped_rows_come_back_as_they_were(tmp_path: Path) -> None:
    """All schemas of all read models are dropped while the gateway is down but for PostgreSQL's sake up."""
    with running_gateway(tmp_path, env={"SARABAN_PACKER_KEEP_S": "0"}) as gateway:
        _fill(gateway)
        # The packer goes on when all mails are through: what it does later would be in the second look alone.
        gateway.wait(
            lambda: gateway.figures()["saraban_write_ahead_messages"] == 0, "all contents are packed"
        )
        gateway.wait_idle()
        _come_back(gateway)


def _come_back(gateway: Gateway) -> None:
    dsn = gateway.ready["postgres"]
    before = asyncio.run(_snapshot(dsn))
    assert len(before["mailbox.message"]) >= MAILS
    gateway.env = {"SARABAN_LOG_LEVEL": "info"}
    asyncio.run(_drop(dsn))
    gateway.stop()
    gateway.start()
    gateway.wait_idle()
    after = asyncio.run(_snapshot(gateway.ready["postgres"]))
    assert after.keys() == before.keys()
    for table in before:
        assert after[table] == before[table], f"{table} came back otherwise"


def _fill(gateway: Gateway) -> None:
    host, port = host_and_port(gateway.address("smtp"))
    load = Load(Plan(host, port, RECIPIENTS, mails=MAILS, connections=10))
    asyncio.run(load.run())
    assert load.counts()["acknowledged"] == MAILS, load.counts()
    gateway.wait_idle()


async def _snapshot(dsn: str) -> dict[str, list[str]]:
    async with Rows.connected(dsn) as rows:
        return await rows.everything()


async def _drop(dsn: str) -> None:
    async with Rows.connected(dsn) as rows:
        await rows.drop_everything()
