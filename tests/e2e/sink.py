"""The next hop of the tests: takes every mail and remembers what it got and what it had said.

Not gateway code. A reception is complete when the final dot came; `said_250` tells whether the answer was
handed to the kernel, which is the most a host can know about its own reply. A recipient whose name begins
with "refused" is not taken.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

MESSAGE_ID = re.compile(rb"^message-id:[ \t\r\n]*(<[^>]+>)", re.IGNORECASE | re.MULTILINE)
LINE_OCTETS_MAX = 1024 * 1024
EXTENSIONS = (b"PIPELINING", b"8BITMIME", b"SMTPUTF8", b"SIZE 52428800")


@dataclass(slots=True)
class Reception:
    """One message that came whole. Times are time.monotonic()."""

    message_id: str
    mail_from: str
    recipients: tuple[str, ...]
    message: bytes  # without dot-stuffing, b"" when only counted
    at: float
    commands: tuple[bytes, ...] = ()  # MAIL and the RCPTs that were taken, as they came
    said_250: bool = False


@dataclass
class Sink:
    """What came. `answer_delay_s`: between the final dot and `250`, so that a kill can fall in between."""

    keeps_messages: bool = True
    answer_delay_s: float = 0.0
    offers_dsn: bool = False
    domain: str = "hop.example"
    port: int = 0
    receptions: list[Reception] = field(default_factory=list)
    _open: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def times_received(self) -> Counter[str]:
        """How often each Message-ID came whole and was answered 250."""
        return Counter(reception.message_id for reception in self.receptions if reception.said_250)

    def by_message_id(self) -> dict[str, list[Reception]]:
        """In the order they came."""
        found: dict[str, list[Reception]] = {}
        for reception in self.receptions:
            found.setdefault(reception.message_id, []).append(reception)
        return found

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.current_task()
        assert conversation is not None
        self._open[conversation] = writer
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await self._converse(reader, writer)
        writer.close()
        del self._open[conversation]

    async def hang_up(self) -> None:
        """Cut every line, and wait until nobody talks any more."""
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.gather(*self._open)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink.example\r\n")
        mail_from, recipients, commands = "", list[str](), list[bytes]()
        extensions = (*EXTENSIONS, *((b"DSN",) if self.offers_dsn else ()))
        while True:
            line = await reader.readuntil(b"\r\n")
            verb = line[:4].upper()
            if verb == b"EHLO":
                lines = [b"250-sink.example", *(b"250-" + extension for extension in extensions), b"250 HELP"]
                writer.write(b"\r\n".join(lines) + b"\r\n")
            elif verb == b"MAIL":
                mail_from, recipients, commands = _path(line), [], [line.rstrip()]
                writer.write(b"250 2.1.0 ok\r\n")
            elif verb == b"RCPT" and _path(line).startswith("refused"):
                writer.write(b"550 5.1.1 nobody here\r\n")
            elif verb == b"RCPT":
                recipients.append(_path(line))
                commands.append(line.rstrip())
                writer.write(b"250 2.1.5 ok\r\n")
            elif verb == b"DATA" and not recipients:
                writer.write(b"554 5.5.1 no valid recipients\r\n")
            elif verb == b"DATA":
                writer.write(b"354 go on\r\n")
                await self._receive(reader, writer, mail_from, tuple(recipients), tuple(commands))
            elif verb == b"QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                return
            elif verb in (b"RSET", b"NOOP", b"HELO"):
                mail_from, recipients = "", []
                writer.write(b"250 2.0.0 ok\r\n")
            else:
                writer.write(b"502 5.5.1 what?\r\n")

    async def _receive(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        mail_from: str,
        recipients: tuple[str, ...],
        commands: tuple[bytes, ...],
    ) -> None:
        message = await _data(reader)
        found = MESSAGE_ID.search(message)
        kept = message if self.keeps_messages else b""
        message_id = found.group(1).decode("utf-8", "replace") if found else ""
        reception = Reception(message_id, mail_from, recipients, kept, time.monotonic(), commands)
        self.receptions.append(reception)
        if self.answer_delay_s:
            await asyncio.sleep(self.answer_delay_s)
        if not reader.at_eof() and not writer.is_closing():
            writer.write(b"250 2.0.0 taken\r\n")
            reception.said_250 = True


async def _data(reader: asyncio.StreamReader) -> bytes:
    """The message after DATA, dots removed (RFC 5321 §4.5.2)."""
    octets = bytearray()
    while not octets.endswith(b"\r\n.\r\n") and octets != b".\r\n":
        chunk = await reader.readuntil(b".\r\n")
        octets += chunk
    del octets[-3:]
    whole = bytes(octets)
    if whole.startswith(b"."):
        whole = whole[1:]
    return whole.replace(b"\r\n..", b"\r\n.")


def _path(line: bytes) -> str:
    start, end = line.find(b"<"), line.find(b">")
    return line[start + 1 : end].decode("utf-8", "replace")


@asynccontextmanager
async def running_sink(
    *, port: int = 0, keeps_messages: bool = True, answer_delay_s: float = 0.0, offers_dsn: bool = False
) -> AsyncIterator[Sink]:
    """A sink on a loopback port."""
    sink = Sink(keeps_messages=keeps_messages, answer_delay_s=answer_delay_s, offers_dsn=offers_dsn)
    server = await asyncio.start_server(
        sink.serve, "127.0.0.1", port, limit=48 * LINE_OCTETS_MAX, backlog=512
    )
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
        await sink.hang_up()
