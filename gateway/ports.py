"""What processes need from the world: log, content, keys, clock, entropy, leases.

A port is its contract test (`tests/contracts/`); `adapters/memory.py` and the real adapter keep the same
word. Errors here are the only ones a process sees from outside (style.md §6).
"""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final, NamedTuple, NewType, Protocol, TypeVar

from gateway.domain import codec
from gateway.domain.agency import IdentityProvider
from gateway.domain.aggregate import A, Aggregate
from gateway.domain.dns import Answer, Mx, Tlsa
from gateway.domain.events import Content, Event
from gateway.domain.events import Fact as Fact
from gateway.mail.carving import Skeleton
from gateway.mail.ids import AccountId

Position = NewType("Position", int)  # place in the log, 1..; 0 is before everything


# --- errors -------------------------------------------------------------------------------------


class Unavailable(Exception):
    """A service cannot answer now; what was asked has not happened. Try again later."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"{service} cannot answer: {reason}")
        self.service, self.reason = service, reason


class Full(Unavailable):
    """The service is out of space: the peer gets 452 4.3.1 instead of 451."""


class Conflict(Exception):
    """The history moved on since it was read: read again, decide again."""


class Deposed(Exception):
    """Another process owns this lane or share now: this one must stop. Nothing was appended."""


class LogCorrupt(Exception):
    """The log is not the one that was read before, or has a gap. Every role stops and says where."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"the log is damaged at position {position}: {reason}")
        self.position, self.reason = position, reason


class BadCertificate(Exception):
    """Files of a certificate cannot be shown to clients. The text is one sentence that names them."""


class ContentMissing(Exception):
    """No store has this content. Names digest and place."""


class ContentCorrupt(Exception):
    """Stored octets are not what was stored. Names object, offset and content digest."""


class KeyForgotten(Exception):
    """The key was destroyed: what it opened counts as erased."""


E = TypeVar("E", bound=BaseException)


def leaves(group: BaseExceptionGroup[E]) -> Iterator[E]:
    """The errors themselves, out of however many groups."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


# --- the log ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recorded:
    """A message of the log. subject: as stored, `ev.mail.07`; version: of an aggregate's event, else 0."""

    position: Position
    subject: str
    topic: str
    state: bytes
    version: int = 0

    @cached_property
    def event(self) -> Event:
        """Decoded once, however many folds look. Raises UnknownTopic, MalformedEvent."""
        return codec.decode(self.topic, self.state)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 that a checkpoint keeps, to notice a log that was altered behind it."""
        return hashlib.sha256(b"\0".join((self.subject.encode(), self.topic.encode(), self.state))).digest()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a reader has read: position, and the digest of the event there (b"" at 0)."""

    position: Position
    digest: bytes


START = Checkpoint(Position(0), b"")


class EventLog(Protocol):
    """Reading, and the guarded way in (aggregates, router progress, holds)."""

    async def last(self) -> Position:
        """The position of the last event, from the leader; 0 when the log is empty."""

    async def read(self, position: Position) -> Recorded:
        """Raises LogCorrupt when there is nothing although the log is longer, IndexError past its end."""

    def follow(self, after: Checkpoint) -> AsyncIterator[Sequence[Recorded]]:
        """Everything after the checkpoint, in order, in batches of at most 1,000, then what comes.

        Raises LogCorrupt on a gap, or when the event at the checkpoint has another digest.
        """

    async def history(self, subject: str, after: Position = Position(0)) -> Sequence[Recorded]:
        """All events of one history (subject without `ev.`) after a position, in order."""

    async def latest(self, subject: str) -> Recorded | None:
        """The last event of one history (subject without `ev.`), from the leader; None when it is empty."""

    async def append_guarded(
        self, facts: Sequence[Fact], expected: Mapping[str, Position], versions: Mapping[str, int] = ...
    ) -> Position:
        """Add facts, all or none; each subject named in `expected` must still end at that position.

        versions: of the first event of each aggregate's subject (header Es-Version, counted up).
        Returns the position of the last fact, durable by then; facts lie side by side in the log.
        Raises Conflict when a history has moved on, Full, Unavailable (then nothing was appended: a lost
        ack is settled by looking). At most 500 facts and 1 MB.
        """


