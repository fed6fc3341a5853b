"""The edge put together: what it listens on, and which limits it keeps."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Final

from gateway.adapters.spool import DiskSpool
from gateway.adapters.system import SystemClock, entropy, has_space
from gateway.processes.edge.acceptance import Acceptance
from gateway.processes.edge.listener import Edge, EdgeConfig, Listener
from gateway.processes.edge.outward import Outward
from gateway.processes.edge.rates import RateLimits, Rates
from gateway.processes.edge.recipients import Recipients
from gateway.processes.edge.refusals import Refusals
from gateway.processes.edge.services import EdgeServices
from gateway.processes.intake import Intake
from gateway.processes.listening.certificates import ShownCertificates
from gateway.processes.listening.sessions import Sessions
from gateway.processes.return_paths import ReturnPaths
from gateway.protocols.sasl.mechanisms import EVERY
from gateway.protocols.smtp.config import SessionConfig
from gateway.settings import Settings, split_networks
from gateway.wiring.doors import bans_of, certificate_files, open_door
from gateway.wiring.ground import ground, spool_folder
from gateway.wiring.rules import addressing, quota_rule

HOLD_S_MAX: Final = 30 * 24 * 3600  # RFC 4865 §3; what people who sign in may ask for


async def run(settings: Settings, serving: Callable[[], None]) -> None:
    files = certificate_files(settings)
    tls = None if files is None else ShownCertificates(files, SystemClock())
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        g = await enter(ground(settings, "edge"))
        pool = await enter(g.rows(4))
        objects = await enter(g.objects())
        write_ahead = await enter(g.write_ahead())
        lane = await enter(g.lane())
        acceptance = Acceptance(
            hostname=settings.hostname,
            by=g.by,
            lane=lane,
            intake=Intake(g.contents(pool, write_ahead, objects), g.keys, entropy),
            clock=g.clock,
            entropy=entropy,
        )
        bans = await enter(bans_of(g, pool, lane).watching())
        services = EdgeServices(
            acceptance=acceptance,
            recipients=Recipients(
                pool,
                g.clock,
                addressing(settings),
                since=await g.log.last(),
                return_paths=ReturnPaths(log=g.log, keys=g.keys, clock=g.clock),
            ),
            refusals=Refusals(keys=g.keys, lane=lane, clock=g.clock, entropy=entropy, by=g.by),
            clock=g.clock,
            new_spool=partial(DiskSpool, spool_folder(settings)),
            idle_timeout_s=settings.smtp_idle_timeout_s,
            tls=tls,
            has_space=partial(has_space, settings.data, settings.disk_reserve_octets),
            quota=quota_rule(settings),
            rates=rates(settings),
            session_max_s=settings.smtp_session_max_s,
            sessions=Sessions(lane=lane, keys=g.keys, clock=g.clock, entropy=entropy, by=g.by),
            sign_ins=open_door(g, pool, lane, bans),
            bans=bans,
            people_send_out=settings.relay_mx or settings.demo,  # the demo shows what waits
            outward=Outward(pool, g.clock) if settings.relay_mx else None,
        )
        config = EdgeConfig(
            listeners(settings),
            settings.listener_connections_max,
            split_networks(settings.proxy_networks),
        )
        await Edge(config, services).run(serving)


def listeners(settings: Settings) -> list[Listener]:
    """Where an edge listens: for other hosts, and for people, who sign in inside TLS (RFC 6409, RFC 8314)."""
    has_tls = settings.tls_cert is not None and settings.tls_key is not None
    hosts = SessionConfig(
        hostname=settings.hostname,
        message_octets_max=settings.message_octets_max,
        recipients_max=settings.recipients_max,
        envelope_octets_max=settings.envelope_octets_max,
        offers_starttls=has_tls,
    )
    people = replace(
        hosts,
        mechanisms=EVERY,
        needs_sign_in=True,
        hold_s_max=HOLD_S_MAX,
    )
    wanted = [Listener("smtp", settings.listen_smtp, hosts)]
    if has_tls:
        wanted += [
            Listener("submission", settings.listen_submission, people),
            Listener("submissions", settings.listen_submissions, replace(people, is_tls=True)),
        ]
    return [each for each in wanted if each.address]


def rates(settings: Settings) -> Rates:
    """What networks and accounts may do at one edge process."""
    return Rates(
        RateLimits(
            network_connections_max=settings.network_connections_max,
            network_messages_per_hour=settings.network_messages_per_hour,
            network_recipients_per_hour=settings.network_recipients_per_hour,
            account_messages_per_hour=settings.account_messages_per_hour,
            account_recipients_per_hour=settings.account_recipients_per_hour,
            exempt=split_networks(settings.unlimited_networks),
        )
    )
