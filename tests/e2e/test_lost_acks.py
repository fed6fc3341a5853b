"""Acceptance 4: an ack is lost: no mail doubled, none with 250 missing, none with 451 delivered."""

import asyncio
from itertools import cycle, islice
from pathlib import Path

from tests.conftest import RunningNats
from tests.e2e.gateway import Gateway
from tests.e2e.proxy import ACKS, ack_cutter
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
                    cutter.arm(ack)

                    def is_cut(number: int = number) -> bool:
                        return cutter.cuts >= number

                    await at.until(is_cut, f"ack {number} is lost")
                    await at.harm(lambda: None)  # a relay's ack may be among them
                    await at.acknowledged(5)
                await at.settled()
        finally:
            await asyncio.to_thread(gateway.stop)
    assert cutter.cuts == CUTS
