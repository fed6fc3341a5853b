"""The administration's API on a real socket, over a log and keys in memory and rows in a real PostgreSQL.

Two agencies, the first of them on trial, and people with every role; everybody signs in with the same
password and gets a token.
"""

import asyncio
import contextlib
import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from gateway.adapters.code_flow import OpenIdCodeFlow
from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.adapters.memory.log import MemoryLog, open_lane
from gateway.adapters.openid import OpenIdTokens
from gateway.adapters.system import SystemClock
from gateway.domain.account import Role
from gateway.domain.events import Actor, By, Fact, OperatorAppointed, Stamp
from gateway.domain.group import encode_group
from gateway.domain.histories import operator_history
from gateway.domain.trial import End, Files, Step
from gateway.domain.trial_steps import NO_FILES, take_step
from gateway.mail.address import parse_address
from gateway.mail.ids import AccountId, AgencyId
from gateway.ports import Clock, Position
from gateway.processes.listening.sockets import hold
from gateway.processes.projector import following
from gateway.processes.registry.reading import Reading
from gateway.processes.registry.registry import Registry
from gateway.processes.registry.roles import Roles
from gateway.processes.signin.passwords import make_verifier
from gateway.processes.signin.people import PeopleRows
from gateway.processes.signin.signin import SignIns
from gateway.processes.web.office import CodeFlows, Office
from gateway.processes.web.serving import SecureListener, serve
from projections import texts
from projections.bans.project import BansModel
from projections.checkpoint import Projection, create
from projections.directory.project import DirectoryModel
from projections.keyring import Keyring
from projections.mailbox.project import MailboxModel
from projections.queue import leases
from projections.queue.project import QueueModel
from projections.readmodel import Pool, ReadModel
from projections.trace.project import TraceModel
from tests.processes.web.gauges import FakeGauge

BY: Final = By("web", "0", "")
PASSWORD: Final = "correct horse battery"
MAIL_PORTS: Final = (2525, 2587)

