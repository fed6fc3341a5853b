"""IMAP conversations as text files, one an RFC (tests/dialogs/imap/*.txt), on real rows.

    C: LINE      the client sends LINE and CRLF; \\r, \\n and \\x00 are octets, {{TEXT}} is a literal of TEXT
    S: LINE      the server's next response is LINE; … stands for anything in it
    S: …         any number of responses, up to the one that follows
    C2:, S2:     the same for a second session of the same account
    C3:, S3:     the same for a session of a colleague

<word> stands for a number: the first time it is whatever the server says there, from then on that. {{TEXT}}
in a response is a literal too. Nothing is said that the dialog does not expect. Each session is signed in.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.processes.imap.notifying import tell_until
from tests.processes.imap_sessions.home import Home, Visit, split_responses

DIALOGS = sorted((Path(__file__).parent / "imap").glob("*.txt"))
PATIENCE_S = 60.0
ANY = "…"
_STEP = re.compile(r"(?P<who>[CS])(?P<number>[23]?): ?(?P<text>.*)")
_LITERAL = re.compile(rb"\{\{(.*?)\}\}", re.DOTALL)
_NUMBER = re.compile(rb"<([a-z]+)>")


def octets(text: str) -> bytes:
    raw = text.encode().decode("latin-1")
    return re.sub(r"\\(r|n|x[0-9a-f]{2})", lambda found: _unescaped(found[1]), raw).encode("latin-1")


def _unescaped(name: str) -> str:
    return {"r": "\r", "n": "\n"}.get(name) or chr(int(name[1:], 16))


class Talk:
    """One session and what it has said that nobody has expected yet."""

    def __init__(self, visit: Visit, numbers: dict[bytes, bytes]) -> None:
        self._visit, self._numbers = visit, numbers
        self._task: asyncio.Task[None] | None = None  # the command under way, or telling between two
        self._lines: asyncio.Queue[bytes] = asyncio.Queue()
        visit.session.next_line = self._lines.get

    async def send(self, text: str) -> None:
        line = _NUMBER.sub(lambda found: self._numbers[found[1]], octets(text))
        if line == b"DONE":
            self._lines.put_nowait(line)
            return
        await self.stop()
        assert not self._visit.paper.said, f"before {text!r} came {self._visit.paper.said!r}"
        line = _LITERAL.sub(lambda found: b"{%d+}\r\n%b" % (len(found[1]), found[1]), line)
        self._task = asyncio.create_task(self._obey(line + b"\r\n"))

    async def _obey(self, line: bytes) -> None:
        await self._visit.feed(line)
        if self._visit.session.watch is not None:
            nobody = asyncio.create_task(asyncio.Event().wait())
            try:
                await tell_until(self._visit.session, nobody, may_expunge=False)
            finally:
                nobody.cancel()

    async def expect(self, text: str, *, may_skip: bool) -> None:
        while True:
            response = await self._next(text)
            if self._matches(text, response):
                return
            assert may_skip, f"expected {text!r}, got {response!r}"

    async def _next(self, wanted: str) -> bytes:
        paper = self._visit.paper
        async with asyncio.timeout(PATIENCE_S):
            while not (responses := list(split_responses(paper.said))):
                assert self._task is not None, wanted
                if self._task.done():
                    self._task.result()
                    raise AssertionError(f"expected {wanted!r}, the server said nothing more")
                news = asyncio.create_task(paper.news())
                await asyncio.wait({news, self._task}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
        paper.said = paper.said[len(responses[0]) :]
        return responses[0].removesuffix(b"\r\n")

    def _matches(self, text: str, response: bytes) -> bool:
        wanted = _LITERAL.sub(lambda found: b"{%d}\r\n%b" % (len(found[1]), found[1]), octets(text))
        pattern, names = b"", list[bytes]()
        for piece in re.split(rb"(<[a-z]+>|\xe2\x80\xa6)", wanted):
            name = piece[1:-1]
            if piece == ANY.encode():
                pattern += b".*"
            elif _NUMBER.fullmatch(piece) and name not in self._numbers:
                pattern += b"([0-9]+)"
                names.append(name)
            else:
                pattern += re.escape(self._numbers.get(name, piece))
        found = re.fullmatch(pattern, response, re.DOTALL)
        if found is not None:
            self._numbers.update(zip(names, found.groups(), strict=True))
        return found is not None

    async def stop(self) -> None:
        """What was sent is answered; nobody tells anything between commands any more."""
        if self._task is not None:
            if self._visit.session.watch is not None:
                self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None


@asynccontextmanager
async def talks(home: Home) -> AsyncIterator[dict[str, Talk]]:
    numbers: dict[bytes, bytes] = {}
    people = {"": home.person, "2": home.person, "3": home.malee}
    found = {number: Talk(await home.visit(person), numbers) for number, person in people.items()}
    try:
        yield found
    finally:
        for one in found.values():
            await one.stop()


def steps(path: Path) -> Iterator[tuple[str, str, str]]:
    for line in path.read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            found = _STEP.fullmatch(line)
            assert found is not None, line
            yield found["who"], found["number"], found["text"]


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: path.stem)
async def test_dialog(path: Path, home: Home) -> None:
    async with talks(home) as found:
        may_skip = False
        for who, number, text in steps(path):
            if who == "C":
                await found[number].send(text)
            elif text == ANY:
                may_skip = True
                continue
            else:
                await found[number].expect(text, may_skip=may_skip)
            may_skip = False
        for one in found.values():
            await one.stop()
            assert not one._visit.paper.said, one._visit.paper.said


def test_there_are_dialogs() -> None:
    assert len(DIALOGS) > 20
