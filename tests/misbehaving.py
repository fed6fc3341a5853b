"""Next hops that misbehave, and one that does not: SMTP servers on loopback, one class each.

Each keeps what every connection said to it, and every mail that came whole. Written apart from our SMTP cores
on purpose.
"""

import asyncio
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from gateway.domain.agency import NextHop

MESSAGE_ID = re.compile(rb"^message-id:[ \t]*(<[^>]+>)", re.IGNORECASE | re.MULTILINE)
CONTENT_OCTETS_MAX = 64 * 1024 * 1024
TAKEN = "250 2.0.0 taken"


@dataclass
class Mail:
    """A mail that came whole. said_250: as much as a server can know of that."""

    message_id: str
    recipients: tuple[str, ...]
    message: bytes  # as it came, dots doubled
    was_tls: bool
    said_250: bool = False


@dataclass
class Session:
    """One connection. heard: every octet of it, those inside TLS in the clear."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: bytearray = field(default_factory=bytearray)
    mail_from: str = ""
    recipients: list[str] = field(default_factory=list)
    mails: int = 0  # that it was said 250 to
    is_open: bool = True

    async def line(self) -> str:
        """Raises asyncio.IncompleteReadError when the client has left."""
        return (await self._until(b"\r\n"))[:-2].decode()

    async def message(self) -> bytes:
        """What comes after DATA, without the final dot."""
        return (await self._until(b"\r\n.\r\n"))[:-3]

    async def left(self) -> None:
        """Wait until the client has left."""
        while octets := await self.reader.read(65_536):
            self.heard += octets

    async def _until(self, end: bytes) -> bytes:
        octets = await self.reader.readuntil(end)
        self.heard += octets
        return octets


@dataclass
class Server:
    """One that does nothing wrong. The others answer something else, or in another way.

    tls: what STARTTLS leads to; None: it is not offered.
    """

    offers: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8")
    tls: ssl.SSLContext | None = None
    sessions: list[Session] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)
    most_at_once: int = 0
    hop: NextHop = field(default_factory=lambda: NextHop("", 0))

    async def answer(self, session: Session, word: str, line: str) -> str:
        """To a command by its first word, "" being the connection, "." the final dot; "" hangs up."""
        match word:
            case "":
                return "220 mx.example"
            case "EHLO":
                offers = (*self.offers, *(("STARTTLS",) if self.tls and not _is_tls(session) else ()))
                return "\r\n".join(["250-mx.example", *(f"250-{offer}" for offer in offers), "250 HELP"])
            case "STARTTLS":
                return "220 go on"
            case "DATA":
                return "354 go on" if session.recipients else "554 5.5.1 no valid recipients"
            case ".":
                return TAKEN
            case "QUIT":
                return "221 2.0.0 bye"
            case _:
                return "250 2.0.0 ok"

    async def say(self, session: Session, said: str) -> None:
        session.writer.write(f"{said}\r\n".encode())
        await session.writer.drain()

    async def start_tls(self, session: Session) -> None:
        assert self.tls is not None
        await session.writer.start_tls(self.tls)

    # --- what came --------------------------------------------------------------------------------

    @property
    def open_now(self) -> int:
        """Connections at this moment."""
        return sum(session.is_open for session in self.sessions)

    @property
    def times_taken(self) -> Counter[str]:
        """How often it said 250 to each Message-ID."""
        return Counter(mail.message_id for mail in self.mails if mail.said_250)

    # --- the session ------------------------------------------------------------------------------

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(reader, writer)
        self.sessions.append(session)
        self.most_at_once = max(self.most_at_once, self.open_now)
        with suppress(OSError, asyncio.IncompleteReadError):  # ssl.SSLError is an OSError
            await self._converse(session)
        session.is_open = False
        writer.close()

    async def _converse(self, session: Session) -> None:
        word, line = "", ""
        while said := await self.answer(session, word, line):
            await self.say(session, said)
            if word == "QUIT" or said.startswith("421"):
                return
            if said.startswith("354"):
                await self._take(session)
            elif word == "STARTTLS":
                await self.start_tls(session)
            elif word == "MAIL":
                session.mail_from, session.recipients = _path(line), []
            elif word == "RCPT" and said.startswith("2"):
                session.recipients.append(_path(line))
            line = await session.line()
            word = line.split(" ")[0].split(":")[0].upper()

    async def _take(self, session: Session) -> None:
        message = await session.message()
        found = MESSAGE_ID.search(message)
        mail = Mail(
            found.group(1).decode() if found else "",
            tuple(session.recipients),
            message,
            _is_tls(session),
        )
        self.mails.append(mail)
        said = await self.answer(session, ".", mail.message_id)
        if not said:
            raise ConnectionAbortedError
        if said == TAKEN:
            mail.said_250 = True
            session.mails += 1
        await self.say(session, said)


@dataclass
class Silent(Server):
    """Never answers, from one step on; where that is "DATA", nothing that is sent is read any more."""

    at: str = ""

    async def answer(self, session: Session, word: str, line: str) -> str:
        if word == self.at:
            await session.left()
            return ""
        return await super().answer(session, word, line)


@dataclass
class Unreading(Server):
    """Wants the message, and reads nothing of it."""

    async def say(self, session: Session, said: str) -> None:
        await super().say(session, said)
        if said.startswith("354"):
            session.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.Event().wait()


@dataclass
class Slow(Server):
    """Answers one octet at a time."""

    pause_s: float = 1.0
    at: str | None = None  # only there; None: always
    offers: tuple[str, ...] = ()
    _is_slow: bool = False

    async def answer(self, session: Session, word: str, line: str) -> str:
        self._is_slow = self.at in (None, word)
        return await super().answer(session, word, line)

    async def say(self, session: Session, said: str) -> None:
        if not self._is_slow:
            await super().say(session, said)
            return
        for octet in f"{said}\r\n".encode():
            session.writer.write(bytes([octet]))
            await session.writer.drain()
            await asyncio.sleep(self.pause_s)


@dataclass
class DropsAfterData(Server):
    """Takes each mail whole and hangs up unanswered, the first time it comes."""

    dropped: set[str] = field(default_factory=set)

    async def answer(self, session: Session, word: str, line: str) -> str:
        if word == "." and line not in self.dropped:
            self.dropped.add(line)
            return ""
        return await super().answer(session, word, line)


@dataclass
class Greylists(Server):
    """Takes a sender's mail for a recipient when it comes again after a while (RFC 6647 §2)."""

    delay_s: float = 1.0
    first_at: dict[tuple[str, str], float] = field(default_factory=dict)
    refusals: int = 0

    async def answer(self, session: Session, word: str, line: str) -> str:
        if word == "RCPT":
            now_s = asyncio.get_running_loop().time()
            if now_s - self.first_at.setdefault((session.mail_from, _path(line)), now_s) < self.delay_s:
                self.refusals += 1
                return "450 4.7.1 greylisted, come again"
        return await super().answer(session, word, line)


