"""The composition root: the only file that knows adapters and processes, and joins them (architecture §3).

One function per role; each opens what it needs in `async with`, so everything is closed in order whatever
happens. No conditions on behaviour here: what differs by settings is a value that is handed down.
"""

import asyncio
import os
import platform
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

from gateway.adapters import jetstream, s3
from gateway.adapters.content import KeptContents
from gateway.adapters.jetstream.leases import JetStreamLeases
from gateway.adapters.jetstream.notifier import JetStreamNotifier
from gateway.adapters.keys import JetStreamKeyStore, load_master_key
from gateway.adapters.openid import OpenIdTokens
from gateway.adapters.spool import DiskSpool
from gateway.adapters.system import SystemClock, entropy, has_space
from gateway.adapters.tls import channel_binding
from gateway.adapters.write_ahead import JetStreamWriteAhead
from gateway.domain.events import Actor, By, ConsumerHeld, ConsumerReleased
from gateway.domain.histories import consumer_history
from gateway.domain.quota import QuotaRule
from gateway.ports import Clock, ContentStore, Entropy, EventLog, KeyStore, Lane
from gateway.processes import maillog
from gateway.processes.edge.acceptance import Acceptance
from gateway.processes.edge.connection import EdgeServices
from gateway.processes.edge.listener import Edge, EdgeConfig, Listener
from gateway.processes.edge.rates import RateLimits, Rates
from gateway.processes.edge.recipients import Recipients
from gateway.processes.edge.refusals import Refusals
from gateway.processes.edge.sessions import Sessions
from gateway.processes.intake import Intake
from gateway.processes.packer import packing
from gateway.processes.projector import following
from gateway.processes.readiness import ready
from gateway.processes.relay.relay import Means, Relay
from gateway.processes.relay.work import QueueRows
from gateway.processes.router.decisions import Decisions
from gateway.processes.router.directory import DirectoryRows
from gateway.processes.router.lists import Lists
from gateway.processes.router.reports import Reports
from gateway.processes.router.router import Router
from gateway.processes.signin.people import PeopleRows
from gateway.processes.signin.signin import SignIns
from gateway.processes.steward import expiring, release, sweep
from gateway.processes.web.figures import Gauge
from gateway.processes.web.office import Office
from gateway.processes.web.serving import SecureListener, serve
from gateway.protocols.sasl.mechanisms import offered
from gateway.protocols.smtp.config import SessionConfig
from gateway.settings import Settings, split_networks
from projections import checkpoint
from projections.checkpoint import Projection
from projections.content.project import ContentModel
from projections.content.query import ContentRows
from projections.directory.project import DirectoryModel
from projections.directory.query import Addressing
from projections.keyring import Keyring
from projections.mailbox.project import MailboxModel
from projections.queue import leases as relay_leases
from projections.queue.project import QueueModel
from projections.quota.project import QuotaModel
from projections.readmodel import Pool, ReadModel, open_pool
from projections.trace.log import TrafficDays
from projections.trace.project import TraceModel

# Directory first: the others' readers look there before anything else.
READ_MODELS: Final[tuple[type[ReadModel], ...]] = (
    DirectoryModel,
    MailboxModel,
    QuotaModel,
    QueueModel,
    TraceModel,
    ContentModel,
)
CONSUMERS: Final = (*(model.name for model in READ_MODELS), "router")
HOLD_S_MAX: Final = 30 * 24 * 3600  # RFC 4865 §3; what people who sign in may ask for
SWEEP_EVERY: Final = timedelta(hours=1)


