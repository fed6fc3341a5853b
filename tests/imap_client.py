"""A small IMAP client that hides nothing: every untagged response in its order, parsed and as it came.

Independent of `gateway.protocols.imap` on purpose: it reads what a stranger would read (RFC 9051 §9). Raises
AssertionError on octets that no grammar allows.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self, TypeAlias

PATIENCE_S = 60.0
LINE_OCTETS_MAX = 64 * 1024 * 1024

# An atom or number is str, a string bytes, NIL None, a parenthesised list a list.
Token: TypeAlias = "str | bytes | list[Token] | None"


@dataclass(frozen=True, slots=True)
class Response:
    """One untagged response. kind: `FETCH`, `EXISTS`, `OK`, …; number: what stands before it."""

    octets: bytes
    kind: str
    number: int | None = None
    tokens: list[Token] = field(default_factory=list)
    code: str = ""  # the response code, without its brackets

    @property
    def items(self) -> dict[str, Token]:
        """The data items of a FETCH, names in upper case."""
        assert self.kind == "FETCH", self.octets
        listed = self.tokens[0]
        assert isinstance(listed, list), self.octets
        return {str(name).upper(): value for name, value in zip(listed[::2], listed[1::2], strict=True)}

    @property
    def flags(self) -> frozenset[str]:
        listed = self.items["FLAGS"]
        assert isinstance(listed, list), self.octets
        return frozenset(str(flag) for flag in listed)


@dataclass(frozen=True, slots=True)
class Answer:
    """A tagged response, and what came before it."""

    status: str  # OK, NO, BAD
    code: str
    text: str
    untagged: list[Response]

    def of(self, kind: str) -> list[Response]:
        return [response for response in self.untagged if response.kind == kind]


class Refused(Exception):
    """The server said NO or BAD where the test wanted OK."""


class Gone(Exception):
    """The connection ended; the last words, if any, are in `said`."""

    def __init__(self, said: str = "") -> None:
        super().__init__(said or "the connection ended")
        self.said = said


class ImapClient:
    """One connection. on_untagged: hears each untagged response as soon as it is read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._tags = 0
        self._is_leaving = False
        self.transcript: list[bytes] = []
        self.on_untagged: Callable[[Response], None] = lambda response: None
        self.octets_read = 0
        self.unfinished = b""  # of a response that broke off

    @classmethod
    async def connect(cls, host: str, port: int, tls: ssl.SSLContext | None = None) -> Self:
        """tls: for a port where TLS comes first. Reads the greeting."""
        reader, writer = await asyncio.open_connection(host, port, ssl=tls, limit=LINE_OCTETS_MAX)
        client = cls(reader, writer)
        greeting = await client.read_untagged()
        assert greeting.kind in ("OK", "PREAUTH"), greeting.octets
        return client

    async def start_tls(self, context: ssl.SSLContext) -> None:
        await self.ok("STARTTLS")
        await self._writer.start_tls(context)

    async def login(self, username: str, password: str) -> None:
        await self.ok(f'LOGIN "{username}" "{password}"')

    async def ok(self, command: str | bytes, *literals: bytes) -> Answer:
        """Raises Refused when the answer is another."""
        answer = await self.command(command, *literals)
        if answer.status != "OK":
            raise Refused(f"{command!r}: {answer.status} [{answer.code}] {answer.text}")
        return answer

    async def command(self, command: str | bytes, *literals: bytes) -> Answer:
        """Send a command, `{}` in it standing for a literal each, and read its answer. Raises Gone."""
        tag = self.send(command, *literals)
        await self._drain()
        return await self.answer(tag)

    def send(self, command: str | bytes, *literals: bytes) -> str:
        """Write a command without waiting, literals as RFC 7888's non-synchronising ones. Returns its tag."""
        self._tags += 1
        tag = f"T{self._tags}"
        whole = command.encode() if isinstance(command, str) else command
        parts = whole.split(b"{}")
        assert len(parts) == len(literals) + 1, command
        octets = f"{tag} ".encode() + parts[0]
        for literal, part in zip(literals, parts[1:], strict=True):
            octets += b"{%d+}\r\n" % len(literal) + literal + part
        self.write(octets + b"\r\n")
        return tag

    def write(self, octets: bytes) -> None:
        self.transcript.append(b"C: " + octets[:2000])
        self._writer.write(octets)

    async def answer(self, tag: str) -> Answer:
        """Read up to the tagged response. Raises Gone."""
        untagged: list[Response] = []
        while True:
            octets = await self._read_response()
            first, _, rest = octets.partition(b" ")
            if first == tag.encode():
                status, _, text = rest.rstrip(b"\r\n").partition(b" ")
                code, text = _split_code(text)
                return Answer(status.decode(), code, text.decode("utf-8", "replace"), untagged)
            response = self._parse(octets)
            if response.kind == "BYE" and not self._is_leaving:
                raise Gone(octets.decode("utf-8", "replace"))
            untagged.append(response)

    async def logout(self) -> None:
        self._is_leaving = True
        await self.ok("LOGOUT")
        await self.close()

    async def idle(self) -> str:
        """Begin IDLE (RFC 2177); `done` ends it. Returns its tag."""
        tag = self.send("IDLE")
        await self._drain()
        while not (octets := await self._read_response()).startswith(b"+"):
            self._parse(octets)
        return tag

    async def done(self, tag: str) -> Answer:
        self.write(b"DONE\r\n")
        await self._drain()
        return await self.answer(tag)

    async def read_untagged(self) -> Response:
        """The next response, which is untagged. Raises Gone."""
        return self._parse(await self._read_response())

    async def close(self) -> None:
        """At once: what is not read any more is dropped, and TLS waits for nobody."""
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _drain(self) -> None:
        try:
            await self._writer.drain()
        except OSError as error:
            raise Gone(str(error)) from error

    def _parse(self, octets: bytes) -> Response:
        response = parse_response(octets)
        self.on_untagged(response)
        return response

    async def _read_response(self) -> bytes:
        """One response with its literals. Raises Gone."""
        octets = b""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    line = await self._reader.readuntil(b"\r\n")
                    octets += line
                    size = _literal_octets(line)
                    if size is None:
                        break
                    octets += await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            partial = error.partial if isinstance(error, asyncio.IncompleteReadError) else b""
            self.unfinished += octets + partial
            raise Gone from error
        self.octets_read += len(octets)
        self.transcript.append(b"S: " + octets[:2000])
        return octets


