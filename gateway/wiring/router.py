"""The router put together: one share of the mails, and what it decides them by."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta

from gateway.adapters.system import entropy
from gateway.processes import maillog
from gateway.processes.router.decisions import Decisions
from gateway.processes.router.directory import DirectoryRows
from gateway.processes.router.forwards import Forwards
from gateway.processes.router.lists import Lists
from gateway.processes.router.reports import Reports
from gateway.processes.router.router import Router
from gateway.settings import Settings
from gateway.wiring.ground import ground
from gateway.wiring.rules import addressing, quota_rule


async def run(settings: Settings, serving: Callable[[], None]) -> None:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        g = await enter(ground(settings, "router"))
        pool = await enter(g.rows(4))
        objects = await enter(g.objects())
        write_ahead = await enter(g.write_ahead())
        directory = DirectoryRows(pool, addressing(settings))
        content = g.contents(pool, write_ahead, objects)
        reports = Reports(
            log=g.log,
            content=content,
            keys=g.keys,
            clock=g.clock,
            entropy=entropy,
            by=g.by,
            hostname=settings.hostname,
        )
        lists = Lists(
            log=g.log,
            content=content,
            keys=g.keys,
            clock=g.clock,
            entropy=entropy,
            by=g.by,
        )
        forwards = Forwards(
            log=g.log,
            content=content,
            keys=g.keys,
            clock=g.clock,
            entropy=entropy,
            by=g.by,
        )
        decisions = Decisions(
            directory=directory,
            keys=g.keys,
            reports=reports,
            lists=lists,
            forwards=forwards,
            clock=g.clock,
            entropy=entropy,
            by=g.by,
            give_up_after=timedelta(hours=settings.relay_give_up_after_h),
            quota=quota_rule(settings),
        )
        maillog.role_ready(share=str(settings.instance))
        serving()
        await Router(
            share=settings.instance,
            shares=settings.router_shares,
            log=g.log,
            directory=directory,
            decisions=decisions,
            clock=g.clock,
            by=g.by,
        ).run()
