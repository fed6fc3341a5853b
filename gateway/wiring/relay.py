"""The relay put together: how patient it is, and what the DNS says of hosts."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

from gateway.adapters.at_dot import kept_at_dot
from gateway.adapters.resolver import DnsResolver
from gateway.adapters.sts_policy import PolicyHosts
from gateway.adapters.system import entropy
from gateway.adapters.write_ahead import JetStreamWriteAhead
from gateway.domain.pace import Bounds
from gateway.domain.retries import RetrySchedule
from gateway.domain.targets import Reach
from gateway.processes import maillog
from gateway.processes.relay.connection import Timeouts
from gateway.processes.relay.paces import PaceRows
from gateway.processes.relay.relay import Means, Relay
from gateway.processes.relay.sights import SightRows
from gateway.processes.relay.watching import Watch
from gateway.processes.relay.ways import MailHosts
from gateway.processes.relay.words import StsPolicies, Words
from gateway.processes.relay.work import QueueRows
from gateway.processes.trusting import verifying_context
from gateway.settings import Settings, split_address, split_networks, split_servers
from gateway.wiring.ground import Ground, ground


async def run(settings: Settings, serving: Callable[[], None]) -> None:
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
            bounds=bounds_of(settings),
            schedule=schedule_of(settings),
            timeouts=timeouts_of(settings),
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
            paces=PaceRows(
                pool,
                g.clock,
                entropy,
                bounds=means.bounds,
                holder=at_dot.token,
                probe_first=means.schedule.first_delay,
            ),
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


def bounds_of(settings: Settings) -> Bounds:
    return Bounds(settings.relay_concurrency, settings.relay_mails_a_minute or None)


def schedule_of(settings: Settings) -> RetrySchedule:
    first, longest = settings.relay_retry_first_s, settings.relay_retry_longest_s
    return RetrySchedule(timedelta(seconds=first), timedelta(seconds=longest))


def timeouts_of(settings: Settings) -> Timeouts:
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