class Aggregates(Protocol):
    """The few things with invariants: read, decide, append under the guard of their versions."""

    async def get(self, kind: type[A], identifier: str) -> A:
        """Raises KeyError when there is no such aggregate, Unavailable."""

    async def save(
        self, *aggregates: Aggregate, facts: Sequence[Fact] = (), expected: Mapping[str, Position] = ...
    ) -> Position:
        """Append what the aggregates have decided, and facts beside it, all or none.

        facts come after the aggregates' events, guarded where `expected` names their histories. Raises
        Conflict, Full, Unavailable: what was decided is lost then, read again. At least one event.
        """

    async def command(self, kind: type[A], identifier: str, decide: Callable[[A], None]) -> Position:
        """Read, decide, save; on a Conflict again, at most 10 times. decide: calls commands, may raise."""


class Lane(Protocol):
    """A writer's own way in: groups what arrives meanwhile into one durable write (the Committer)."""

    async def append(self, facts: Sequence[Fact]) -> Position:
        """Add a group: all of it or nothing, never split. Returns its last position, durable by then.

        Raises Full or Unavailable (not stored, and never will be), Deposed (another owner: stop). While
        the outcome is not known it waits: until then no peer may be answered.
        """


class Notifier(Protocol):
    """Hints that rows have changed, core NATS, not stored: `changed.<slot>.<account_id>`."""

    async def changed(self, accounts: Collection[AccountId]) -> None:
        """Wake who waits for these accounts' rows. May be lost: who waits also looks once a second.

        Raises Unavailable.
        """


class Hearing(Protocol):
    """The other end of Notifier, for sessions that show an account's mailboxes."""

    def of(
        self, account_id: AccountId, hint: asyncio.Event | None = None
    ) -> AbstractAsyncContextManager[asyncio.Event]:
        """A hint, set whenever the account's rows may have changed; who waits for it clears it.

        hint: one that is set for other accounts as well; None: a new one.

        Many sessions of one account cost one subscription. Hints may be lost: who waits also looks once in a
        while. Entering raises Unavailable.
        """


# --- content --------------------------------------------------------------------------------------


class Spooled(Protocol):
    """A received message's octets, in memory or in a file; read as often as needed."""

    octets: int

    def read(self, start: int, end: int) -> Iterator[bytes]: ...


class Spool(Spooled, Protocol):
    """A message on its way in; nothing durable."""

    def write(self, octets: bytes) -> None:
        """Add octets. Raises Full when the disk has no room."""

    def close(self) -> None:
        """Forget the octets."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object put while storing a content; its ContentStored is appended with the mail's event."""

    name: str
    octets: int
    digest: str


@dataclass(frozen=True, slots=True)
class StoredContent:
    content: Content
    objects: tuple[StoredObject, ...]  # put now; those that were there already are not repeated


