"""Many IMAP sessions on few accounts, each doing whatever is legal, each keeping what it may believe.

One seed gives one session's choices; what the others do meanwhile is the server's own time. Any contradiction
is raised with the seed and the two transcripts it shows in.
"""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.mail.uids import each_uid, parse_uids
from tests.imap_belief import Belief, Contradiction, Ledger
from tests.imap_client import Answer, Gone, ImapClient, Refused, Response

MAILBOXES: Final = ("INBOX", "Storm/A", "Storm/B")
FLAGS: Final = ("\\Seen", "\\Flagged", "\\Answered", "\\Deleted", "$Work", "$Later")
SHOWN: Final = "UID FLAGS MODSEQ EMAILID"
IDLE_S: Final = 0.3
TRANSCRIPT_LINES: Final = 400
AGAIN_AFTER_S: Final = 0.2  # a role that was killed is not there at once


@dataclass(frozen=True)
class Door:
    """Where to go, and as whom."""

    host: str
    port: int  # of implicit TLS
    tls: ssl.SSLContext
    username: str
    password: str


@dataclass
class Tally:
    commands: int = 0
    refused: int = 0  # NO
    lost: int = 0  # connections


@dataclass
class Visitor:
    """One session, opened again whenever it is lost."""

    name: str
    door: Door
    ledger: Ledger
    rng: random.Random
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.client: ImapClient | None = None
        self.belief: Belief | None = None
        self._during: str | None = None
        self._appended = 0

    async def storm(self, is_over: Callable[[], bool]) -> None:
        """Legal commands until it is over. Raises Contradiction."""
        while not is_over():
            try:
                if self.client is None:
                    await self._enter()
                await self._step()
            except (Gone, Refused, OSError):
                self.tally.lost += 1
                await self.leave()
                await asyncio.sleep(AGAIN_AFTER_S)
            except Contradiction as error:
                raise Contradiction(f"{self.name}: {error}\n{self.transcript}") from None

    @property
    def transcript(self) -> str:
        """The end of what was said on both sides."""
        said = self.client.transcript[-TRANSCRIPT_LINES:] if self.client is not None else []
        return b"\n".join(said).decode("utf-8", "replace")

    async def settle(self) -> None:
        """Learn what there is to learn without asking for anything that is known already."""
        while True:
            try:
                if self.client is None:
                    await self._enter()
                await self._command("NOOP")
                assert self.belief is not None
                unknown = [n for n, uid in enumerate(self.belief.uids, 1) if uid is None]
                if unknown:
                    await self._command(f"FETCH {_set(unknown)} ({SHOWN})")
                    await self._command("NOOP")
                return
            except (Gone, Refused, OSError):
                await self.leave()
                await asyncio.sleep(AGAIN_AFTER_S)

    # --- sessions -----------------------------------------------------------------------------------

    async def _enter(self) -> None:
        self.client = await ImapClient.connect(self.door.host, self.door.port, self.door.tls)
        self.client.on_untagged = self._hear
        await self.client.login(self.door.username, self.door.password)  # Refused: it cannot be checked now
        await self._select(self.rng.choice(MAILBOXES))

    async def leave(self) -> None:
        if self.client is not None:
            await self.client.close()
        self.client = self.belief = None

    def _hear(self, response: Response) -> None:
        if self.belief is not None:
            self.belief.hear(response, self._during)

    async def _command(self, command: str, *literals: bytes, during: str | None = None) -> Answer:
        """A NO is an answer; a BAD is a mistake of the test or a lie. Raises Gone."""
        assert self.client is not None
        self._during = during or command.split()[0]
        if self.belief is not None:
            self.belief.begin()
        self.tally.commands += 1
        answer = await self.client.command(command, *literals)
        self._during = None
        if answer.status == "BAD":
            raise Contradiction(f"{command}: BAD {answer.text}")
        self.tally.refused += answer.status == "NO"
        return answer

    # --- what a session does ----------------------------------------------------------------------------

    async def _step(self) -> None:
        steps: Sequence[tuple[int, Callable[[], Awaitable[None]]]] = (
            (10, self._noop),
            (20, self._fetch),
            (25, self._store),
            (10, self._copy),
            (10, self._move),
            (8, self._expunge),
            (12, self._append),
            (8, self._search),
            (6, self._idle),
            (4, self._status),
            (6, self._reselect),
        )
        weights = [weight for weight, _ in steps]
        _, step = self.rng.choices(steps, weights)[0]
        await step()

    async def _noop(self) -> None:
        await self._command("NOOP")

    async def _fetch(self) -> None:
        if self.rng.random() < 0.5:
            await self._command(f"UID FETCH 1:* ({SHOWN})", during="UID FETCH")
        elif numbers := self._some_numbers():
            await self._command(f"FETCH {_set(numbers)} ({SHOWN})")

    async def _store(self) -> None:
        uids = self._some_uids()
        if not uids:
            return
        flags = self.rng.sample(FLAGS, self.rng.randint(1, 2))
        how = self.rng.choice(("+FLAGS", "-FLAGS", "FLAGS", "+FLAGS.SILENT"))
        assert self.belief is not None
        if "\\Deleted" in flags and not how.startswith("-"):
            self.ledger.may_vanish |= {(self.belief.mailbox, uid) for uid in uids}
        condition = ""
        if self.rng.random() < 0.3:
            modseqs = [self.belief.states[uid][0] for uid in uids if uid in self.belief.states]
            condition = f" (UNCHANGEDSINCE {max(modseqs, default=1)})"
        if self.rng.random() < 0.5:
            numbers = [self.belief.uids.index(uid) + 1 for uid in uids]
            answer = await self._command(f"STORE {_set(numbers)}{condition} {how} ({' '.join(flags)})")
        else:
            command = f"UID STORE {_set(uids)}{condition} {how} ({' '.join(flags)})"
            answer = await self._command(command, during="UID STORE")
            if answer.code.startswith("MODIFIED "):
                modified = set(each_uid(parse_uids(answer.code.split()[1])))
                if not modified <= set(uids):
                    raise Contradiction(f"MODIFIED {modified} of {uids}")
        if how.endswith(".SILENT") and answer.status == "OK":
            self.belief.add_silently(uids, flags)

    async def _copy(self) -> None:
        await self._transfer("COPY")

    async def _move(self) -> None:
        await self._transfer("MOVE")

    async def _transfer(self, verb: str) -> None:
        uids, target = self._some_uids(), self.rng.choice(MAILBOXES)
        if not uids:
            return
        assert self.belief is not None
        source = self.belief.mailbox
        if verb == "MOVE":
            self.ledger.may_vanish |= {(source, uid) for uid in uids}
        answer = await self._command(f'UID {verb} {_set(uids)} "{target}"', during=f"UID {verb}")
        codes = [answer.code, *(response.code for response in answer.of("OK"))]
        told = [code.split()[1:] for code in codes if code.startswith("COPYUID ")]
        for _, old, new in told:
            olds, news = list(each_uid(parse_uids(old))), list(each_uid(parse_uids(new)))
            if len(olds) != len(news) or not set(olds) <= set(uids):
                raise Contradiction(f"COPYUID {old} {new} of {uids}")
            for before, after in zip(olds, news, strict=True):
                self.ledger.create(target, after, f"{verb} by {self.name}")
                if identity := self.ledger.identities.get((source, before)):
                    self.ledger.identity(target, after, identity)

    async def _expunge(self) -> None:
        if self.rng.random() < 0.5:
            await self._command("EXPUNGE")
        elif uids := self._some_uids():
            await self._command(f"UID EXPUNGE {_set(uids)}", during="UID EXPUNGE")

    async def _append(self) -> None:
        self._appended += 1
        mailbox = self.rng.choice(MAILBOXES)
        words = f"{self.name} {self._appended}"
        message = (
            f"Subject: {words}\r\nMessage-ID: <{words.replace(' ', '.')}@storm.example>\r\n\r\n{words}\r\n"
        )
        flags = " ".join(self.rng.sample(FLAGS[:3], self.rng.randint(0, 2)))
        answer = await self._command(f'APPEND "{mailbox}" ({flags}) {{}}', message.encode())
        if answer.code.startswith("APPENDUID "):
            self.ledger.create(mailbox, int(answer.code.split()[2]), f"APPEND by {self.name}")

    async def _search(self) -> None:
        assert self.belief is not None
        key = self.rng.choice(("ALL", "FLAGGED", "UNSEEN", "DELETED", "KEYWORD $Work", "NOT SEEN"))
        gone = frozenset(self.belief.gone)  # by then: what is found may go before the command ends
        answer = await self._command(f"UID SEARCH {key}", during="UID SEARCH")
        for response in answer.of("SEARCH"):
            found = {int(str(token)) for token in response.tokens}
            if found & gone:
                raise Contradiction(f"{found & gone} of {self.belief.mailbox} are gone, and found")

    async def _idle(self) -> None:
        assert self.client is not None
        self._during, before = "IDLE", self.client.octets_read
        tag = await self.client.idle()
        try:
            async with asyncio.timeout(IDLE_S):
                await self.client.read_untagged()
        except TimeoutError:
            assert self.client.octets_read >= before
        await self.client.done(tag)
        self._during = None
        self.tally.commands += 1

    async def _status(self) -> None:
        mailbox = self.rng.choice(MAILBOXES)
        await self._command(f'STATUS "{mailbox}" (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)')

    async def _reselect(self) -> None:
        await self._select(self.rng.choice(MAILBOXES))

    async def _select(self, mailbox: str) -> None:
        """Closed first: what is told meanwhile still speaks of the former mailbox."""
        if self.belief is not None:
            await self._command("UNSELECT")
        self.belief = Belief(mailbox, self.ledger)
        answer = await self._command(f'SELECT "{mailbox}"')
        if answer.status != "OK":
            self.belief = None
            if answer.code != "UNAVAILABLE":
                raise Contradiction(f"SELECT {mailbox}: {answer.status} {answer.text}")
            raise Refused(answer.text)

    # --- choices -------------------------------------------------------------------------------------

    def _some_uids(self) -> list[int]:
        assert self.belief is not None
        known = self.belief.known
        return sorted(self.rng.sample(known, min(len(known), self.rng.randint(1, 5))))

    def _some_numbers(self) -> list[int]:
        assert self.belief is not None
        numbers = range(1, len(self.belief.uids) + 1)
        return sorted(self.rng.sample(numbers, min(len(numbers), self.rng.randint(1, 5))))