# Who is here, by a short name: address and role. Those of opdc.go.th are strangers to the others.
PEOPLE: Final[dict[str, tuple[str, Role | None]]] = {
    "admin": ("admin@opm.go.th", "agency-admin"),
    "auditor": ("auditor@opm.go.th", "auditor"),
    "helpdesk": ("helpdesk@opm.go.th", "helpdesk"),
    "member": ("member@opm.go.th", None),
    "clerk": ("clerk@opm.go.th", None),
    "operator": ("operator@opm.go.th", "operator"),
    "stranger": ("admin@opdc.go.th", "agency-admin"),
    "malee": ("malee@opdc.go.th", None),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered. body: of its JSON; None: there is none."""

    status: int
    kind: str
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def detail(self) -> str:
        assert self.kind == "application/problem+json", self
        assert (self.body["status"], set(self.body)) == (self.status, {"title", "status", "detail"}), self
        return str(self.body["detail"])


class Nobody:
    """The port Notifier, when nobody waits."""

    async def changed(self, accounts: Collection[AccountId]) -> None:
        return


@dataclass
class World:
    """The running API, and what is behind it."""

    office: Office
    log: MemoryLog
    keys: MemoryKeyStore
    http: str
    https: str = ""
    trusts: ssl.SSLContext | None = None
    agencies: dict[str, AgencyId] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    serving: "asyncio.Task[None] | None" = None

    async def ask(
        self, who: str, method: str, path: str, body: Any = None, *, base: str = "", **headers: str
    ) -> Answer:
        """One request in somebody's name, with their real token; "": nobody's."""
        if who:
            headers["authorization"] = f"Bearer {await self.token(who)}"
        octets = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if octets is not None:
            headers.setdefault("content-type", "application/json")
        url = f"{base or self.http}/api/v1{path}"
        asked = urllib.request.Request(url, octets, headers, method=method)
        return await asyncio.to_thread(self._ask, asked)

    def _ask(self, asked: urllib.request.Request) -> Answer:
        try:
            with urllib.request.urlopen(asked, timeout=30, context=self.trusts) as answer:
                return _answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.headers, error.read())

    async def token(self, who: str) -> str:
        if who not in self.tokens:
            username = PEOPLE[who][0] if who in PEOPLE else who
            given = await self.ask("", "POST", "/token", {"username": username, "password": PASSWORD})
            assert given.status == 201, given
            self.tokens[who] = given.body["token"]
        return self.tokens[who]

    async def end_trial(self, agency_id: AgencyId) -> None:
        """As the steward does at its end."""
        await self.step_trial(agency_id, End(self.office.clock.now() + timedelta(days=30)))

    async def step_trial(self, agency_id: AgencyId, step: Step, files: Files = NO_FILES) -> None:
        """As the steward does."""
        found = await Reading(self.log, self.keys).agency(agency_id)
        stamp = Stamp(at=self.office.clock.now(), actor=Actor("system", "steward"), by=BY)
        made = take_step(found.agency, found.position, step, stamp, files=files)
        expected = {history: Position(position) for history, position in made.expected.items()}
        await self.log.append_guarded(made.facts, expected, made.versions)
        await self.office.follow()

    async def topics(self) -> list[str]:
        return [event.topic for event in await self._events()]

    async def last_event(self) -> Any:
        return (await self._events())[-1].event

    async def _events(self) -> list[Any]:
        return [await self.log.read(at) for at in range(1, await self.log.last() + 1)]  # type: ignore[arg-type]


def _answer(status: int, headers: Any, octets: bytes) -> Answer:
    named = {name.lower(): value for name, value in headers.items()}
    kind = named.get("content-type", "")
    return Answer(status, kind, json.loads(octets) if octets and "json" in kind else None, named)


async def _settle(world: World) -> None:
    """The agencies, and everybody with their role."""
    office = world.office
    made: dict[str, Any] = {
        "log": world.log,
        "keys": world.keys,
        "count_accounts": None,
        "clock": office.clock,
        "entropy": os.urandom,
        "actor": Actor("operator", "root"),
        "by": BY,
    }
    registry, roles, verifier = Registry(**made), Roles(**made), make_verifier(PASSWORD)
    for name, domain in (("OPM", "opm.go.th"), ("OPDC", "opdc.go.th")):
        trial_days = 30 if name == "OPM" else None
        world.agencies[domain] = await registry.add_agency(name, [domain], trial_days=trial_days)
    for address, role in PEOPLE.values():
        parsed = parse_address(address)
        agency_id = world.agencies[parsed.domain]
        account_id = await registry.add_account(agency_id, parsed, display_name=address.title())
        await world.keys.put(f"verifier.{account_id}", verifier)
        if role is not None:
            await roles.grant(parsed, role, None if role == "operator" else agency_id, "test")
    appointed = OperatorAppointed(name="root", at=office.clock.now(), actor=Actor("operator", "root"), by=BY)
    world.log.store(encode_group([Fact(operator_history(), appointed)]))
    await world.keys.put("verifier.operator.root", verifier)


@asynccontextmanager
async def running(
    pool: Pool,
    tls: ssl.SSLContext | None = None,
    trusts: ssl.SSLContext | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[World]:
    """tls: what an https listener shows; trusts: what its clients check it with. clock: the machine's."""
    log, keys, clock = MemoryLog(), MemoryKeyStore(os.urandom), clock or SystemClock()
    ring = Keyring(keys)
    models: list[ReadModel] = [DirectoryModel(ring), TraceModel(ring), BansModel(ring), QueueModel(ring)]
    await create(pool, [*models, MailboxModel(ring)])  # who looks an address up sees its room
    await leases.create(pool)
    await texts.create(pool)
    async with contextlib.AsyncExitStack() as stack:
        lane = await stack.enter_async_context(
            open_lane(log, "web-h-0", clock=clock, actor=Actor("system", "web"), by=BY)
        )
        sign_ins = SignIns(
            people=PeopleRows(pool),
            tokens=OpenIdTokens(clock, os.urandom),
            keys=keys,
            lane=lane,
            clock=clock,
            entropy=os.urandom,
            by=BY,
        )
        held = [stack.enter_context(hold("127.0.0.1:0")) for _ in range(2)]
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in held]
        flows = CodeFlows(OpenIdCodeFlow(clock), f"http://{addresses[0]}")
        office = Office(
            log,
            pool,
            keys,
            clock,
            os.urandom,
            BY,
            sign_ins,
            flows,
            lane=lane,
            figures=FakeGauge().read,
            mail_ports=MAIL_PORTS,
        )
        world = World(office, log, keys, f"http://{addresses[0]}", f"https://{addresses[1]}", trusts)
        await _settle(world)
        ready = asyncio.Event()
        secure = SecureListener(addresses[1], tls) if tls else None
        tasks = [
            asyncio.create_task(
                following.run(log, [Projection(each, pool) for each in models], Nobody(), clock)
            ),
            asyncio.create_task(
                serve(FakeGauge(), addresses[0], ready.set, office=office, secure=secure)  # type: ignore[arg-type]
            ),
        ]
        world.serving = tasks[1]
        await ready.wait()
        await office.follow()
        try:
            yield world
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


def quoted(address: str) -> str:
    return urllib.parse.quote(address, safe="")