def _literal_octets(line: bytes) -> int | None:
    if not line.endswith(b"}\r\n"):
        return None
    size = line[line.rfind(b"{") + 1 : -3]
    return int(size) if size.isdigit() else None


def _split_code(text: bytes) -> tuple[str, bytes]:
    if not text.startswith(b"["):
        return "", text
    code, _, rest = text[1:].partition(b"]")
    return code.decode(), rest.removeprefix(b" ")


def parse_response(octets: bytes) -> Response:
    """An untagged response or a continuation."""
    assert octets.endswith(b"\r\n"), octets[-80:]
    if octets.startswith(b"+"):
        return Response(octets, "+")
    assert octets.startswith(b"* "), octets[:80]
    rest = octets[2:-2]
    first, _, more = rest.partition(b" ")
    if first.upper() in (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"):
        code, _ = _split_code(more)
        return Response(octets, first.decode().upper(), code=code)
    tokens, end = _tokens(rest, 0)
    assert end == len(rest), octets[:200]
    if isinstance(tokens[0], str) and tokens[0].isdigit():
        kind = tokens[1]
        assert isinstance(kind, str), octets[:80]
        return Response(octets, kind.upper(), int(tokens[0]), tokens[2:])
    assert isinstance(tokens[0], str), octets[:80]
    return Response(octets, tokens[0].upper(), None, tokens[1:])


def _tokens(octets: bytes, at: int) -> tuple[list[Token], int]:
    """Tokens up to the end or to a closing parenthesis."""
    found: list[Token] = []
    while at < len(octets) and octets[at : at + 1] != b")":
        match octets[at : at + 1]:
            case b" ":
                at += 1
            case b"(":
                inner, at = _tokens(octets, at + 1)
                assert octets[at : at + 1] == b")", octets[:200]
                at += 1
                found.append(inner)
            case b'"':
                string, at = _quoted(octets, at + 1)
                found.append(string)
            case b"{":
                found.append(None)
                found[-1], at = _literal(octets, at)
            case b"~" if octets[at + 1 : at + 2] == b"{":
                found.append(None)
                found[-1], at = _literal(octets, at + 1)
            case _:
                atom, at = _atom(octets, at)
                found.append(None if atom == "NIL" else atom)
    return found, at


def _quoted(octets: bytes, at: int) -> tuple[bytes, int]:
    string = bytearray()
    while octets[at : at + 1] != b'"':
        if octets[at : at + 1] == b"\\":
            at += 1
            assert octets[at : at + 1] in (b"\\", b'"'), octets[:200]
        assert at < len(octets), octets[:200]
        string += octets[at : at + 1]
        at += 1
    return bytes(string), at + 1


def _literal(octets: bytes, at: int) -> tuple[bytes, int]:
    end = octets.index(b"}\r\n", at)
    size = int(octets[at + 1 : end])
    start = end + 3
    return octets[start : start + size], start + size


def _atom(octets: bytes, at: int) -> tuple[str, int]:
    """An atom; BODY[…]<…> with its section is one."""
    start, depth = at, 0
    while at < len(octets):
        character = octets[at : at + 1]
        if character == b"[":
            depth += 1
        elif character == b"]":
            depth -= 1
        elif depth == 0 and character in b" ()":
            break
        at += 1
    assert at > start, octets[start : start + 40]
    return octets[start:at].decode("utf-8"), at
