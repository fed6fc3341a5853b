"""What IMAP and POP3 have alike: who comes in, by which certificate, and within which limits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.adapters.system import SystemClock, entropy
from gateway.ports import Lane
from gateway.processes.listening.accounts import AccountSessions
from gateway.processes.listening.certificates import ShownCertificates
from gateway.processes.listening.listener import House
from gateway.processes.listening.networks import NetworkConnections
from gateway.processes.listening.receiving import Listener
from gateway.processes.listening.sessions import Sessions
from gateway.processes.listening.visits import Reception
from gateway.processes.signin.signin import SignIns
from gateway.settings import Settings, split_networks
from gateway.wiring.doors import bans_of, certificate_files, open_door
from gateway.wiring.ground import Ground
from projections.readmodel import Pool


@dataclass(frozen=True, slots=True)
class Access:
    house: House
    reception: Reception
    sign_ins: SignIns
    accounts: AccountSessions


@asynccontextmanager
async def open_access(g: Ground, pool: Pool, lane: Lane) -> AsyncIterator[Access]:
    """Raises BadCertificate."""
    settings, files = g.settings, certificate_files(g.settings)
    tls = None if files is None else ShownCertificates(files, SystemClock())
    sessions = Sessions(lane=lane, keys=g.keys, clock=g.clock, entropy=entropy, by=g.by)
    exempt = split_networks(settings.unlimited_networks)
    networks = NetworkConnections(settings.access_network_connections_max, exempt)
    house = House(
        clock=g.clock,
        connections_max=settings.access_connections_max,
        proxy_networks=split_networks(settings.proxy_networks),
        tls=tls,
        sessions=sessions,
    )
    async with bans_of(g, pool, lane).watching() as bans:
        yield Access(
            house,
            Reception(g.clock, networks, tls, sessions, bans),
            open_door(g, pool, lane, bans),
            AccountSessions(settings.access_account_connections_max, exempt),
        )


def listeners(settings: Settings, protocol: str, clear: str, secure: str) -> list[Listener]:
    """clear: address where TLS is started; secure: where it begins with the first octet; "" is not at all.

    Passwords are asked for inside TLS alone: without a certificate nobody could sign in.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return []
    wanted = [Listener(protocol, clear), Listener(f"{protocol}s", secure, is_tls=True)]
    return [each for each in wanted if each.address]
