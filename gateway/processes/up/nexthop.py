"""The demonstration's third agency: a small SMTP server of its own that writes a Maildir.

It shares no line with the gateway's SMTP, so that it is a fair other side. It takes any recipient of its
domain and says 250 when the mail is on disk. For the demonstration and tests only.

Source: RFC 5321 §4 (commands), RFC 1870 (SIZE), RFC 6531 (SMTPUTF8), maildir(5).
"""

import asyncio
import os
import re
import socket
from itertools import count
from pathlib import Path
from typing import Final

from gateway.processes.listening.sockets import listen
from gateway.processes.readiness import ready, until_told

OCTETS_MAX: Final = 64 * 1024 * 1024
LINE_OCTETS_MAX: Final = 1024 * 1024
IDLE_S: Final = 300
DOMAIN: Final = "dld.go.th"
OFFERED: Final = ("8BITMIME", "SMTPUTF8", f"SIZE {OCTETS_MAX}", "PIPELINING", "ENHANCEDSTATUSCODES")
PATH: Final = re.compile(rb"(?:FROM|TO):\s*<([^>]*)>", re.IGNORECASE)


class Maildir:
    """Mails as files: written below tmp, on disk, then moved to new."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._numbers = count(1)
        for name in ("tmp", "new", "cur"):
            (root / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    def keep(self, octets: bytes) -> None:
        """Returns when file and folder entry are on disk."""
        name = f"{os.getpid()}.{next(self._numbers)}.{os.urandom(8).hex()}.{DOMAIN}"
        written, kept = self._root / "tmp" / name, self._root / "new" / name
        try:
            with written.open("wb") as file:
                file.write(octets)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            written.unlink(missing_ok=True)
            raise
        written.rename(kept)
        folder = os.open(kept.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class Session:
    """One client, from greeting to QUIT."""

    def __init__(self, maildir: Maildir, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._maildir, self._reader, self._writer = maildir, reader, writer
        self._mail_from: bytes | None = None
        self._rcpt_to: list[bytes] = []

    async def run(self) -> None:
        await self._say(f"220 mail.{DOMAIN} ESMTP")
        while True:
            line = (await self._line()).rstrip(b"\r\n")
            if not line:
                return
            match line[:4].upper():
                case b"EHLO":
                    self._forget()
                    names = (f"mail.{DOMAIN}", *OFFERED)
                    told = [f"250{'-' if n < len(names) else ' '}{name}" for n, name in enumerate(names, 1)]
                    await self._say("\r\n".join(told))
                case b"HELO" | b"RSET":
                    self._forget()
                    await self._say("250 2.0.0 ok")
                case b"MAIL":
                    await self._mail(line)
                case b"RCPT":
                    await self._rcpt(line)
                case b"DATA":
                    await self._data()
                case b"NOOP":
                    await self._say("250 2.0.0 ok")
                case b"QUIT":
                    await self._say("221 2.0.0 bye")
                    return
                case _:
                    await self._say("500 5.5.2 unknown command")

    async def _mail(self, line: bytes) -> None:
        path = PATH.search(line)
        if path is None or self._mail_from is not None:
            await self._say("503 5.5.1 one sender, please")
            return
        self._mail_from = path[1]
        await self._say("250 2.1.0 sender ok")

    async def _rcpt(self, line: bytes) -> None:
        path = PATH.search(line)
        if self._mail_from is None or path is None:
            await self._say("503 5.5.1 a sender first, please")
        elif not path[1].lower().endswith(b"@" + DOMAIN.encode()):
            await self._say("550 5.7.1 not a recipient here")
        else:
            self._rcpt_to.append(path[1])
            await self._say("250 2.1.5 recipient ok")

    async def _data(self) -> None:
        if not self._rcpt_to:
            await self._say("503 5.5.1 a recipient first, please")
            return
        await self._say("354 go on, end with a dot")
        lines, octets = [], 0
        while (line := await self._line()) != b".\r\n":
            if not line:
                return
            octets += len(line)
            if octets <= OCTETS_MAX:
                lines.append(line[1:] if line.startswith(b".") else line)
        if octets > OCTETS_MAX:
            await self._say("552 5.3.4 too large")
        else:
            head = b"Return-Path: <%s>\r\n" % (self._mail_from or b"")
            head += b"".join(b"Delivered-To: %s\r\n" % recipient for recipient in self._rcpt_to)
            try:
                await asyncio.to_thread(self._maildir.keep, head + b"".join(lines))
            except OSError:
                await self._say("452 4.3.1 no room to keep it, try again later")
            else:
                await self._say("250 2.0.0 kept")
        self._forget()

    def _forget(self) -> None:
        self._mail_from, self._rcpt_to = None, []

    async def _line(self) -> bytes:
        """The next line with its CRLF; nothing at the end of the connection."""
        async with asyncio.timeout(IDLE_S):
            try:
                return await self._reader.readuntil(b"\r\n")
            except asyncio.IncompleteReadError:
                return b""

    async def _say(self, reply: str) -> None:
        self._writer.write(reply.encode() + b"\r\n")
        async with asyncio.timeout(IDLE_S):
            await self._writer.drain()


async def serve(listening: socket.socket, root: Path) -> None:
    """Take mail until cancelled."""
    maildir = Maildir(root)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await Session(maildir, reader, writer).run()
        except (ConnectionError, TimeoutError, asyncio.LimitOverrunError):
            writer.transport.abort()
        finally:
            writer.close()

    server = await asyncio.start_server(talk, sock=listening, limit=LINE_OCTETS_MAX)
    async with server:
        ready(os.environ)
        await server.serve_forever()


def run(address: str, maildir: Path) -> None:
    """Listen at address (host:port) and keep mail in maildir, until told to stop."""
    asyncio.run(until_told(serve(listen(address), maildir)))
