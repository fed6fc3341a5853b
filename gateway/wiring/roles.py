"""One function per role; each opens what it needs in `async with`, so everything is closed in order.

No conditions on behaviour here: what differs by settings is a value that is handed down.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Final

from gateway.adapters.at_dot import kept_at_dot
from gateway.adapters.code_flow import OpenIdCodeFlow
from gateway.adapters.jetstream.leases import JetStreamLeases
from gateway.adapters.jetstream.notifier import JetStreamNotifier
from gateway.adapters.resolver import DnsResolver
from gateway.adapters.sts_policy import PolicyHosts
from gateway.adapters.system import allow_open_files, entropy
from gateway.adapters.write_ahead import JetStreamWriteAhead
from gateway.domain.delivery import RetrySchedule
from gateway.domain.targets import Reach
from gateway.domain.trial import Times
from gateway.ports import ContentStore, Lane
from gateway.processes import maillog
from gateway.processes.packer import packing
from gateway.processes.projector import following
from gateway.processes.readiness import ready
from gateway.processes.relay.connection import Timeouts
from gateway.processes.relay.relay import Means, Relay
from gateway.processes.relay.sights import SightRows
from gateway.processes.relay.watching import Watch
from gateway.processes.relay.ways import MailHosts
from gateway.processes.relay.words import StsPolicies, Words
from gateway.processes.relay.work import QueueRows
from gateway.processes.router.decisions import Decisions
from gateway.processes.router.directory import DirectoryRows
from gateway.processes.router.forwards import Forwards
from gateway.processes.router.lists import Lists
from gateway.processes.router.reports import Reports
from gateway.processes.router.router import Router
from gateway.processes.steward import expiring, forgetting, release, retiring, sweep, trials
from gateway.processes.steward.exports import Exports
from gateway.processes.steward.trials import Trials
from gateway.processes.steward.warnings import People, TrialWarnings
from gateway.processes.trusting import verifying_context
from gateway.processes.web.office import CodeFlows, Office
from gateway.processes.web.serving import SecureListener, serve
from gateway.settings import Settings, split_address, split_networks, split_servers
from gateway.wiring.edge import addressing, bans_of, edge, open_door, quota_rule, server_tls
from gateway.wiring.ground import READ_MODELS, Ground, ground, models
from projections.checkpoint import Projection
from projections.content.query import ContentRows
from projections.readmodel import Pool
from projections.trace.log import TrafficDays

SWEEP_EVERY: Final = timedelta(hours=1)


async def run_role(role: str, settings: Settings) -> None:
    """Run one role until cancelled. Its end by an error ends the process; the supervisor starts it again."""
    maillog.configure(role, settings.log_level)
    allow_open_files()
    serving = partial(ready, os.environ)
    await ROLES[role](settings, serving)
    maillog.role_stopped()


async def projector(settings: Settings, serving: Callable[[], None]) -> None:
    async with ground(settings, "projector") as g, g.rows() as pool:
        projections = [Projection(model, pool) for model in models(g.keys)]
        maillog.role_ready()
        serving()
        await following.run(g.log, projections, JetStreamNotifier(g.link), g.clock)


async def router(settings: Settings, serving: Callable[[], None]) -> None:
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


async def relay(settings: Settings, serving: Callable[[], None]) -> None:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        g = await enter(ground(settings, "relay"))
        pool = await enter(g.rows(8))
        objects = await enter(g.objects())
        resolver = DnsResolver(split_servers(settings.dns_servers))
        sights = SightRows(pool)
        means = Means(
            hostname=settings.hostname,
            demo=settings.demo,
            connections_max=settings.relay_concurrency,
            schedule=relay_schedule(settings),
            timeouts=relay_timeouts(settings),
            trusting=partial(verifying_context, settings.relay_ca_file),
            words=_words(g, resolver),
            mail_hosts=_mail_hosts(settings, resolver),
            sights=sights,
        )
        dots = settings.data / "run" / f"relay-{settings.instance}.dots"
        at_dot = stack.enter_context(kept_at_dot(dots, entropy))
        watch = Watch(
            sights=sights,
            log=g.log,
            keys=g.keys,
            clock=g.clock,
            by=g.by,
            hostname=settings.hostname,
            anybody=means.tls_context,
        )
        relay = Relay(
            queue=QueueRows(pool, g.log, g.clock, entropy, at_dot),
            lane=await enter(g.lane()),
            content=g.contents(pool, JetStreamWriteAhead(g.link), objects),
            keys=g.keys,
            clock=g.clock,
            entropy=entropy,
            by=g.by,
            means=means,
        )
        maillog.role_ready()
        serving()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch.run(), name="watch")
            tasks.create_task(relay.run(), name="relay")


def relay_schedule(settings: Settings) -> RetrySchedule:
    first, longest = settings.relay_retry_first_s, settings.relay_retry_longest_s
    return RetrySchedule(timedelta(seconds=first), timedelta(seconds=longest))


def relay_timeouts(settings: Settings) -> Timeouts:
    return Timeouts(
        connect=settings.relay_connect_timeout_s,
        reply=settings.relay_reply_timeout_s,
        data=settings.relay_data_timeout_s,
        block=settings.relay_block_timeout_s,
        conclusion=settings.relay_conclusion_timeout_s,
        mail=settings.relay_mail_timeout_s,
    )


def _mail_hosts(settings: Settings, resolver: DnsResolver) -> MailHosts | None:
    """Where mail of domains that no agency has goes; None: nowhere."""
    if not settings.relay_mx:
        return None
    listening = [settings.listen_smtp] if settings.listen_smtp else []
    reach = Reach(
        hostname=settings.hostname,
        ourselves=frozenset(map(split_address, listening)),
        inside=tuple(split_networks(settings.relay_mx_networks)),
        port=settings.relay_mx_port,
    )
    return MailHosts(resolver, reach, entropy)


def _words(g: Ground, resolver: DnsResolver) -> Words:
    """What the DNS and domains say of hosts, as far as there is somebody to believe."""
    hosts = PolicyHosts(resolver, verifying_context(g.settings.relay_ca_file))
    return Words(resolver if resolver.is_believed else None, StsPolicies(resolver, hosts, g.clock))


async def packer(settings: Settings, serving: Callable[[], None]) -> None:
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


async def steward(settings: Settings, serving: Callable[[], None]) -> None:
    async with (
        ground(settings, "steward") as g,
        g.rows(4) as pool,
        g.objects() as objects,
        g.write_ahead() as write_ahead,
    ):
        maillog.role_ready()
        serving()
        leases = JetStreamLeases(g.link, g.clock)
        async with asyncio.TaskGroup() as group:
            group.create_task(
                sweep.run(
                    objects,
                    ContentRows(pool),
                    g.log,
                    g.clock,
                    leases,
                    grace=timedelta(hours=settings.sweep_grace_h),
                    every=SWEEP_EVERY,
                ),
                name="sweep objects",
            )
            group.create_task(
                expiring.run(
                    TrafficDays(pool),
                    partial(g.active_lane, "traffic"),
                    g.clock,
                    leases,
                    by=g.by,
                    keep_days=settings.trace_days,
                    every=SWEEP_EVERY,
                ),
                name="expire traffic",
            )
            group.create_task(
                release.run(
                    release.HeldRows(pool), g.log, g.clock, g.by, leases, partial(g.active_lane, "release")
                ),
                name="release mails",
            )
            group.create_task(
                trials.run(
                    partial(_trials, g, pool, g.contents(pool, write_ahead, objects)),
                    partial(g.active_lane, "trials"),
                    g.clock,
                    leases,
                ),
                name="see to trials",
            )
            group.create_task(retiring.run(pool, READ_MODELS, g.clock, leases), name="retire rows")
            group.create_task(forgetting.run(g.keys, g.clock, leases), name="forget secrets")


def _trials(g: Ground, pool: Pool, content: ContentStore, lane: Lane) -> Trials:
    """What falls due with trials, by the settings' times."""
    settings, people = g.settings, People(pool)
    return Trials(
        on_trial=people,
        warnings=TrialWarnings(
            people=people,
            content=content,
            keys=g.keys,
            entropy=entropy,
            hostname=settings.hostname,
            grace_days=settings.trial_grace_days,
        ),
        leaving=Exports(
            folder=settings.trial_exports or settings.data / "exports",
            pool=pool,
            log=g.log,
            lane=lane,
            content=content,
            keys=g.keys,
            clock=g.clock,
            entropy=entropy,
            by=g.by,
        ),
        log=g.log,
        keys=g.keys,
        clock=g.clock,
        by=g.by,
        times=Times(
            warn_days=(settings.trial_first_warning_days, settings.trial_last_warning_days),
            grace=timedelta(days=settings.trial_grace_days),
        ),
    )


async def web(settings: Settings, serving: Callable[[], None]) -> None:
    async with (
        ground(settings, "web") as g,
        g.rows(8) as pool,
        g.lane() as lane,
        bans_of(g, pool, lane).watching() as bans,
    ):
        sign_ins = open_door(g, pool, lane, bans)
        url = settings.public_url.rstrip("/")
        flows = CodeFlows(OpenIdCodeFlow(g.clock), url) if url else None
        figures = g.gauge(pool)
        office = Office(
            g.log,
            pool,
            g.keys,
            g.clock,
            entropy,
            g.by,
            sign_ins,
            flows,
            settings.trial_days,
            lane=lane,
            figures=figures.read,
            mail_ports=settings.mail_ports,
            needs_totp=settings.roles_need_totp,
        )
        tls = server_tls(settings)
        secure = SecureListener(settings.listen_https, tls) if tls and settings.listen_https else None
        await serve(figures, settings.listen_http, serving, office=office, secure=secure)


Role = Callable[[Settings, Callable[[], None]], Awaitable[None]]
ROLES: Final[dict[str, Role]] = {
    "edge": edge,
    "router": router,
    "relay": relay,
    "packer": packer,
    "projector": projector,
    "steward": steward,
    "web": web,
}
