"""POP3 put together."""

from collections.abc import Callable
from contextlib import AsyncExitStack

from gateway.adapters.system import entropy
from gateway.adapters.write_ahead import JetStreamWriteAhead
from gateway.processes.changing import Changing
from gateway.processes.pop3.listener import pop3
from gateway.processes.pop3.maildrops import Maildrops
from gateway.processes.pop3.services import InUse, Pop3Services
from gateway.processes.reading import Reading
from gateway.settings import Settings
from gateway.wiring.access import listeners, open_access
from gateway.wiring.ground import ground


async def run(settings: Settings, serving: Callable[[], None]) -> None:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        g = await enter(ground(settings, "pop3"))
        pool = await enter(g.rows(4))
        objects = await enter(g.objects())
        lane = await enter(g.lane())
        access = await enter(open_access(g, pool, lane))
        changing = Changing(log=g.log, lane=lane, pool=pool, clock=g.clock)
        await enter(changing.watching())
        maildrops = Maildrops(
            pool=pool,
            content=g.contents(pool, JetStreamWriteAhead(g.link), objects),
            keys=g.keys,
            lane=lane,
            changing=changing,
            reading=Reading(g.keys, entropy),
            clock=g.clock,
            by=g.by,
        )
        services = Pop3Services(
            hostname=settings.hostname,
            sign_ins=access.sign_ins,
            maildrops=maildrops,
            in_use=InUse(),
            idle_timeout_s=settings.pop3_idle_timeout_s,
        )
        at = listeners(settings, "pop3", settings.listen_pop3, settings.listen_pop3s)
        await pop3(at, access.house, access.reception, services).run(serving)
