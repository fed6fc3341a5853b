"""A next hop for tests: an SMTP server in a few lines that says what it is told to, and keeps what it took.

Written apart from our SMTP cores on purpose.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.domain.agency import NextHop


@dataclass
class Taken:
    """A mail the host said 250 to."""

    mail_from: str
    rcpt_to: list[str]
    message: bytes
    was_tls: bool
    commands: list[str]  # MAIL and the RCPTs that got a yes, as they came


@dataclass
class Host:
    """says: what is answered instead of yes, by command line or its first word; "" closes the connection.

    dot: what is answered to the final dot, in turn, as long as there is something; "" closes unanswered,
    "…" never answers.
    """

    says: Mapping[str, str] = field(default_factory=dict)
    dot: list[str] = field(default_factory=list)
    greeting: str = "220 mx.dld.go.th"
    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 50000000")
    mails_per_connection: int = 1_000_000
    connections_max: int = 1_000_000
    tls: ssl.SSLContext | None = None
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    at_dot: asyncio.Event = field(default_factory=asyncio.Event)
    has_more: asyncio.Event = field(default_factory=asyncio.Event)
    hop: NextHop = field(default_factory=lambda: NextHop("", 0))

    @asynccontextmanager
    async def listening(self, address: str = "127.0.0.1", port: int = 0) -> AsyncIterator["Host"]:
        server = await asyncio.start_server(self._serve, address, port)
        self.hop = NextHop(*server.sockets[0].getsockname()[:2])
        try:
            yield self
        finally:
            server.close()

    async def has_taken(self, mails: int) -> None:
        """Wait until it has."""
        while len(self.taken) < mails:
            self.has_more.clear()
            await self.has_more.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_now += 1
        try:
            greeting = self.greeting if self.open_now <= self.connections_max else "421 too many"
            writer.write(f"{greeting}\r\n".encode())
            if greeting.startswith("2"):
                await self._session(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_now -= 1
            writer.close()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mail_from, rcpt_to, mails, commands = "", list[str](), 0, list[str]()
        while mails < self.mails_per_connection:
            await writer.drain()
            line = (await reader.readuntil(b"\r\n"))[:-2].decode()
            word = line.split(" ")[0].split(":")[0].upper()
            said = next(
                (self.says[key] for key in (line.split(" SIZE=")[0], word) if key in self.says), "250 ok"
            )
            if not said:
                return
            match word:
                case "EHLO" if said == "250 ok":
                    offers = (*self.extensions, *(("STARTTLS",) if self.tls else ()))
                    said = "\r\n".join(["250-mx", *(f"250-{offer}" for offer in offers), "250 HELP"])
                case "STARTTLS":
                    writer.write(b"220 go\r\n")
                    await writer.start_tls(self.tls)  # type: ignore[arg-type]
                    continue
                case "MAIL":
                    mail_from, rcpt_to = line[len("MAIL FROM:<") :].split(">")[0], []
                    commands = [line]
                case "RCPT" if said.startswith("2"):
                    rcpt_to.append(line[len("RCPT TO:<") :].split(">")[0])
                    commands.append(line)
                case "DATA" if not rcpt_to:
                    said = "554 5.5.1 no valid recipients"
                case "DATA" if said == "250 ok":
                    writer.write(b"354 go\r\n")
                    message = (await reader.readuntil(b"\r\n.\r\n"))[:-3]
                    said = self.dot.pop(0) if self.dot else "250 2.0.0 taken"
                    self.at_dot.set()
                    if said == "…":
                        await reader.read()
                    if not said.startswith("2"):
                        if said in ("", "…"):
                            return
                    else:
                        was_tls = writer.get_extra_info("ssl_object") is not None
                        message = message.replace(b"\r\n..", b"\r\n.")
                        self.taken.append(Taken(mail_from, rcpt_to, message, was_tls, commands))
                        self.has_more.set()
                        mails += 1
                case "BDAT":
                    message = await reader.readexactly(int(line.split(" ")[1]))
                    was_tls = writer.get_extra_info("ssl_object") is not None
                    self.taken.append(Taken(mail_from, rcpt_to, message, was_tls, commands))
                    self.has_more.set()
                case "QUIT":
                    return
            writer.write(f"{said}\r\n".encode())
        await writer.drain()
