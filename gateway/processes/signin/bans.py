"""Who is banned just now, for all sessions of one process; and networks that are guessing get banned.

The rows are asked every two seconds whether anything has changed, and what holds is kept: a connection from a
banned network costs no question. While the rows are away what was known holds on, each ban until its end.

Precedent: fail2ban, whose bantime.increment doubles a ban each time as well.
"""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from gateway.domain.bans import Network, ban_for
from gateway.domain.events import Actor, By, Stamp
from gateway.mail.ids import AccountId
from gateway.mail.networks import address_of, network_of
from gateway.ports import Clock, Unavailable
from gateway.processes import maillog
from gateway.processes.signin.banning import Banning
from projections.bans import query
from projections.bans.query import Ban
from projections.readmodel import Pool

LOOK_EVERY_S: Final = 2.0
OWN_HOLD_S: Final = 60.0  # what this process imposed holds so long before the rows have to know it
# So long after its end a ban makes the next one longer. Precedent: fail2ban's bantime as many set it, 1 week.
REMEMBERED: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class BanRule:
    """How long networks that guess are banned. first: 0 is never. exempt: networks that are not."""

    first: timedelta = timedelta(hours=1)
    longest: timedelta = timedelta(days=1)
    exempt: Sequence[Network] = ()


class BansKept(Protocol):
    async def last_change(self) -> int:
        """Another number: something has changed. Raises Unavailable."""

    async def remembered(self) -> list[Ban]:
        """Those that hold, and those that count for the next one. Raises Unavailable."""


class BanRows:
    """The port above, on the rows."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool, self._clock = pool, clock

    async def last_change(self) -> int:
        async with self._pool.rows() as rows:
            return await query.last_change(rows)

    async def remembered(self) -> list[Ban]:
        async with self._pool.rows() as rows:
            return await query.bans_ending_after(rows, self._clock.now() - REMEMBERED)


class Bans:
    """What one process knows of bans."""

    def __init__(self, kept: BansKept, banning: Banning, clock: Clock, by: By, rule: BanRule) -> None:
        self._kept, self._banning, self._clock, self._by, self._rule = kept, banning, clock, by, rule
        self._change, self._is_away = -1, False
        self._bans: list[Ban] = []  # as the rows have them
        self._own: list[tuple[float, Ban]] = []  # imposed here, and perhaps not in the rows yet
        self._imposing: set[str] = set()
        self._networks: dict[tuple[int, int], dict[int, Ban]] = {}  # version, prefix → its bits → ban
        self._accounts: dict[AccountId, Ban] = {}

    # --- asked --------------------------------------------------------------------------------------

    def of_network(self, ip: str) -> Ban | None:
        """The ban of a network this address is in; None: it may speak."""
        address = address_of(ip)
        if address is None:
            return None
        now, bits = self._clock.now(), int(address)
        for (version, prefix), banned in self._networks.items():
            if version == address.version:
                ban = banned.get(bits >> (address.max_prefixlen - prefix))
                if ban is not None and ban.holds(now):
                    return ban
        return None

    def of_account(self, account_id: AccountId) -> Ban | None:
        """None: it may sign in."""
        ban = self._accounts.get(account_id)
        return ban if ban is not None and ban.holds(self._clock.now()) else None

    # --- imposed --------------------------------------------------------------------------------------

    async def guesses(self, ip: str) -> None:
        """The network of this address guesses for real: it is banned. Raises Unavailable, Full, Deposed."""
        network, rule = network_of(ip), self._rule
        address = address_of(ip)
        if address is None or not rule.first or any(address in each for each in rule.exempt):
            return
        if network in self._imposing or self.of_network(ip) is not None:
            return
        self._imposing.add(network)
        try:
            at = self._clock.now()
            stamp = Stamp(at=at, actor=Actor("system", self._by.role), by=self._by)
            until = at + ban_for(self._former(network), rule.first, rule.longest)
            ban = await self._banning.network(ipaddress.ip_network(network), until, stamp, reason="sign-ins")
        finally:
            self._imposing.discard(network)
        self._own.append((self._clock.monotonic(), ban))
        self._index()
        maillog.network_banned(ban_id=ban.ban_id, until=until)

    def _former(self, network: str) -> int:
        """How many bans for guessing this network has had lately; one that was lifted was a mistake."""
        since = self._clock.now() - REMEMBERED
        return sum(
            ban.network == network and ban.reason == "sign-ins" and not ban.lifted_at and ban.until > since
            for ban in self._all()
        )

    # --- known ----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def watching(self) -> AsyncIterator["Bans"]:
        """Follow the rows while the block runs."""
        await self.look()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._watch(), name="watch bans")
            yield self
            task.cancel()

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Take over what has changed in the rows. That they are away is said once; what was known holds."""
        try:
            change = await self._kept.last_change()
            if change != self._change:
                self._bans, self._change = await self._kept.remembered(), change
            self._is_away = False
        except Unavailable as error:
            self._say_away(error)
        known = {ban.ban_id for ban in self._bans}
        since = self._clock.monotonic() - OWN_HOLD_S
        self._own = [(at, ban) for at, ban in self._own if at > since and ban.ban_id not in known]
        self._index()

    def _say_away(self, error: Unavailable) -> None:
        if not self._is_away:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="look for bans")
        self._is_away = True

    def _all(self) -> list[Ban]:
        known = {ban.ban_id for ban in self._bans}
        return self._bans + [ban for _, ban in self._own if ban.ban_id not in known]

    def _index(self) -> None:
        """What holds, to be found at once. Of several bans of one network or account the longest counts."""
        now = self._clock.now()
        self._networks, self._accounts = {}, {}
        for ban in sorted((ban for ban in self._all() if ban.holds(now)), key=lambda ban: ban.until):
            if ban.account_id is not None:
                self._accounts[ban.account_id] = ban
            elif ban.network is not None:  # None: its key is gone
                network = ipaddress.ip_network(ban.network)
                bits = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
                self._networks.setdefault((network.version, network.prefixlen), {})[bits] = ban