@dataclass
class Tires(Server):
    """Says 421 to the mail after so many, and hangs up."""

    mails_max: int = 5

    async def answer(self, session: Session, word: str, line: str) -> str:
        if word == "MAIL" and session.mails >= self.mails_max:
            return "421 4.7.0 enough of this connection"
        return await super().answer(session, word, line)


@dataclass
class BadTls(Server):
    """Offers TLS, and talks something else. yes: its answer to STARTTLS; "": it hangs up."""

    tls: ssl.SSLContext | None = field(default_factory=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    yes: str = "220 go on"

    async def answer(self, session: Session, word: str, line: str) -> str:
        return self.yes if word == "STARTTLS" else await super().answer(session, word, line)

    async def start_tls(self, session: Session) -> None:
        await super().say(session, "this is no TLS record")
        await session.left()
        raise ConnectionAbortedError


def _is_tls(session: Session) -> bool:
    return session.writer.get_extra_info("ssl_object") is not None


def _path(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]


@asynccontextmanager
async def listening(server: Server) -> AsyncIterator[Server]:
    """On a loopback port, until the block ends; whoever is connected then is cut off."""
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=CONTENT_OCTETS_MAX, backlog=512)
    server.hop = NextHop(*listener.sockets[0].getsockname()[:2])
    try:
        yield server
    finally:
        listener.close()
        for session in server.sessions:
            session.writer.transport.abort()