class ContentStore(Protocol):
    async def put(
        self, message: Spooled, *, skeleton: Skeleton, data_key: bytes, salt: bytes, agency_id: str
    ) -> StoredContent:
        """Make a message durable: attachments and large rests in S3, else CT, before it returns.

        skeleton: what `gateway.mail.carving.carve` made of it. Raises Full, Unavailable; then nothing an
        event could name is left behind but garbage the sweep finds.
        """

    async def read_ahead(self, contents: Sequence[Content]) -> None:
        """A hint that these will be opened soon: small ones are fetched in sets and held until then.

        What cannot be had now is left to `open`; at most 16 MiB are held.
        """

    def open(
        self, content: Content, *, data_key: bytes, salt: bytes, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """The message as received, or a range of it, in pieces of at most 1 MiB, verified.

        Raises ContentMissing, ContentCorrupt, Unavailable.
        """


@dataclass(frozen=True, slots=True)
class Place:
    """Where a content is, by the content projection."""

    pack: str
    offset: int
    octets: int


class Places(Protocol):
    """The content rows, as content store, packer and sweep need them."""

    async def places(self, digests: Collection[str]) -> dict[str, Place]:
        """Where those of the contents are that are in a pack."""

    async def named(self, objects: Collection[str]) -> set[str]:
        """Those of the objects and packs that an event names."""

    async def reach(self, position: Position, timeout_s: float) -> bool:
        """Wait until the rows have reached a position; False when they did not in time."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A content in the write-ahead. octets: as stored, encrypted."""

    sequence: int
    digest: str
    octets: bytes


@dataclass(frozen=True, slots=True)
class Unread:
    """What the write-ahead holds after some sequence, in order, up to and including `up_to`."""

    contents: Sequence[Unpacked]
    up_to: int


class WriteAhead(Protocol):
    """CT: where contents are durable until they are in a pack. All raise Unavailable."""

    async def append(self, digest: str, octets: bytes) -> int:
        """The content's sequence, on disk. Raises Full, Unavailable, Deposed; waits as Lane.append does."""

    async def get(self, sequence: int) -> Unpacked | None: ...

    async def get_all(self, sequences: Collection[int]) -> list[Unpacked]:
        """Those that are found; a missing one may be there all the same, `get` tells."""

    async def read(self, after: int) -> Unread:
        """About a thousand contents or 4 MiB of what is there; nothing new: `up_to` is `after`."""

    async def purge(self, up_to: int) -> None:
        """Forget what is at or below this sequence."""

    async def waiting(self) -> int:
        """How many messages it holds, lanes' markers included."""


@dataclass(frozen=True, slots=True)
class ListedObject:
    name: str
    modified_at: datetime


class ObjectStore(Protocol):
    """S3: objects by name, in `attachments/`, `large/`, `packs/` and `trash/`. All raise Unavailable."""

    async def put(self, name: str, octets: Callable[[], Iterable[bytes]], size: int = -1) -> StoredObject:
        """Store an object, whole or not at all; one of that name is replaced. Raises Full.

        octets: makes the octets, again for each attempt; runs in a thread. size: -1 when it is not known;
        about 5 MiB are held then.
        """

    async def get(self, name: str, start: int = 0, octets: int | None = None) -> bytes:
        """A range of an object, all held in memory. Raises ContentMissing when there is no such object."""

    async def tail(self, name: str, octets: int) -> tuple[bytes, int]:
        """At most so many octets of its end, and the size of the whole. Raises ContentMissing."""

    async def has(self, name: str) -> bool: ...

    def list(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        """All objects below a prefix, in batches of at most 1,000."""

    async def copy(self, name: str, to: str) -> None:
        """Raises ContentMissing."""

    async def remove(self, name: str) -> None:
        """The same twice changes nothing."""


# --- keys -------------------------------------------------------------------------------------------


KEYS_AT_ONCE_MAX: Final = 500


class KeptSecret(NamedTuple):
    name: str
    secret: bytes | None  # None: it was forgotten
    number: int  # of its last writing, ascending


class KeyStore(Protocol):
    """Named secrets outside the log, encrypted under the master key, destroyable (architecture §7).

    Names: account.<id> agency.<id> transit.<agency_id>.<yyyymmdd> traffic.<agency_id>.<yyyymm>
    srs.<yyyymm> site.address site.queue site.salt verifier.<account_id> verifier.operator.<name>
    app-password.<id> identity.<agency_id> client-key.<SHA-256> token.<SHA-256> session.<SHA-256>
    invitation.<account_id> import.unfinished. Cached in memory; a forgotten key is noticed within seconds.
    """

    async def get(self, name: str) -> bytes:
        """Raises KeyForgotten when it was destroyed, KeyError when it never was, Unavailable."""

    async def get_or_make(self, name: str) -> bytes:
        """A random 32-octet key, made at most once however many ask at once. Raises KeyForgotten."""

    async def put(self, name: str, secret: bytes) -> None:
        """Store or replace a secret (a verifier)."""

    async def exchange(self, name: str, former: bytes, secret: bytes) -> bool:
        """Replace a secret that is still the former one; False: it is not. Of several at once one does it.

        Raises KeyForgotten, KeyError, Unavailable (it may be replaced or not).
        """

    async def put_new(self, secrets: Mapping[str, bytes]) -> None:
        """Store secrets under names that never were, all or none; at most KEYS_AT_ONCE_MAX, 1 MB in all.

        Raises Conflict when one of the names has been used before, Full, Unavailable (none is stored).
        """

    async def forget(self, name: str) -> None: ...

    def kept(self, *beginnings: str) -> AsyncIterator[KeptSecret]:
        """All whose names begin so, in the order of their last writing. Reads through the whole store."""

    async def remove(self, name: str) -> None:
        """As if it never was, also that it was forgotten: for a name that nobody uses again.

        Who remembers it is not told: what it opens has to be over by itself.
        """


# --- names --------------------------------------------------------------------------------------------


class Resolver(Protocol):
    """The DNS. Names are A-labels; one that no DNS can hold does not exist. Answers are kept for their TTL.

    All raise Unavailable when nobody can say now (no server answers, SERVFAIL, REFUSED, bogus by DNSSEC).
    """

    async def mx(self, domain: str) -> Answer[Mx]: ...

    async def a(self, host: str) -> Answer[str]:
        """IPv4 addresses, as text."""

    async def aaaa(self, host: str) -> Answer[str]:
        """IPv6 addresses, as text."""

    async def txt(self, name: str) -> Answer[bytes]:
        """Each record's strings joined (RFC 7208 §3.3)."""

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        """name: with port and protocol, `_25._tcp.mx.example.org`."""


class StsHosts(Protocol):
    """Web servers that have domains' MTA-STS policies (RFC 8461 §3.3)."""

    async def fetch(self, domain: str) -> bytes:
        """The policy as it is there, of any size up to POLICY_OCTETS_MAX. Raises Unavailable."""


# --- identity providers -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """Whose token it is, by the provider's own word. until: ask again then; aware, UTC."""

    name: str
    until: datetime


class Tokens(Protocol):
    """Tokens of organisations' identity providers."""

    async def holder(self, provider: IdentityProvider, secret: str, token: str) -> TokenHolder | None:
        """None: the token is not valid, expired, of another issuer or for another audience.

        secret: ours at the provider; "": it is not asked about tokens. Raises Unavailable.
        """


@dataclass(frozen=True, slots=True)
class Attempt:
    """One browser's way to a provider and back. All but the first: secrets of this way alone."""

    redirect_uri: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)  # RFC 7636


@dataclass(frozen=True, slots=True)
class Admission:
    """Whom a provider let in, and what it is asked with again."""

    name: str  # the person's address, by the provider's word
    subject: str  # who it is there
    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)  # "": it gave none


