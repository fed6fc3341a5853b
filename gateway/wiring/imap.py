"""IMAP put together."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from gateway.adapters.aggregates import LoggedAggregates
from gateway.adapters.jetstream.hearing import JetStreamHearing
from gateway.adapters.spool import DiskSpool
from gateway.adapters.system import entropy
from gateway.processes.appending import Appending
from gateway.processes.changing import Changing
from gateway.processes.folders import Folders
from gateway.processes.imap.executing import Mailboxes
from gateway.processes.imap.listener import imap
from gateway.processes.imap.mailroom import Mailroom
from gateway.processes.imap.services import ImapServices
from gateway.processes.reading import Reading
from gateway.processes.transfers import Transfers
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
        contents = g.contents(pool, await enter(g.write_ahead()), await enter(g.objects()))
        changing = Changing(log=g.log, lane=lane, pool=pool, clock=g.clock)
        await enter(changing.watching())
        transfers = Transfers(
            log=g.log, pool=pool, keys=g.keys, changing=changing, clock=g.clock, entropy=entropy, by=g.by
        )
        finishing = await enter(asyncio.TaskGroup())
        task = finishing.create_task(transfers.run(), name="finish moves")
        stack.callback(task.cancel)
        new_spool = partial(DiskSpool, spool_folder(settings))
        room = Mailroom(
            pool=pool,
            content=contents,
            keys=g.keys,
            folders=Folders(
                aggregates=LoggedAggregates(g.log), keys=g.keys, clock=g.clock, entropy=entropy, by=g.by
            ),
            changing=changing,
            appending=Appending(contents, g.keys, entropy),
            reading=Reading(g.keys, entropy),
            transfers=transfers,
            hearing=JetStreamHearing(g.link),
            clock=g.clock,
            by=g.by,
            language=settings.mailbox_language,
            new_spool=new_spool,
            message_octets_max=settings.message_octets_max,
        )
        services = ImapServices(
            hostname=settings.hostname,
            clock=g.clock,
            sign_ins=access.sign_ins,
            accounts=access.accounts,
            new_spool=new_spool,
            idle_timeout_s=settings.imap_idle_timeout_s,
            message_octets_max=settings.message_octets_max,
            begin=partial(Mailboxes.opened, room, settings.imap_idle_timeout_s),
        )
        at = listeners(settings, "imap", settings.listen_imap, settings.listen_imaps)
        await imap(at, access.house, access.reception, services).run(serving)