# --- what roles are made of ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ground:
    """What every role stands on: the log, the keys, the clock, and who it is."""

    settings: Settings
    role: str
    link: jetstream.Link
    log: jetstream.JetStreamLog
    keys: JetStreamKeyStore
    clock: Clock
    by: By

    @property
    def lane_name(self) -> str:
        """One lane per process: its role, this host and which of several it is."""
        host = "".join(c if c.isalnum() else "_" for c in platform.node()) or "host"
        return f"{self.role}-{host}-{self.settings.instance}"

    def lane(self) -> AbstractAsyncContextManager[Lane]:
        """This process's own."""
        return self._open_lane(self.lane_name)

    def active_lane(self, work: str = "active") -> AbstractAsyncContextManager[Lane]:
        """The one lane of a role that is active once: whoever opens it deposes the former, on any host.

        work: what of the role's it is for, where it has several.
        """
        return self._open_lane(f"{self.role}-{work}-0")

    def _open_lane(self, name: str) -> AbstractAsyncContextManager[Lane]:
        actor = Actor("system", self.role)
        return jetstream.open_lane(self.log, name, clock=self.clock, actor=actor, by=self.by)

    @asynccontextmanager
    async def rows(self, size: int = 8) -> AsyncIterator[Pool]:
        """The rows. Raises LogCorrupt, now or later (in an ExceptionGroup), when the log no longer holds what
        they were folded from: a server that was away may come back with less.
        """
        line_was_lost = asyncio.Event()
        async with open_pool(self.settings.postgres_dsn, size=size) as pool:
            await checkpoint.compare_all(pool, self.log)
            with self.link.when_regained(line_was_lost.set):
                async with asyncio.TaskGroup() as group:
                    comparing = checkpoint.keep_comparing(pool, self.log, line_was_lost, self.clock)
                    task = group.create_task(comparing, name="compare log and rows")
                    yield pool
                    task.cancel()

    @asynccontextmanager
    async def write_ahead(self) -> AsyncIterator[JetStreamWriteAhead]:
        """A lane of its own in CT."""
        actor = Actor("system", self.role)
        async with jetstream.open_content_lane(
            self.link, self.lane_name, clock=self.clock, actor=actor, by=self.by
        ) as lane:
            yield JetStreamWriteAhead(self.link, lane, self.lane_name)

    def objects(self) -> AbstractAsyncContextManager[s3.S3Store]:
        settings = self.settings
        return s3.connect(
            settings.s3_endpoint,
            settings.s3_access_key,
            settings.s3_secret_key,
            secure=settings.s3_secure,
            bucket=settings.s3_bucket,
        )

    def contents(self, pool: Pool, write_ahead: JetStreamWriteAhead, objects: s3.S3Store) -> KeptContents:
        return KeptContents(
            write_ahead=write_ahead, objects=objects, places=ContentRows(pool), keys=self.keys, log=self.log
        )


@asynccontextmanager
async def ground(settings: Settings, role: str) -> AsyncIterator[Ground]:
    """Connect, check the log, load the master key. Raises Unavailable, Misconfigured, BadMasterKey."""
    clock = SystemClock()
    by = By(role, version("saraban"), settings.digest)
    async with jetstream.connect(settings.nats_url, name=f"{role}-{settings.instance}") as link:
        log = await jetstream.open_log(link)
        master_key = load_master_key(master_key_file(settings))
        keys = JetStreamKeyStore(link, master_key, clock=clock, entropy=entropy)
        yield Ground(settings, role, link, log, keys, clock, by)


def master_key_file(settings: Settings) -> Path:
    return settings.master_key_file or settings.data / "secrets" / "master.key"


def models(keys: KeyStore) -> list[ReadModel]:
    """Every read model, sharing one keyring."""
    ring = Keyring(keys)
    return [
        DirectoryModel(ring),
        MailboxModel(ring),
        QuotaModel(),
        QueueModel(ring),
        TraceModel(ring),
        ContentModel(),
    ]


# --- before any role starts ---------------------------------------------------------------------------


async def prepare(settings: Settings) -> None:
    """Make what is missing of streams, tables and bucket; check servers that are not ours.

    Needs NATS' `admin`. Raises Misconfigured or Unavailable, naming the server and what it must be.
    """
    if not settings.nats_monitor_url:
        raise jetstream.Misconfigured(
            "SARABAN_NATS_MONITOR_URL is needed with SARABAN_NATS_URL (such as http://127.0.0.1:8222): "
            "it shows whether the server syncs before it acknowledges"
        )
    await jetstream.check_server(settings.nats_monitor_url)
    async with jetstream.connect(settings.nats_url, name="prepare") as link:
        await jetstream.prepare(link, settings.ct_octets_max)
    async with ground(settings, "prepare") as g, open_pool(settings.postgres_dsn) as pool:
        await checkpoint.create(pool, models(g.keys))
        await g.keys.check()
        await checkpoint.compare_all(pool, g.log)
        await relay_leases.create(pool)
        async with g.objects() as objects:
            if await g.log.last() == 0:  # later a bucket that is not there is lost, or named wrong
                await objects.make_bucket()
            await objects.check()


# --- roles ----------------------------------------------------------------------------------------------


async def run_role(role: str, settings: Settings) -> None:
    """Run one role until cancelled. Its end by an error ends the process; the supervisor starts it again."""
    maillog.configure(role, settings.log_level)
    serving = partial(ready, os.environ)
    await ROLES[role](settings, serving)
    maillog.role_stopped()


async def edge(settings: Settings, serving: Callable[[], None]) -> None:
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
        services = EdgeServices(
            acceptance=acceptance,
            recipients=Recipients(pool, g.clock, addressing(settings), since=await g.log.last()),
            refusals=Refusals(keys=g.keys, lane=lane, clock=g.clock, entropy=entropy, by=g.by),
            clock=g.clock,
            new_spool=partial(DiskSpool, spool_folder(settings)),
            idle_timeout_s=settings.smtp_idle_timeout_s,
            tls=server_tls(settings),
            has_space=partial(has_space, settings.data, settings.disk_reserve_octets),
            quota=quota_rule(settings),
            rates=rates(settings),
            session_max_s=settings.smtp_session_max_s,
            sessions=Sessions(lane=lane, keys=g.keys, clock=g.clock, entropy=entropy, by=g.by),
            sign_ins=open_door(g, pool, lane),
        )
        await Edge(EdgeConfig(listeners(settings), settings.listener_connections_max), services).run(serving)


