"""IMAP put together: what it listens on, and which limits it keeps."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from gateway.adapters.spool import DiskSpool
from gateway.adapters.system import SystemClock, entropy
from gateway.processes.imap.connection import Lobby
from gateway.processes.imap.listener import Imap, Listener
from gateway.processes.imap.services import ImapServices
from gateway.processes.listening.accounts import AccountSessions
from gateway.processes.listening.certificates import ShownCertificates
from gateway.processes.listening.listener import House
from gateway.processes.listening.networks import NetworkConnections
from gateway.processes.listening.sessions import Sessions
from gateway.processes.listening.visits import Reception
from gateway.settings import Settings, split_networks
from gateway.wiring.doors import bans_of, certificate_files, open_door
from gateway.wiring.ground import ground, spool_folder


async def run(settings: Settings, serving: Callable[[], None]) -> None:
    files = certificate_files(settings)
    tls = None if files is None else ShownCertificates(files, SystemClock())
    exempt = split_networks(settings.unlimited_networks)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        g = await enter(ground(settings, "imap"))
        pool = await enter(g.rows(8))
        lane = await enter(g.lane())
        bans = await enter(bans_of(g, pool, lane).watching())
        sessions = Sessions(lane=lane, keys=g.keys, clock=g.clock, entropy=entropy, by=g.by)
        services = ImapServices(
            hostname=settings.hostname,
            clock=g.clock,
            sign_ins=open_door(g, pool, lane, bans),
            accounts=AccountSessions(settings.access_account_connections_max, exempt),
            new_spool=partial(DiskSpool, spool_folder(settings)),
            idle_timeout_s=settings.imap_idle_timeout_s,
            message_octets_max=settings.message_octets_max,
            begin=Lobby.begun,
        )
        house = House(
            clock=g.clock,
            connections_max=settings.access_connections_max,
            proxy_networks=split_networks(settings.proxy_networks),
            tls=tls,
            sessions=sessions,
        )
        networks = NetworkConnections(settings.access_network_connections_max, exempt)
        reception = Reception(g.clock, networks, tls, sessions, bans)
        await Imap(listeners(settings), house, reception, services).run(serving)


def listeners(settings: Settings) -> list[Listener]:
    """Passwords are asked for inside TLS alone: without a certificate nobody could sign in."""
    if settings.tls_cert is None or settings.tls_key is None:
        return []
    wanted = [Listener("imap", settings.listen_imap), Listener("imaps", settings.listen_imaps, is_tls=True)]
    return [each for each in wanted if each.address]