def _set(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


# --- after the storm ----------------------------------------------------------------------------------


async def audit(door: Door, ledger: Ledger, visitors: Sequence[Visitor]) -> int:
    """Compare what everybody believes with what a fresh session is told; how many messages there are.

    Raises Contradiction: also when what was given a UID is neither there nor vanished by somebody's wish.
    """
    client = await ImapClient.connect(door.host, door.port, door.tls)
    await client.login(door.username, door.password)
    await client.ok("ENABLE QRESYNC")
    messages = 0
    for mailbox in MAILBOXES:
        fresh = Belief(mailbox, ledger)
        answer = await client.ok(f'SELECT "{mailbox}"')
        uidvalidity = next(r.code.split()[1] for r in answer.of("OK") if r.code.startswith("UIDVALIDITY"))
        for response in [*answer.untagged, *(await client.ok(f"UID FETCH 1:* ({SHOWN})")).untagged]:
            if response.kind in ("EXISTS", "FETCH"):
                fresh.hear(response, "FETCH")
        for visitor in visitors:
            if visitor.belief is not None and visitor.belief.mailbox == mailbox:
                _compare(visitor, fresh)
        await client.ok("UNSELECT")
        resync = await client.ok(f'SELECT "{mailbox}" (QRESYNC ({uidvalidity} 1))')
        for response in resync.of("VANISHED"):
            for uid in each_uid(parse_uids(str(response.tokens[-1]))):
                ledger.vanish(mailbox, uid)
        known = {(mailbox, uid) for uid in fresh.known} | ledger.vanished
        lost = {
            place: how for place, how in ledger.created.items() if place[0] == mailbox and place not in known
        }
        if lost:
            raise Contradiction(f"given out, and neither there nor vanished: {lost}")
        await client.ok("UNSELECT")
        messages += len(fresh.uids)
    await client.logout()
    return messages


def _compare(visitor: Visitor, fresh: Belief) -> None:
    assert visitor.belief is not None
    try:
        visitor.belief.compare(fresh.states)
    except Contradiction as error:
        raise Contradiction(f"{visitor.name}: {error}\n{visitor.transcript}") from None
