"""Whole commands of one client, out of its connection; large literals go to disk on the way."""

from collections.abc import Callable
from typing import Final, assert_never

from gateway.ports import Spool, Unavailable
from gateway.processes import maillog
from gateway.processes.listening.wire import Over, Wire
from gateway.protocols.imap import responses
from gateway.protocols.imap.errors import UNTAGGED
from gateway.protocols.imap.framer import (
    Continue,
    Framer,
    Lines,
    LiteralBegins,
    LiteralEnds,
    LiteralOctets,
    Refused,
)

# Before anybody has signed in. RFC 9051 §4.3: a line of 8,192 is enough; a token is a few KB.
STRANGERS_LINE_OCTETS_MAX: Final = 16 * 1024
STRANGERS_LITERAL_OCTETS_MAX: Final = 4 * 1024
# Sets of messages of a client that has been away are long. Precedent: Dovecot imap_max_line_length 64 KB.
LINE_OCTETS_MAX: Final = 256 * 1024
# Commands in a row that were none, or too large. Precedent: BAD_COMMANDS_MAX before sign-in.
REFUSED_MAX: Final = 20


class Incoming:
    """spools: the large literals of the command that was given last, by their index."""

    def __init__(self, wire: Wire, new_spool: Callable[[], Spool]) -> None:
        self._wire, self._new_spool = wire, new_spool
        self._framer = Framer(STRANGERS_LINE_OCTETS_MAX, STRANGERS_LITERAL_OCTETS_MAX)
        self.spools: list[Spool] = []
        self._is_given = False  # the command they belong to
        self._refused = 0  # since the last command
        self.failure: Unavailable | None = None  # why a literal of that command is not there

    def trust(self, literal_octets_max: int) -> None:
        """Somebody has signed in, and may send messages of this size."""
        self._framer.limit(LINE_OCTETS_MAX, literal_octets_max)

    @property
    def is_ahead(self) -> bool:
        """The client has sent on before its command was answered."""
        return self._framer.holds_octets

    async def command(self, within_s: float) -> Lines:
        """The next command, or the next line of an IDLE or AUTHENTICATE. Raises Over.

        May be cancelled: it goes on where it was. The spools of the one before are forgotten.
        """
        if self._is_given:
            self.forget()
            self._is_given = False
        await self._wire.flush()
        while True:
            match got := self._framer.next():
                case None:
                    self._framer.feed(await self._wire.read(within_s))
                case Lines():
                    self._is_given, self._refused = True, 0
                    return got
                case Continue():
                    self._wire.write(responses.CONTINUE)
                case LiteralBegins():
                    self.spools.append(self._new_spool())
                case LiteralOctets(octets):
                    self._keep(octets)
                case LiteralEnds():
                    pass
                case Refused(response, is_fatal):
                    self.forget()
                    self._wire.write(response)
                    self._refused += 1
                    if not is_fatal and self._refused > REFUSED_MAX:
                        self._wire.write(responses.status(UNTAGGED, "BYE", "Too many bad commands"))
                    if is_fatal or self._refused > REFUSED_MAX:
                        raise Over("protocol", "the client sends no commands", is_told=True)
                    await self._wire.flush()  # who does not read what is said is not read on
                case _:
                    assert_never(got)

    def forget(self) -> None:
        """Close what was spooled."""
        for spool in self.spools:
            spool.close()
        self.spools, self.failure = [], None

    def _keep(self, octets: bytes) -> None:
        """A disk without room fails the command when it has been read to its end."""
        if self.failure is not None:
            return
        try:
            self.spools[-1].write(octets)
        except Unavailable as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="spool")
            self.failure = error
