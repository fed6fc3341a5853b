"""IMAP put together."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from gateway.adapters.spool import DiskSpool
from gateway.processes.imap.connection import Lobby
from gateway.processes.imap.listener import imap
from gateway.processes.imap.services import ImapServices
from gateway.settings import Settings
from gateway.wiring.access import listeners, open_access
from gateway.wiring.ground import ground, spool_folder


async def run(settings: Settings, serving: Callable[[], None]) -> None:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        g = await enter(ground(settings, "imap"))
        pool = await enter(g.rows(8))
        lane = await enter(g.lane())
        access = await enter(open_access(g, pool, lane))
        services = ImapServices(
            hostname=settings.hostname,
            clock=g.clock,
            sign_ins=access.sign_ins,
            accounts=access.accounts,
            new_spool=partial(DiskSpool, spool_folder(settings)),
            idle_timeout_s=settings.imap_idle_timeout_s,
            message_octets_max=settings.message_octets_max,
            begin=Lobby.begun,
        )
        at = listeners(settings, "imap", settings.listen_imap, settings.listen_imaps)
        await imap(at, access.house, access.reception, services).run(serving)
