"""Agencies' own mail servers: hosts that may send to domains that no agency has, for people of their agency.

A host is known by its address, which has to be that of a next hop; the domain of the sender it names has to
be of the same agency. To everybody else we are no relay.

Source: RFC 2505 §2.1 (no relay for strangers); ADR 0018.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

from gateway.mail.address import Address
from gateway.mail.ids import AgencyId
from gateway.mail.networks import address_of
from gateway.mail.reply import Reply, reply
from gateway.ports import Clock
from projections.directory.query import agency_of_domain, sending_hosts
from projections.readmodel import Pool

HOLDS_S: Final = 60.0
LOOK_UP_S: Final = 5.0  # for all names that are looked up at once

Agencies = frozenset[AgencyId]
OTHERS_SENDER: Final = reply(550, "5.7.1", "This host relays for senders of your agency's domains alone")


class Outward:
    """Knows agencies' servers for a minute; names as this machine looks them up, as the relay does."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool, self._clock = pool, clock
        self._known: dict[str, Agencies] = {}
        self._known_until_s = 0.0
        self._looking = asyncio.Lock()

    async def agency_of(self, ip: str, mail_from: Address | None) -> AgencyId | Reply | None:
        """For which agency a host sends, or why it may not; None: it is nobody's server.

        mail_from: None, the null sender, is for any agency whose server the host is: reports have to get out.
        Raises Unavailable.
        """
        agencies = await self._agencies_at(ip)
        if not agencies:
            return None
        if mail_from is None:
            return min(agencies)
        async with self._pool.rows() as rows:
            agency_id = await agency_of_domain(rows, mail_from.normalise().domain)
        return agency_id if agency_id in agencies else OTHERS_SENDER

    async def _agencies_at(self, ip: str) -> Agencies:
        """Nobody's server is on this machine itself: whoever is let through to loopback would be it."""
        address = address_of(ip)
        if address is None or address.is_loopback:
            return frozenset()
        async with self._looking:
            if self._clock.monotonic() >= self._known_until_s:
                await self._look()
        return self._known.get(str(address), frozenset())

    async def _look(self) -> None:
        async with self._pool.rows() as rows:
            servers = await sending_hosts(rows)
        hosts = list({host for _, host in servers})
        addresses = dict(zip(hosts, await asyncio.gather(*map(addresses_of, hosts)), strict=True))
        known: dict[str, set[AgencyId]] = {}
        for agency_id, host in servers:
            for ip in addresses[host]:
                known.setdefault(ip, set()).add(agency_id)
        self._known = {address: frozenset(agencies) for address, agencies in known.items()}
        self._known_until_s = self._clock.monotonic() + HOLDS_S


async def addresses_of(host: str) -> Sequence[str]:
    """Of a name or an address; none where nobody can say now."""
    if (address := address_of(host)) is not None:
        return [str(address)]
    try:
        async with asyncio.timeout(LOOK_UP_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return ()
    return [str(address_of(str(socket_address[0]))) for *_, socket_address in found]
