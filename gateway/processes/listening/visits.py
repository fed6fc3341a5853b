"""A client's visit by IMAP or POP3: banned or not, one coroutine for the session, its fact at the end."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from gateway.domain.sessions import Ending
from gateway.ports import Clock, Deposed
from gateway.processes import maillog
from gateway.processes.listening.certificates import ShownCertificates
from gateway.processes.listening.listener import Guest, Listening, Peer
from gateway.processes.listening.networks import NetworkConnections
from gateway.processes.listening.sessions import SessionRecord, Sessions
from gateway.processes.listening.wire import Over, Wire
from gateway.processes.signin.bans import Bans

FAREWELL_S: Final = 30.0  # what a client has to read our last words
STRANGER_S: Final = 300.0  # until somebody has signed in, however slowly or much a client talks
TOO_MANY: Final = "Too many connections from your network, try again later"
BANNED: Final = "Your network is banned for some time, try again later"


@dataclass(frozen=True, slots=True)
class Reception:
    """What every visit to one process meets. None: it has no certificate; no facts; nobody is banned."""

    clock: Clock
    networks: NetworkConnections
    tls: ShownCertificates | None = None
    sessions: Sessions | None = None
    bans: Bans | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a session is over. limit: the setting of the limit that was met."""

    ending: Ending
    text: str = ""
    limit: str = ""


Serve = Callable[["Visit"], Awaitable[Ended]]


class Visit(Wire, Guest):
    """One connection and its session. serve: the session; turn_away: our last words to who may not enter."""

    def __init__(
        self,
        listener: str,
        reception: Reception,
        owner: Listening,
        serve: Serve,
        turn_away: Callable[[str], bytes],
    ) -> None:
        super().__init__()
        self._reception, self._owner, self._serve, self._words = reception, owner, serve, turn_away
        self.record = SessionRecord(listener, reception.clock.now())
        self._has_entered = False  # it counts among its network's connections
        self.turned_away, self._limit = TOO_MANY, "network_connections_max"
        self._began = reception.clock.monotonic()
        self._ended = Ended("lost", "the client went away")
        self._task: asyncio.Task[None] | None = None
        self._is_concluded = False
        self._farewell: asyncio.TimerHandle | None = None

    # --- as a guest -----------------------------------------------------------------------------------

    @property
    def task(self) -> asyncio.Task[None] | None:
        return self._task

    def enters(self, peer: Peer | None) -> bool:
        self.record.came_from(peer)
        bans, remote_ip = self._reception.bans, self.record.remote_ip
        if bans is not None and bans.of_network(remote_ip):
            self.turned_away, self._limit = BANNED, "ban"
            return False
        self._has_entered = self._reception.networks.enter(remote_ip)
        return self._has_entered

    def never_came(self, reason: str, ending: Ending = "tls") -> None:
        limit = "" if self._has_entered or reason != self.turned_away else self._limit
        self._ended = Ended("limit" if limit else ending, reason, limit)
        self._is_lost = True
        self._conclude()

    def interrupt(self) -> None:
        self._is_stopping = True
        self._wake()

    def tell(self) -> None:
        if self._reception.sessions is not None:
            self.record.limit = self._ended.limit or self.record.limit
            self._reception.sessions.ended(self.record, self._ended.ending)

    # --- asyncio's calls ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.record.tls = self.tls
        if self._has_entered or self.enters(self.peer or transport.get_extra_info("peername")):
            self.until = asyncio.get_running_loop().time() + STRANGER_S
            self._task = asyncio.create_task(self._run())
        else:
            self.write(self._words(str(self.turned_away)))
            self._close(Ended("limit", str(self.turned_away), self._limit))

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        if self._task is None:
            self._conclude()

    # --- the session ------------------------------------------------------------------------------------

    @property
    def certificates(self) -> ShownCertificates | None:
        """For STARTTLS; None: we have none."""
        return self._reception.tls

    async def secure(self, said: bytes) -> None:
        """Say yes to STARTTLS and shake hands. Raises Over."""
        assert self._reception.tls is not None, "TLS is offered with a certificate"
        await self.start_tls(self._reception.tls, said)
        self.record.tls = self.tls

    def trust(self) -> None:
        """Somebody has signed in, and may stay."""
        self.until = math.inf

    async def _run(self) -> None:
        try:
            ended = await self._serve(self)
        except Over as over:
            ended = Ended(over.ending, str(over), over.limit)
        except Deposed as error:  # an answer now could be taken for a yes
            ended = Ended("stopped", str(error) or "another process owns our lane")
            self.abort()
            self._owner.failed(error)
        except Exception as error:  # our own mistake: style.md §6
            maillog.session_failed(error)
            ended = Ended("failed", "internal error")
        self._task = None
        self._close(ended)

    def _close(self, ended: Ended) -> None:
        """Close when everything is written; a client that does not read it is cut off after a while."""
        self._ended = ended
        if self._is_lost:
            self._conclude()
            return
        assert self._transport is not None, "a session has a connection"
        self._transport.close()
        self._farewell = asyncio.get_running_loop().call_later(FAREWELL_S, self._transport.abort)

    def _conclude(self) -> None:
        if self._is_concluded:
            return
        self._is_concluded = True
        if self._farewell is not None:
            self._farewell.cancel()
        if self._has_entered:
            self._reception.networks.leave(self.record.remote_ip)
        self.tell()
        maillog.visit_ended(
            listener=self.record.listener,
            ended=self._ended.ending,
            reason=self._ended.text,
            tls=bool(self.record.tls),
            took_s=self._reception.clock.monotonic() - self._began,
        )
        self._owner.ended(self)
