"""What the content store is made of, in memory: write-ahead, objects and rows."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from hashlib import sha256

from gateway.domain.changes import MessageAppended
from gateway.domain.events import ContentPacked, ContentStored, MailAccepted
from gateway.ports import (
    Clock,
    ContentMissing,
    EventLog,
    Full,
    ListedObject,
    Place,
    Position,
    StoredObject,
    Unpacked,
    Unread,
)

LISTED_MAX = 1000


class MemoryWriteAhead:
    """The port WriteAhead. fault: what every call raises while it is set (Unavailable)."""

    def __init__(self, octets_max: int = 1024**3) -> None:
        self.fault: Exception | None = None
        self.contents: dict[int, Unpacked] = {}
        self._octets_max, self._last = octets_max, 0

    async def append(self, digest: str, octets: bytes) -> int:
        self._ask()
        if sum(len(content.octets) for content in self.contents.values()) + len(octets) > self._octets_max:
            raise Full("nats", "maximum bytes exceeded")
        self._last += 1
        self.contents[self._last] = Unpacked(self._last, digest, octets)
        return self._last

    async def get(self, sequence: int) -> Unpacked | None:
        self._ask()
        return self.contents.get(sequence)

    async def get_all(self, sequences: Collection[int]) -> list[Unpacked]:
        self._ask()
        return [self.contents[sequence] for sequence in sequences if sequence in self.contents]

    async def read(self, after: int) -> Unread:
        self._ask()
        found = [content for sequence, content in self.contents.items() if sequence > after][:1000]
        return Unread(found, found[-1].sequence if found else after)

    async def purge(self, up_to: int) -> None:
        self._ask()
        self.contents = {s: content for s, content in self.contents.items() if s > up_to}

    async def waiting(self) -> int:
        self._ask()
        return len(self.contents)

    def _ask(self) -> None:
        if self.fault is not None:
            raise self.fault


class MemoryObjects:
    """The port ObjectStore. fault: what every call raises while it is set (Unavailable, Full)."""

    def __init__(self, clock: Clock) -> None:
        self.fault: Exception | None = None
        self.objects: dict[str, bytes] = {}
        self._clock = clock
        self._modified: dict[str, ListedObject] = {}

    async def put(self, name: str, octets: Callable[[], Iterable[bytes]], size: int = -1) -> StoredObject:
        self._ask()
        whole = b"".join(octets())
        assert size in (-1, len(whole)), "the size that was given is the size"
        self.objects[name] = whole
        self._modified[name] = ListedObject(name, self._clock.now())
        return StoredObject(name, len(whole), sha256(whole).hexdigest())

    async def get(self, name: str, start: int = 0, octets: int | None = None) -> bytes:
        whole = self._find(name)
        return whole[start:] if octets is None else whole[start : start + octets]

    async def tail(self, name: str, octets: int) -> tuple[bytes, int]:
        whole = self._find(name)
        return whole[-octets:], len(whole)

    async def has(self, name: str) -> bool:
        self._ask()
        return name in self.objects

    async def list(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        self._ask()
        found = [listed for name, listed in sorted(self._modified.items()) if name.startswith(prefix)]
        for start in range(0, len(found), LISTED_MAX):
            yield found[start : start + LISTED_MAX]

    async def copy(self, name: str, to: str) -> None:
        self.objects[to] = self._find(name)
        self._modified[to] = ListedObject(to, self._clock.now())

    async def remove(self, name: str) -> None:
        self._ask()
        self.objects.pop(name, None)
        self._modified.pop(name, None)

    def _find(self, name: str) -> bytes:
        self._ask()
        if name not in self.objects:
            raise ContentMissing(f"the object store has no {name}")
        return self.objects[name]

    def _ask(self) -> None:
        if self.fault is not None:
            raise self.fault


class MemoryPlaces:
    """The port Places: folds the log up to its end whenever it is asked, but for what `lag` holds back."""

    def __init__(self, log: EventLog) -> None:
        self.lag = 0  # events at the end of the log that the rows do not have yet
        self._log, self._reached = log, Position(0)
        self._places: dict[str, Place] = {}
        self._named: set[str] = set()

    async def places(self, digests: Collection[str]) -> dict[str, Place]:
        await self._fold()
        return {digest: self._places[digest] for digest in digests if digest in self._places}

    async def named(self, objects: Collection[str]) -> set[str]:
        await self._fold()
        return self._named & set(objects)

    async def reach(self, position: Position, timeout_s: float) -> bool:
        await self._fold()
        return self._reached >= position

    async def _fold(self) -> None:
        while self._reached < await self._log.last() - self.lag:
            self._reached = Position(self._reached + 1)
            match (await self._log.read(self._reached)).event:
                case ContentPacked(pack=pack, entries=entries):
                    self._named.add(pack)
                    for entry in entries:
                        self._places.setdefault(entry.digest, Place(pack, entry.offset, entry.octets))
                case ContentStored(name=name):
                    self._named.add(name)
                case MailAccepted(message=message) | MessageAppended(message=message):
                    self._named |= {*message.content.attachments, message.content.large} - {""}
                case _:
                    pass
