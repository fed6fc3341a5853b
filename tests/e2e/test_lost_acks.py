"""Acceptance 4: an ack is lost: no mail doubled, none with 250 missing, none with 451 delivered."""

import asyncio
from functools import partial
from itertools import cycle, islice
from pathlib import Path

from tests.conftest import RunningNats
from tests.e2e.gateway import Gateway
from tests.e2e.proxy import ACKS, AckCutter, ack_cutter
from tests.e2e.storm import storm
from tests.sizes import size

CUTS = size(10, 200)


async def test_a_lost_ack_doubles_and_loses_nothing(own_nats_server: RunningNats, tmp_path: Path) -> None:
    async with ack_cutter(own_nats_server.url("admin")) as (cutter, url):
        outside = {"SARABAN_NATS_URL": url, "SARABAN_NATS_MONITOR_URL": own_nats_server.monitor_url}
        gateway = Gateway(tmp_path / "data", env=outside)
        await asyncio.to_thread(gateway.start)
        try:
            async with storm(gateway, tmp_path) as at:
                for number, ack in enumerate(islice(cycle(ACKS), CUTS), 1):
                    await at.harm(partial(cutter.arm, ack))
                    await at.until(partial(_has_cut, cutter, number), f"ack {number} is lost")
                    await at.recovered()
                await at.settled()
        finally:
            await asyncio.to_thread(gateway.stop)
    assert cutter.cuts == CUTS


def _has_cut(cutter: AckCutter, number: int) -> bool:
    return cutter.cuts >= number
