"""A load of SMTP mails that remembers what it was told about each: the sender's side of every count.

Not gateway code: sockets and a few lines of RFC 5321, so that it can disagree with the gateway. Each attempt
has a Message-ID of its own and is never sent again, so that "answered 250", "answered otherwise" and "not
answered" are three sets.

    python -m tests.e2e.load 127.0.0.1:2525 --to malee@opdc.go.th --mails 10000 --connections 50
"""

import argparse
import asyncio
import itertools
import json
import re
import secrets
import sys
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import uvloop

# RFC 5321 §4.5.3.2.6: 10 minutes for the final dot; a test that waits that long has found its fault.
ANSWER_PATIENCE_S = 120.0
RECONNECT_DELAY_S = 0.05
MAIL_ID = re.compile(rb"mail_[0-9a-z]{26}")


class LineLost(Exception):
    """The peer is gone, or does not speak SMTP any more."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send: until `mails` attempts, `acknowledged` of them or `seconds`, what comes first."""

    host: str
    port: int
    recipients: Sequence[tuple[str, ...]]  # the k-th mail goes to recipients[k % len]
    mail_from: str = "load@sender.example"  # "" is the null reverse-path
    mails: int = 1_000_000
    acknowledged: int = 1_000_000
    seconds: float = 600.0
    connections: int = 50
    octets: int = 4096
    pause_s: float = 0.0  # of each connection after each mail: for a load that leaves the machine some air
    marker: str = ""  # goes into Subject and body


