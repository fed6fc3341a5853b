"""Stored events of the `eventsourcing` library in a JetStream log, for asyncio.

One message is one stored event and its payload is the event's state untouched; one subject is one aggregate,
so the guard on a subject's last sequence is the aggregate's version lock. A notification id is a position.
Source: eventsourcing 9.5 (persistence.py), facts-eventsourcing.md §2.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Final
from uuid import UUID

from eventsourcing.persistence import (
    IntegrityError,
    Notification,
    OperationalError,
    ProgrammingError,
    StoredEvent,
    Tracking,
)

from gateway.adapters.jetstream import wire
from gateway.adapters.jetstream.link import Link
from gateway.adapters.jetstream.log import store_guarded
from gateway.adapters.jetstream.reader import follow
from gateway.adapters.jetstream.wire import Outgoing, Stored
from gateway.domain.histories import history_of, originator_of
from gateway.ports import START, Checkpoint, Conflict, LogCorrupt, Position, Recorded, Unavailable

OTHERS: Final = "es"  # histories of ids that are not ours, such as the library's own UUIDs
TRACKING: Final = "tracking"
MESSAGES_MAX: Final = 1000  # of an atomic batch, the server's own limit

Oid = UUID | str


def subject_of(originator_id: Oid) -> str:
    """The history of an id, without `ev.`: of an aggregate (`ag_…`), or of facts by its name (`mail.07`)."""
    if isinstance(originator_id, str):
        if "." in originator_id:
            return originator_id
        with suppress(KeyError):
            return history_of(originator_id)
    return f"{OTHERS}.{wire.token_of(str(originator_id))}"


def id_of(subject: str) -> Oid:
    """The other way round of `subject_of`."""
    kind, _, rest = subject.partition(".")
    if kind == OTHERS:
        return UUID(rest)
    identifier = originator_of(subject)
    return identifier if subject == subject_of(identifier) else subject


class Recorder:
    """Appends to and reads from one stream. into, stored: what a subject begins with when published, and when
    stored; sparse: versions increase but may skip (snapshots)."""

    def __init__(self, link: Link, stream: str, into: str, stored: str, *, sparse: bool = False) -> None:
        self._link, self._stream = link, stream
        self._into, self._stored, self._sparse = into, stored, sparse

    async def append(self, events: Sequence[StoredEvent], tracking: Tracking | None = None) -> list[int]:
        """Every event and the tracking record, or nothing; the events' positions.

        Raises IntegrityError when a version is taken, OperationalError when the log cannot answer.
        """
        versions: dict[Oid, list[int]] = {}
        for event in events:
            versions.setdefault(event.originator_id, []).append(event.originator_version)
        guards = {oid: await self._guard(oid, of_oid) for oid, of_oid in versions.items()}
        messages = [self._message(event, guards.pop(event.originator_id, None)) for event in events]
        if tracking is not None:
            messages.append(await self._tracking_message(tracking))
        if not messages:
            return []
        if len(messages) > MESSAGES_MAX:
            raise ProgrammingError(f"{len(messages)} events do not fit in one write of {MESSAGES_MAX}")
        stored_as = self._stored + messages[0].subject.removeprefix(self._into)
        try:
            last = await store_guarded(self._link, self._stream, messages, 0, stored_as)
        except Conflict as conflict:
            raise IntegrityError(str(conflict)) from conflict
        except Unavailable as unavailable:
            raise OperationalError(str(unavailable)) from unavailable
        first = last - len(messages) + 1
        return list(range(first, first + len(events)))

    async def select(
        self,
        originator_id: Oid,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> list[StoredEvent]:
        found = [
            StoredEvent(originator_id, _version(event), event.headers[wire.TOPIC], event.payload)
            for event in await self._history(originator_id)
        ]
        chosen = [
            event
            for event in found
            if (gt is None or event.originator_version > gt)
            and (lte is None or event.originator_version <= lte)
        ]
        if desc:
            chosen.reverse()
        return chosen[:limit]

    async def notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> list[Notification]:
        after = 0 if start is None else start - inclusive_of_start
        chosen: list[Notification] = []
        while len(chosen) < limit and (stop is None or after < stop):
            page = await self._read(f"{self._stored}>", after + 1, max(limit - len(chosen), 100))
            if not page:
                break
            after = page[-1].sequence
            events = (stored.recorded() for stored in page if stop is None or stored.sequence <= stop)
            chosen += [self._notification(event) for event in events if self._is_wanted(event, topics)]
        return chosen[:limit]

    async def max_notification_id(self) -> int | None:
        try:
            last = await self._link.last(self._stream, f"{self._stored}>")
            while last is not None and not self._is_wanted(last.recorded(), ()):
                last = (
                    await self._link.get(self._stream, seq=last.sequence - 1) if last.sequence > 1 else None
                )
        except Unavailable as unavailable:
            raise OperationalError(str(unavailable)) from unavailable
        return last.sequence if last else None

    async def tail(self, gt: int | None, topics: Sequence[str]) -> AsyncIterator[list[Notification]]:
        """Notifications after a position, gapless and in order, then what comes."""
        at = START
        if gt:
            event = await self._link.get(self._stream, seq=gt)
            if event is None:
                raise LogCorrupt(gt, "there is no event to go on from")
            at = Checkpoint(Position(gt), event.recorded().digest)
        async for batch in follow(self._link, self._stream, at):
            if chosen := [self._notification(event) for event in batch if self._is_wanted(event, topics)]:
                yield chosen

    async def max_tracking_id(self, application_name: str) -> int | None:
        found = await self._last(self._tracking_subject(application_name))
        return int(found.payload) if found else None

    # --- messages ----------------------------------------------------------------------------------

    async def _guard(self, originator_id: Oid, versions: Sequence[int]) -> int:
        """The position that must still be the aggregate's last one. Raises IntegrityError."""
        if any(b <= a if self._sparse else b != a + 1 for a, b in pairwise(versions)):
            raise IntegrityError(f"versions of {originator_id} are not a sequence: {versions}")
        if versions[0] == 1 and not self._sparse:
            return 0  # a new aggregate: the server will tell when it is not
        head = await self._last(self._stored + subject_of(originator_id))
        version = _version(head) if head else versions[0] - 1  # a new one may begin with any
        if versions[0] <= version or (versions[0] != version + 1 and not self._sparse):
            raise IntegrityError(f"{originator_id} is at version {version}, {versions[0]} does not follow")
        return head.sequence if head else 0

    def _message(self, event: StoredEvent, guard: int | None) -> Outgoing:
        headers = {wire.TOPIC: event.topic, wire.VERSION: str(event.originator_version)}
        if guard is not None:
            headers[wire.EXPECTED] = str(guard)
        return Outgoing(self._into + subject_of(event.originator_id), event.state, headers)

    async def _tracking_message(self, tracking: Tracking) -> Outgoing:
        subject = self._tracking_subject(tracking.application_name)
        found = await self._last(subject)
        if found and int(found.payload) >= tracking.notification_id:
            raise IntegrityError(f"{tracking} does not follow {found.payload.decode()}")
        return Outgoing(
            self._into + subject.removeprefix(self._stored),
            str(tracking.notification_id).encode(),
            {wire.EXPECTED: str(found.sequence if found else 0)},
        )

    def _tracking_subject(self, application_name: str) -> str:
        return f"{self._stored}{TRACKING}.{wire.token_of(application_name)}"

    def _is_wanted(self, event: Recorded, topics: Sequence[str]) -> bool:
        if event.subject.startswith(f"{self._stored}{TRACKING}."):
            return False
        return not topics or event.topic in topics

    def _notification(self, event: Recorded) -> Notification:
        return Notification(
            originator_id=id_of(event.subject.removeprefix(self._stored)),
            originator_version=event.version or event.position,
            topic=event.topic,
            state=event.state,
            id=event.position,
        )

    async def _history(self, originator_id: Oid) -> list[Stored]:
        subject = self._stored + subject_of(originator_id)
        last = await self._last(subject)
        found: list[Stored] = []
        while last is not None and (not found or found[-1].sequence < last.sequence):
            after = found[-1].sequence if found else 0
            page = await self._read(subject, after + 1, 1000)
            if not page:
                raise LogCorrupt(last.sequence, f"{subject} ends at {after}")
            found += page
        return found

    async def _last(self, subject: str) -> Stored | None:
        try:
            return await self._link.last(self._stream, subject)
        except Unavailable as unavailable:
            raise OperationalError(str(unavailable)) from unavailable

    async def _read(self, subject: str, start: int, limit: int) -> list[Stored]:
        try:
            return await self._link.read(self._stream, subject, start, limit)
        except Unavailable as unavailable:
            raise OperationalError(str(unavailable)) from unavailable


def _version(stored: Stored) -> int:
    """Of an aggregate's event; a fact has none of its own, and its place in the log is one."""
    return int(stored.headers.get(wire.VERSION, stored.sequence))
