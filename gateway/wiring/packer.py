"""The packer put together."""

from collections.abc import Callable

from gateway.adapters.jetstream.leases import JetStreamLeases
from gateway.adapters.system import entropy
from gateway.adapters.write_ahead import JetStreamWriteAhead
from gateway.processes import maillog
from gateway.processes.packer import packing
from gateway.settings import Settings
from gateway.wiring.ground import ground
from projections.content.query import ContentRows


async def run(settings: Settings, serving: Callable[[], None]) -> None:
    async with (
        ground(settings, "packer") as g,
        g.rows(2) as pool,
        g.objects() as objects,
    ):
        world = packing.World(
            write_ahead=JetStreamWriteAhead(g.link),
            objects=objects,
            places=ContentRows(pool),
            log=g.log,
            clock=g.clock,
            entropy=entropy,
            by=g.by,
            keep_s=settings.packer_keep_s,
        )
        maillog.role_ready()
        serving()
        await packing.run(world, JetStreamLeases(g.link, g.clock), g.active_lane)