class Answer(NamedTuple):
    """What became of a transaction. refused: recipients that were not taken at RCPT; the rest has `code`."""

    code: int  # of the reply to the final dot; of the first refusal when it did not come to that
    said: bytes
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One mail as it was sent and answered. code: of the last reply; 0: the line was lost before it came."""

    message_id: str
    recipients: tuple[str, ...]  # without those that were refused at RCPT
    refused: tuple[str, ...]
    code: int
    mail_id: str = ""  # of the gateway, when it answered 250
    said: str = ""
    at: float = 0.0  # time.monotonic() of the answer

    @property
    def is_acknowledged(self) -> bool:
        return self.code == 250


@dataclass
class Load:
    """A running load. After run(): `attempts` has every mail that was begun."""

    plan: Plan
    attempts: list[Attempt] = field(default_factory=list)
    acknowledged: int = 0
    reconnects: int = 0

    def __post_init__(self) -> None:
        self._run = secrets.token_hex(6)
        self._numbers = iter(range(self.plan.mails))
        self._routes = itertools.cycle(self.plan.recipients)
        self._stopped = False
        self._until = 0.0
        self._body = _body(self.plan)

    async def run(self) -> None:
        """Send until the plan is fulfilled or stop() is called."""
        self._until = time.monotonic() + self.plan.seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(self.plan.connections):
                group.create_task(self._keep_sending())

    def stop(self) -> None:
        """Finish the mails that are under way, begin no other."""
        self._stopped = True

    def with_code(self, first_digit: int) -> list[Attempt]:
        """Attempts answered 2xx, 4xx, 5xx; 0: not answered."""
        return [attempt for attempt in self.attempts if attempt.code // 100 == first_digit]

    def counts(self) -> dict[str, int]:
        return {
            "attempts": len(self.attempts),
            "acknowledged": len(self.with_code(2)),
            "deferred": len(self.with_code(4)),
            "refused": len(self.with_code(5)),
            "unanswered": len(self.with_code(0)),
            "reconnects": self.reconnects,
        }

    @property
    def _is_over(self) -> bool:
        plan = self.plan
        return self._stopped or self.acknowledged >= plan.acknowledged or time.monotonic() > self._until

    async def _keep_sending(self) -> None:
        while not self._is_over:
            try:
                line = await Line.open(self.plan.host, self.plan.port)
            except (OSError, LineLost, TimeoutError):
                self.reconnects += 1
                await asyncio.sleep(RECONNECT_DELAY_S)
                continue
            with suppress(LineLost, OSError, TimeoutError):
                if not await self._send_over(line):
                    return
            line.close()
            self.reconnects += 1

    async def _send_over(self, line: "Line") -> bool:
        """False when there is nothing left to send."""
        while not self._is_over:
            number = next(self._numbers, None)
            if number is None:
                break
            await self._attempt(line, number)
            if self.plan.pause_s:
                await asyncio.sleep(self.plan.pause_s)
        await line.quit()
        return False

    async def _attempt(self, line: "Line", number: int) -> None:
        message_id = f"<{number}.{self._run}@load.example>"
        recipients = next(self._routes)
        answer = Answer(0, b"")
        try:
            answer = await line.send(self.plan.mail_from, recipients, self.message_of(message_id))
        finally:
            self._note(message_id, recipients, answer)
        if answer.code == 421:
            raise LineLost("421")

    def _note(self, message_id: str, recipients: tuple[str, ...], answer: Answer) -> None:
        found = MAIL_ID.search(answer.said)
        attempt = Attempt(
            message_id,
            tuple(to for to in recipients if to not in answer.refused),
            answer.refused,
            answer.code,
            found.group().decode() if found and answer.code == 250 else "",
            answer.said.decode("utf-8", "replace"),
            time.monotonic(),
        )
        self.attempts.append(attempt)
        self.acknowledged += attempt.is_acknowledged

    def message_of(self, message_id: str) -> bytes:
        """The octets sent under this Message-ID, the same each time."""
        number = message_id[1:].partition(".")[0]
        head = (
            f"From: {self.plan.mail_from or 'daemon@sender.example'}\r\n"
            f"Message-ID: {message_id}\r\nDate: Mon, 01 Jan 2024 09:00:00 +0700\r\n"
            f"Subject: load {number} {self.plan.marker}\r\n\r\n"
        )
        return head.encode() + self._body


class Line:
    """One SMTP connection, from the client's side, with PIPELINING (RFC 2920)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, host: str, port: int) -> "Line":
        """Connect and say EHLO. Raises OSError, LineLost, TimeoutError."""
        async with asyncio.timeout(ANSWER_PATIENCE_S):
            reader, writer = await asyncio.open_connection(host, port)
            line = cls(reader, writer)
            try:
                await line._expect(220)
                writer.write(b"EHLO load.example\r\n")
                await line._expect(250)
            except BaseException:
                line.close()
                raise
        return line

    async def send(self, mail_from: str, recipients: Sequence[str], message: bytes) -> Answer:
        """One transaction.

        message: without dot-stuffing and without the final dot, ends with CRLF. Raises LineLost when
        the connection ends before that reply.
        """
        eight_bit = not message.isascii()
        return await self.send_pieces(mail_from, recipients, _once(stuffed(message)), eight_bit=eight_bit)

    async def send_pieces(
        self,
        mail_from: str,
        recipients: Sequence[str],
        pieces: AsyncIterable[bytes],
        *,
        eight_bit: bool = False,
    ) -> Answer:
        """The same for a message that comes in pieces, dots doubled already."""
        utf8 = " SMTPUTF8" if not "".join((mail_from, *recipients)).isascii() else ""
        body = " BODY=8BITMIME" if eight_bit else ""
        commands = [f"MAIL FROM:<{mail_from}>{body}{utf8}", *(f"RCPT TO:<{to}>" for to in recipients), "DATA"]
        async with asyncio.timeout(ANSWER_PATIENCE_S):
            self._writer.write("".join(command + "\r\n" for command in commands).encode())
            replies = [await self._reply() for _ in commands]
            said = dict(zip(recipients, replies[1:-1], strict=True))
            refused = tuple(to for to, reply in said.items() if reply[0] // 100 != 2)
            if replies[-1][0] != 354:
                await self._reset()
                return Answer(*next(reply for reply in replies if reply[0] // 100 != 2), refused)
            async for piece in pieces:
                self._writer.write(piece)
                await self._writer.drain()
            self._writer.write(b".\r\n")
            return Answer(*await self._reply(), refused)

    async def quit(self) -> None:
        with suppress(LineLost, OSError, TimeoutError):
            async with asyncio.timeout(5):
                self._writer.write(b"QUIT\r\n")
                await self._reply()
        self.close()

    def close(self) -> None:
        self._writer.close()

    async def _reset(self) -> None:
        self._writer.write(b"RSET\r\n")
        await self._expect(250)

    async def _expect(self, code: int) -> None:
        got, said = await self._reply()
        if got != code:
            raise LineLost(f"expected {code}, got {said!r}")

    async def _reply(self) -> tuple[int, bytes]:
        lines = b""
        while True:
            line = await self._reader.readline()
            if not line.endswith(b"\n"):
                raise LineLost("the connection ended within a reply")
            lines += line
            if line[3:4] != b"-":
                break
        if not line[:3].isdigit():
            raise LineLost(f"not an SMTP reply: {line!r}")
        return int(line[:3]), lines.strip()


def stuffed(message: bytes) -> bytes:
    """RFC 5321 §4.5.2: a line that begins with a dot gets another."""
    doubled = message.replace(b"\r\n.", b"\r\n..")
    return b"." + doubled if message.startswith(b".") else doubled


async def _once(octets: bytes) -> AsyncIterator[bytes]:
    yield octets


async def send_one(address: str, mail_from: str, recipients: Sequence[str], message: bytes) -> Answer:
    """One mail over a connection of its own, octets as given. address: host:port."""
    host, port = host_and_port(address)
    line = await Line.open(host, port)
    try:
        return await line.send(mail_from, recipients, message)
    finally:
        await line.quit()


def host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _body(plan: Plan) -> bytes:
    """Lines of 76 octets, about plan.octets of them less the header's."""
    line = f"{plan.marker or 'saraban'} ".encode()
    row = (line * (76 // len(line) + 1))[:74] + b"\r\n"
    rows = max(1, (plan.octets - 200) // len(row))
    return row * rows


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("address", help="host:port of the SMTP server")
    parser.add_argument("--to", action="append", required=True, help="a recipient; several: taken in turn")
    parser.add_argument("--from", dest="mail_from", default="load@sender.example", help="'' is the null path")
    parser.add_argument("--mails", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--record", type=Path, help="write each attempt there as a JSON line")
    return parser.parse_args()


def _recorded(attempts: Sequence[Attempt]) -> Iterator[str]:
    for attempt in attempts:
        fields = {"message_id": attempt.message_id, "code": attempt.code, "mail_id": attempt.mail_id}
        yield json.dumps(fields) + "\n"


def main() -> int:
    asked = _arguments()
    host, port = host_and_port(asked.address)
    plan = Plan(
        host=host,
        port=port,
        recipients=[(to,) for to in asked.to],
        mail_from=asked.mail_from,
        mails=asked.mails,
        seconds=asked.seconds,
        connections=asked.connections,
        octets=asked.octets,
    )
    load = Load(plan)
    begun = time.monotonic()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(load.run())
    took = time.monotonic() - begun
    if asked.record:
        asked.record.write_text("".join(_recorded(load.attempts)))
    counts = load.counts()
    print(json.dumps({**counts, "seconds": round(took, 3), "per_second": round(counts["attempts"] / took)}))
    return 0 if counts["acknowledged"] == counts["attempts"] else 1


if __name__ == "__main__":
    sys.exit(main())