class CodeFlow(Protocol):
    """Signing in at organisations' identity providers with a browser. All raise Unavailable.

    secret: ours at the provider.
    """

    async def address(self, provider: IdentityProvider, attempt: Attempt, hint: str) -> str:
        """Where the browser goes. hint: the address somebody has typed."""

    async def admit(
        self, provider: IdentityProvider, secret: str, attempt: Attempt, code: str, issuer: str
    ) -> Admission | None:
        """Who came back with this code; None: nobody whom this provider let in by this attempt.

        issuer: as the answer names it; "": it does not.
        """

    async def still(self, provider: IdentityProvider, secret: str, admission: Admission) -> Admission | None:
        """What to ask with the next time; None: it is shut out there, or nobody says that it is not."""


# --- time, chance, roles ----------------------------------------------------------------------------


class ServerContext(ssl.SSLContext):
    """What TLS shows to a client."""

    # `tls-server-end-point` of its certificate (RFC 5929 §4.1); None: it has none.
    channel_binding: bytes | None = None


class Certificates(Protocol):
    """The certificates we show, as files hold them."""

    def stamp(self) -> object:
        """Equal as long as no file has changed."""

    def load(self) -> ServerContext:
        """What the files hold now, for new handshakes. Raises BadCertificate."""


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, UTC."""

    def monotonic(self) -> float:
        """Seconds; only differences mean anything."""

    async def sleep(self, seconds: float) -> None: ...


Entropy = Callable[[int], bytes]  # n random octets


class Leases(Protocol):
    """One active and any number waiting (architecture §2)."""

    def hold(self, name: str) -> AbstractAsyncContextManager[None]:
        """Wait for the lease, keep it renewed; the body is cancelled when it is lost."""
