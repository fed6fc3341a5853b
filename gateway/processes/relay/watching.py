"""Has agencies' mail go round servers that are silent, and back: each switch an event of the agency, once.

Who is silent is probed, one connection a minute by one of all relays, and so is the main way while the backup
has the mail. A switch is decided on the agency's history and guarded by where that ends: of two relays that
see the same one is too late, and leaves it.

Source: ADR 0020.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from typing import Final

from gateway.domain.agencies import switch_route
from gateway.domain.agency import NextHop
from gateway.domain.events import Actor, By, Stamp
from gateway.domain.route import Route, Switch, due_switch, to_look_at
from gateway.mail.ids import AgencyId
from gateway.mail.reply import Reply
from gateway.ports import Clock, Conflict, EventLog, KeyStore, Position, Unavailable
from gateway.processes import maillog
from gateway.processes.registry.reading import Reading
from gateway.processes.relay.connection import Connection, Timeouts, connect
from gateway.processes.relay.securing import whoever
from gateway.processes.relay.sights import Sights
from gateway.processes.relay.ways import hop_targets

LOOK_EVERY_S: Final = 10.0
PROBE_EVERY_S: Final = 60.0  # of one server, by all relays together
PROBES_MAX: Final = 100  # at once; who is left over has the next turn
# Nothing is sent, so nobody is impatient with RFC 5321 §4.5.3.2: a server that takes longer to greet is none.
PROBE_TIMEOUTS: Final = Timeouts(connect=30, reply=30, block=30)
RELAY: Final = Actor("system", "relay")


class Watch:
    """One in each relay. hostname: ours. anybody: of `opportunistic_context`."""

    def __init__(
        self,
        *,
        sights: Sights,
        log: EventLog,
        keys: KeyStore,
        clock: Clock,
        by: By,
        hostname: str,
        anybody: ssl.SSLContext,
        look_every_s: float = LOOK_EVERY_S,
        probe_every_s: float = PROBE_EVERY_S,
    ) -> None:
        self._sights, self._log, self._reading, self._clock = sights, log, Reading(log, keys), clock
        self._by, self._hostname, self._anybody = by, hostname, anybody
        self._look_every_s, self._probe_every_s = look_every_s, probe_every_s

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                maillog.service_unavailable(
                    service=error.service, reason=error.reason, doing="watch agencies' servers"
                )
            await self._clock.sleep(self._look_every_s)

    async def look(self) -> None:
        """Probe whose turn it is, and make the switches that are due. Raises Unavailable."""
        routes = await self._sights.routes()
        servers = list(dict.fromkeys(hop for row in routes.values() for hop in row.route.hops))
        if not servers:
            return
        health = await self._sights.health(servers)
        wanted = [hop for row in routes.values() for hop in to_look_at(row.route, row.way, health)]
        if await self._probe(list(dict.fromkeys(wanted))):
            health = await self._sights.health(servers)
        for agency_id, row in routes.items():
            switch = due_switch(row.route, row.way, health)
            if switch is not None:
                await self._switch(agency_id, row.route, switch)

    async def _probe(self, wanted: Sequence[NextHop]) -> bool:
        """True when somebody was looked at."""
        ours = await self._sights.claim_probes(wanted[:PROBES_MAX], self._probe_every_s) if wanted else ()
        silent = await asyncio.gather(*map(self._is_silent, ours))
        if ours:
            await self._sights.see(dict(zip(ours, silent, strict=True)))
        return bool(ours)

    async def _is_silent(self, hop: NextHop) -> bool:
        """Connect, hear what it says, and say goodbye. Whoever it is: no mail is given to it."""
        targets = await hop_targets(hop, PROBE_TIMEOUTS.connect)
        for target in () if isinstance(targets, Reply) else targets:
            opened = await connect(
                target, hostname=self._hostname, secure=whoever(self._anybody), timeouts=PROBE_TIMEOUTS
            )
            if isinstance(opened, Connection):
                await opened.close()
                return False
            if not opened.is_silence:
                return False
        return True

    async def _switch(self, agency_id: AgencyId, route: Route, switch: Switch) -> None:
        found = await self._reading.agency(agency_id)
        stamp = Stamp(at=self._clock.now(), actor=RELAY, by=self._by)
        switched = switch_route(found.agency, found.position, route, switch, stamp)
        if switched is None:  # the rows do not know it yet
            return
        expected = {history: Position(at) for history, at in switched.expected.items()}
        # Another relay has done it, or somebody set another route meanwhile: look again.
        with contextlib.suppress(Conflict):
            await self._log.append_guarded(switched.facts, expected, switched.versions)
            maillog.route_switched(agency_id=agency_id, way=switch.to, for_s=round(switch.for_s))
