"""Acceptance 6 of 2/9: thousands of idle connections and hundreds of busy ones on one edge, none refused."""

import asyncio

from tests.e2e.gateway import Gateway, memory_octets
from tests.e2e.load import Line, Load, Plan, host_and_port
from tests.sizes import size

IDLE = size(300, 2_000)
BUSY = size(40, 200)
MAILS = size(400, 4_000)
AT_ONCE = 50  # connections that are being opened


def test_idle_connections_cost_little_and_hold_nobody_up(own_gateway: Gateway) -> None:
    edge = own_gateway.pid("edge")
    host, port = host_and_port(own_gateway.address("smtp"))
    asyncio.run(_loaded(host, port, 20, 20))  # what is loaded once is no connection's
    before = memory_octets(edge)

    async def run() -> tuple[int, Load]:
        idle = await _opened(host, port, IDLE)
        try:
            grown = memory_octets(edge) - before
            load = await _loaded(host, port, BUSY, MAILS)
            for line in idle:  # each is still served
                await line.quit()
        finally:
            for line in idle:
                line.close()
        return grown, load

    grown, load = asyncio.run(run())
    print(f"{IDLE} idle connections: {grown / IDLE / 1000:.1f} kB of the edge's memory each")
    print(f"{BUSY} busy ones beside them: {load.counts()}")
    assert own_gateway.pid("edge") == edge, "it was not restarted meanwhile"
    counts = load.counts()
    assert (counts["deferred"], counts["refused"], counts["unanswered"], counts["reconnects"]) == (0, 0, 0, 0)
    assert counts["acknowledged"] >= MAILS
    assert grown / IDLE < 100_000, "a connection is no process"


async def _opened(host: str, port: int, count: int) -> list[Line]:
    """So many connections that have been greeted and say nothing."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def open_one() -> Line:
        async with turns:
            return await Line.open(host, port)

    return list(await asyncio.gather(*(open_one() for _ in range(count))))


async def _loaded(host: str, port: int, connections: int, mails: int) -> Load:
    load = Load(
        Plan(
            host=host,
            port=port,
            mail_from="busy@sender.example",
            recipients=(("malee@opdc.go.th",),),
            connections=connections,
            mails=mails,
            acknowledged=mails,
        )
    )
    await load.run()
    return load
