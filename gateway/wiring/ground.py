"""What every role stands on: log, keys, clock, rows and stores, opened in order and closed in order."""

import asyncio
import platform
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from gateway.adapters import jetstream, s3
from gateway.adapters.content import KeptContents
from gateway.adapters.keys import JetStreamKeyStore, load_master_key
from gateway.adapters.system import SystemClock, entropy
from gateway.adapters.write_ahead import JetStreamWriteAhead
from gateway.domain.events import Actor, By
from gateway.ports import Clock, KeyStore, Lane
from gateway.processes.web.figures import Gauge
from gateway.settings import Settings
from projections import checkpoint, texts
from projections.bans.project import BansModel
from projections.content.project import ContentModel
from projections.content.query import ContentRows
from projections.directory.project import DirectoryModel
from projections.keyring import Keyring
from projections.mailbox.project import MailboxModel
from projections.queue import leases as relay_leases
from projections.queue.project import QueueModel
from projections.readmodel import Pool, ReadModel, open_pool
from projections.trace.project import TraceModel

# Directory first: the others' readers look there before anything else.
READ_MODELS: Final[tuple[type[ReadModel], ...]] = (
    DirectoryModel,
    MailboxModel,
    QueueModel,
    TraceModel,
    ContentModel,
    BansModel,
)
CONSUMERS: Final = (*(model.name for model in READ_MODELS), "router")


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

    def gauge(self, pool: Pool) -> Gauge:
        """What `status`, `/healthz` and `/metrics` say."""
        return Gauge(
            log=self.log,
            pool=pool,
            write_ahead=JetStreamWriteAhead(self.link),
            models=READ_MODELS,
            shares=self.settings.router_shares,
            data=self.settings.data,
            clock=self.clock,
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


def spool_folder(settings: Settings) -> Path:
    """Where messages on their way in lie, unlinked; made when it is not there."""
    folder = settings.data / "spool"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def models(keys: KeyStore) -> list[ReadModel]:
    """Every read model, sharing one keyring."""
    ring = Keyring(keys)
    return [
        DirectoryModel(ring),
        MailboxModel(ring),
        QueueModel(ring),
        TraceModel(ring),
        ContentModel(),
        BansModel(ring),
    ]


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
        await texts.create(pool)
        async with g.objects() as objects:
            if await g.log.last() == 0:  # later a bucket that is not there is lost, or named wrong
                await objects.make_bucket()
            await objects.check()