def open_door(g: Ground, pool: Pool, lane: Lane) -> SignIns:
    """Signing in, for one process."""
    return SignIns(
        people=PeopleRows(pool),
        tokens=OpenIdTokens(g.clock, entropy),
        keys=g.keys,
        lane=lane,
        clock=g.clock,
        entropy=entropy,
        by=g.by,
    )


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
    binding = channel_binding(settings.tls_cert) if settings.tls_cert else None
    people = replace(
        hosts,
        mechanisms=offered(binding),
        channel_binding=binding,
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
        decisions = Decisions(
            directory=directory,
            keys=g.keys,
            reports=reports,
            lists=lists,
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
        means = Means(
            hostname=settings.hostname,
            demo=settings.demo,
            connections_max=settings.relay_concurrency,
        )
        maillog.role_ready()
        serving()
        await Relay(
            queue=QueueRows(pool, g.log, g.clock, entropy),
            lane=await enter(g.lane()),
            content=g.contents(pool, JetStreamWriteAhead(g.link), objects),
            keys=g.keys,
            clock=g.clock,
            entropy=entropy,
            by=g.by,
            means=means,
        ).run()


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
        g.rows(2) as pool,
        g.objects() as objects,
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


async def web(settings: Settings, serving: Callable[[], None]) -> None:
    async with ground(settings, "web") as g, g.rows(8) as pool, g.lane() as lane:
        sign_ins = open_door(g, pool, lane)
        office = Office(g.log, pool, g.keys, g.clock, entropy, g.by, sign_ins)
        tls = server_tls(settings)
        secure = SecureListener(settings.listen_https, tls) if tls and settings.listen_https else None
        await serve(gauge(g, pool), settings.listen_http, serving, office=office, secure=secure)


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


def gauge(g: Ground, pool: Pool) -> Gauge:
    return Gauge(
        log=g.log,
        pool=pool,
        write_ahead=JetStreamWriteAhead(g.link),
        models=READ_MODELS,
        shares=g.settings.router_shares,
        data=g.settings.data,
        clock=g.clock,
    )


def addressing(settings: Settings) -> Addressing:
    """How edge and router read addresses, both alike."""
    return Addressing(settings.hostname, settings.plus_addressing)


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


def quota_rule(settings: Settings) -> QuotaRule:
    """When edge and router say that a mailbox is full."""
    return QuotaRule(timedelta(hours=settings.quota_grace_h), settings.quota_spares_offices)


def spool_folder(settings: Settings) -> Path:
    """Where messages on their way in lie, unlinked; made when it is not there."""
    folder = settings.data / "spool"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def server_tls(settings: Settings) -> ssl.SSLContext | None:
    """What we show to clients; None without a certificate."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context


# --- the operator's desk ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Desk:
    """What the command line works with."""

    settings: Settings
    log: EventLog
    pool: Pool
    keys: KeyStore
    content: ContentStore
    clock: Clock
    entropy: Entropy
    by: By
    gauge: Gauge
    lane: Callable[[], AbstractAsyncContextManager[Lane]]

    def models(self) -> Sequence[ReadModel]:
        return models(self.keys)

    async def holds(self, consumer: str) -> set[int]:
        """Positions the consumer passes over."""
        held: set[int] = set()
        for recorded in await self.log.history(consumer_history(consumer)):
            match recorded.event:
                case ConsumerHeld(position=position):
                    held.add(position)
                case ConsumerReleased(position=position):
                    held.discard(position)
        return held


@asynccontextmanager
async def open_desk(settings: Settings) -> AsyncIterator[Desk]:
    """Everything a command may need. Raises Unavailable, naming the server that does not answer."""
    async with (
        ground(settings, "cli") as g,
        open_pool(settings.postgres_dsn, size=4) as pool,
        g.objects() as objects,
    ):
        content = g.contents(pool, JetStreamWriteAhead(g.link), objects)
        actor = Actor("system", "cli")
        # Commands run side by side: each has a lane of its own.
        lane = partial(
            jetstream.open_lane,
            g.log,
            f"{g.lane_name}-{os.getpid()}",
            clock=g.clock,
            actor=actor,
            by=g.by,
        )
        yield Desk(settings, g.log, pool, g.keys, content, g.clock, entropy, g.by, gauge(g, pool), lane)
