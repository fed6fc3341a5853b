"""Runs a whole gateway in the foreground: servers, then roles; brings back what crashes; stops all in order.

Every child dies with the supervisor (children.py); what is left nevertheless is ended at the next start
(orphans.py). Nothing is in memory only: killed at any moment, the next start resumes.
"""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from gateway.processes.trusting import verifying_context
from gateway.processes.up import certificates, forking, nexthop, orphans
from gateway.processes.up.announcement import Announcement, Gateway, as_text
from gateway.processes.up.children import Child, Launch, NotReady, StartFailed
from gateway.processes.up.disk import Disk
from gateway.processes.up.folder import NO_SPACE, DataFolder
from gateway.processes.up.nats_server import NatsServer
from gateway.processes.up.ports import SERVED, Ports
from gateway.processes.up.servers import Servers
from gateway.processes.up.watch import Watch
from gateway.settings import Settings

# The order is that of starting; stopping is all at once, before the servers.
ROLES: Final = ("projector", "packer", "router", "relay", "steward", "web", "edge", "imap", "pop3")
BACK_OFF_FIRST_S: Final = 0.5
BACK_OFF_MAX_S: Final = 30.0
ROLE_PATIENCE_S: Final = 300.0  # a role may have to wait for a server that is just coming back
TELL_AGAIN_AFTER_S: Final = 1.0
STEADY_AFTER_S: Final = 30.0  # who ran that long starts again at once

Accounts = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Work:
    """What the supervisor has others do: the composition root gives it adapters and roles."""

    prepare: Callable[[Settings], Awaitable[None]]  # streams, schemas, bucket; checks external servers
    demo: Callable[[Settings], Awaitable[Accounts]]  # makes the demonstration if it is not there
    role: Callable[[str], None]  # runs one, by the settings of its environment, until it is told to stop
    modules: tuple[str, ...]  # what roles need, loaded once for all of them
    roles: tuple[str, ...] = ROLES


class Service:
    """One program that is kept running."""

    def __init__(self, name: str, start: Callable[[], Awaitable[Child]], *, is_server: bool) -> None:
        self.name, self.is_server = name, is_server
        self._start = start
        self.child: Child | None = None

    async def start(self) -> None:
        self.child = await self._start()


class Supervisor:
    """One `saraban up`. Make it, `run` it; cancelling `run` stops everything in order."""

    def __init__(
        self, folder: DataFolder, settings: Settings, ports: Ports, work: Work, say: Callable[[str], None]
    ) -> None:
        self._folder, self._ports, self._work, self._tell = folder, ports, work, say
        self._settings = replace(settings, data=folder.root)
        self._services: list[Service] = []
        self._urls: dict[str, str] = {}
        self._accounts: Accounts = ()
        self._maildir = folder.root / "dld.go.th" / "Maildir" if settings.demo else None
        self._is_ready = False
        self._untold: asyncio.TimerHandle | None = None  # an announcement the disk had no room for
        self._nats: NatsServer | None = None  # None: it is not ours
        self._room = asyncio.Event()  # of the disk: set and replaced when there is room again

    async def run(self, *, ephemeral: bool, ready_file: Path | None = None) -> None:
        """Start everything, say so, and keep it running until cancelled. Raises StartFailed."""
        began = time.monotonic()
        if ready_file is not None:
            _prepare_ready_file(ready_file)
        for name in await orphans.end(self._children_file):
            self._say(f"ended {name}, left over from a supervisor that was killed")
        forking.load(self._work.modules)  # beside the servers' start
        self._make_secrets()
        self._settings = self._ports.for_peers(self._settings, ephemeral=ephemeral)
        try:
            await self._start_servers()
            self._say("preparing streams, tables and bucket")
            await self._work.prepare(self._settings)
            async with asyncio.TaskGroup() as keepers:
                await self._start_roles(keepers)
                if self._settings.demo:
                    self._say("making the demonstration")
                    self._accounts = await self._work.demo(self._settings)
                self._is_ready = True
                self._announce()
                if ready_file is not None:
                    self._announcement.write_ready_file(ready_file)
                for line in as_text(self._announcement, time.monotonic() - began, self._maildir):
                    self._say(line)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None  # the keepers never fail: it is what preparing raised
        finally:
            if ready_file is not None:
                _forget(ready_file)
            await asyncio.shield(self._stop())

    # --- starting ----------------------------------------------------------------------------------

    def _make_secrets(self) -> None:
        folder, settings = self._folder, self._settings
        if settings.master_key_file is None:
            folder.make_master_key()
        made = certificates.self_made(folder.tls, folder.secrets, settings.hostname, certificates.utc_now())
        if bool(settings.tls_cert) != bool(settings.tls_key):
            raise StartFailed("a TLS certificate and its key are set together (--tls-cert, --tls-key)")
        if settings.tls_cert and settings.tls_key:
            certificates.check(settings.tls_cert, settings.tls_key)
        verifying_context(settings.relay_ca_file)
        self._authority = made.authority
        self._settings = replace(
            settings,
            master_key_file=settings.master_key_file or folder.master_key,
            tls_cert=settings.tls_cert or made.chain,
            tls_key=settings.tls_key or made.key,
        )

    async def _start_servers(self) -> None:
        """Start the servers that are not given by settings: NATS and PostgreSQL, then S3."""
        settings, credentials = self._settings, self._folder.credentials()
        servers = Servers.in_folder(self._folder.root, credentials, self._ports.for_servers())
        first = []
        if not settings.nats_url:
            first.append(Service("nats", servers.nats.start, is_server=True))
            self._nats = servers.nats
            self._urls = {user: servers.nats.url(user) for user in credentials.nats if user != "sys"}
            settings = replace(
                settings, nats_url=self._urls["admin"], nats_monitor_url=servers.nats.monitor_url
            )
        if not settings.postgres_dsn:
            settings = replace(settings, postgres_dsn=servers.postgres.dsn())
        if not (self._settings.postgres_dsn and settings.s3_endpoint):
            first.append(Service("postgres", servers.postgres.start, is_server=True))
        await self._start(first)
        if not settings.s3_endpoint:
            await self._start([Service("s3", servers.s3.start, is_server=True)])
            settings = replace(
                settings,
                s3_endpoint=servers.s3.endpoint,
                s3_access_key=credentials.s3_access_key,
                s3_secret_key=credentials.s3_secret_key,
                s3_secure=False,
            )
        self._settings = settings

    async def _start_roles(self, keepers: asyncio.TaskGroup) -> None:
        """Start all roles and wait until each serves; from then on every child is kept running."""
        if self._settings.demo and not self._settings.demo_next_hop:
            self._settings = replace(self._settings, demo_next_hop=self._ports.for_demo())
        self._announce()
        for service in self._services:
            keepers.create_task(self._keep(service), name=f"keep {service.name}")
        keepers.create_task(self._watch().run(), name="watch")
        serving = []
        for service in self._planned_roles():
            self._services.append(service)
            serves = asyncio.Event()
            serving.append(serves)
            keepers.create_task(self._keep(service, serves), name=f"keep {service.name}")
        for serves in serving:
            await serves.wait()

    def _planned_roles(self) -> list[Service]:
        settings = self._settings
        many = {
            "edge": settings.edges,
            "imap": settings.imap_processes,
            "router": settings.router_shares,
            "relay": settings.relays,
        }
        planned = []
        if self._maildir is not None:
            next_hop = partial(nexthop.run, self._settings.demo_next_hop, self._maildir)
            planned.append(Service("dld", lambda: self._start_role("dld", next_hop, {}), is_server=False))
        for role in self._work.roles:
            for instance in range(many.get(role, 1)):
                planned.append(self._planned(role, instance))
        return planned

    def _planned(self, role: str, instance: int) -> Service:
        name = role if instance == 0 else f"{role}-{instance + 1}"

        async def start() -> Child:
            settings = replace(
                self._settings, instance=instance, nats_url=self._urls.get(role, self._settings.nats_url)
            )
            return await self._start_role(name, partial(self._work.role, role), settings.environment)

        return Service(name, start, is_server=False)

    async def _start_role(self, name: str, work: Callable[[], None], environment: Mapping[str, str]) -> Child:
        """Start one role and wait until it says that it serves. Raises StartFailed."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        log = self._folder.logs / f"{name}.log"
        try:
            child = Child(Launch(name, work, log, environment, ready_fd=writing))
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(writing)

        async def said_so() -> None:
            try:
                said = os.read(reading, 100)
            except BlockingIOError:
                raise NotReady("it has not said that it serves") from None
            if not said:
                raise NotReady("it closed its line without saying that it serves")

        try:
            await child.ready(said_so, ROLE_PATIENCE_S)
        except BaseException:
            child.kill()
            raise
        finally:
            os.close(reading)
        return child

    async def _start(self, services: list[Service]) -> None:
        """Start these side by side, a line each."""

        async def start(service: Service) -> None:
            began = time.monotonic()
            await service.start()
            self._services.append(service)
            self._remember()
            self._say(f"started {service.name} in {time.monotonic() - began:.1f} s")

        outcomes = await asyncio.gather(*(start(service) for service in services), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    # --- keeping -----------------------------------------------------------------------------------

    async def _keep(self, service: Service, serves: asyncio.Event | None = None) -> None:
        """Start a service if it does not run, and again whenever it ends, later each time."""
        back_off_s = BACK_OFF_FIRST_S
        while True:
            began = time.monotonic()
            try:
                if service.child is None or service.child.exit_code is not None:
                    await service.start()
                    self._say(f"started {service.name} in {time.monotonic() - began:.1f} s")
                assert service.child is not None
                self._announce()
                if serves is not None:
                    serves.set()
                code = await service.child.ended()
                reason = f"{service.name} {ending(code)}: {service.child.last_words(1)}"
            except (StartFailed, OSError) as error:
                reason = str(error)
            if time.monotonic() - began > STEADY_AFTER_S:
                back_off_s = BACK_OFF_FIRST_S
            self._say(f"{reason}; starting it again in {back_off_s:g} s")
            self._announce()
            with suppress(TimeoutError):
                async with asyncio.timeout(back_off_s):
                    await self._room.wait()
            back_off_s = min(back_off_s * 2, BACK_OFF_MAX_S)

    def _watch(self) -> Watch:
        return Watch(
            Disk(self._folder.root, self._settings.disk_reserve_octets),
            self._nats,
            start_again=self._end_nats,
            regained=self._wake_keepers,
            say=self._say,
        )

    async def _end_nats(self) -> None:
        for service, child in self._running():
            if service.name == "nats":
                await child.stop()

    def _wake_keepers(self) -> None:
        """Nobody waits any longer for what the disk had no room for."""
        self._room.set()
        self._room = asyncio.Event()

    # --- telling -----------------------------------------------------------------------------------

    @property
    def _children_file(self) -> Path:
        return self._folder.run / "children.json"

    def _running(self) -> list[tuple[Service, Child]]:
        return [(s, s.child) for s in self._services if s.child is not None and s.child.exit_code is None]

    def _remember(self) -> None:
        marks = [
            orphans.Mark.of(service.name, child.pid, child.launch.stop_signal, child.launch.stop_patience_s)
            for service, child in self._running()
        ]
        orphans.remember(self._children_file, marks)

    def _announce(self) -> None:
        """Tell the other commands who runs; while the disk is full, again and again until it is told."""
        if self._untold:
            self._untold.cancel()
        self._untold = None
        try:
            self._remember()
            down = [s.name for s in self._services if s.child is None or s.child.exit_code is not None]
            gateway = Gateway(self._announcement, self._settings, self._urls, self._is_ready, down)
            gateway.write(self._folder.root)
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            self._untold = asyncio.get_running_loop().call_later(TELL_AGAIN_AFTER_S, self._announce)

    def _say(self, line: str) -> None:
        """Nobody reads it, or the disk it goes to is full: that ends no gateway."""
        with suppress(OSError):
            self._tell(line)

    @property
    def _announcement(self) -> Announcement:
        settings = self._settings
        processes: list[dict[str, Any]] = [{"role": "supervisor", "pid": os.getpid()}]
        processes += [{"role": service.name, "pid": child.pid} for service, child in self._running()]
        served = {name: getattr(settings, f"listen_{name}") or None for name in SERVED}
        return Announcement(
            pid=os.getpid(),
            **served,
            nats=self._urls.get("cli", settings.nats_url),
            postgres=settings.postgres_dsn,
            s3={
                "endpoint": settings.s3_endpoint,
                "access_key": settings.s3_access_key,
                "secret_key": settings.s3_secret_key,
                "secure": settings.s3_secure,
            },
            ca_file=str(self._authority),
            data=str(self._folder.root),
            demo_accounts=self._accounts,
            processes=processes,
        )

    # --- stopping ----------------------------------------------------------------------------------

    async def _stop(self) -> None:
        """Roles first, all at once; then the servers, S3 before PostgreSQL, which holds its metadata."""
        running = self._running()
        roles = [child for service, child in running if not service.is_server]
        if running:
            self._say("stopping")
        await asyncio.gather(*(child.stop() for child in roles))
        for service, child in reversed(running):
            if service.is_server:
                await child.stop()
        with suppress(OSError):
            self._children_file.unlink(missing_ok=True)
        if running:
            self._say("stopped")


def _forget(ready_file: Path) -> None:
    with suppress(OSError):
        ready_file.unlink(missing_ok=True)


def _prepare_ready_file(file: Path) -> None:
    """Whoever waits for it must not find that of a former start. Raises StartFailed."""
    try:
        file.unlink(missing_ok=True)
        if not file.parent.is_dir():
            raise StartFailed(f"the ready file {file} cannot be written: {file.parent} is no folder")
    except OSError as error:
        raise StartFailed(f"the ready file {file} cannot be written: {error.strerror}") from error


def ending(code: int) -> str:
    """How a program ended, in words."""
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
