"""A selected mailbox as one session knows it: message numbers, what its client was told, and what it is owed.

The shell makes one at SELECT from the UIDs and the position of the same snapshot. Whenever rows have
changed, it reads what changed since `modseq` and gives it to `learn`; before it ends a command, and while
it idles, it sends what `owed` gives. `saved` is the result of the last SEARCH with SAVE, which `$` names
(RFC 5182 §2.1).

Until a client has been told of an expunge, its numbers stay, and the message can still be fetched.

Source: RFC 9051 §2.3.1.2 (numbers), §5.2 (what is told when), §7.5.1 (EXPUNGE), RFC 3501 §7.4.1; RFC 7162
§3.1.3 (STORE .SILENT and MODSEQ).
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol, TypeVar

from gateway.mail.uids import Ranges, contains, ranges_of
from gateway.protocols.imap.commands import (
    Command,
    Copy,
    Fetch,
    Move,
    Qresync,
    Replace,
    Search,
    Select,
    Sort,
    Store,
    Thread,
)
from gateway.protocols.imap.search_keys import Messages, each_key
from gateway.protocols.imap.sequence_set import SequenceSet


class Change(Protocol):
    """A message that has changed. flags: as a text."""

    @property
    def uid(self) -> int: ...
    @property
    def modseq(self) -> int: ...
    @property
    def flags(self) -> str: ...
    @property
    def is_expunged(self) -> bool: ...


class HasUid(Protocol):
    @property
    def uid(self) -> int: ...


Row = TypeVar("Row", bound=HasUid)


class Expunged(NamedTuple):
    """number: at the moment it is told, as EXPUNGE has it."""

    number: int
    uid: int


class Exists(NamedTuple):
    messages: int


class Flagged(NamedTuple):
    """flags: None: the client has changed them itself, and wants the MODSEQ alone."""

    number: int
    uid: int
    flags: str | None
    modseq: int


Owed = Expunged | Exists | Flagged


class NoSuchMessage(ValueError):
    """A message number above the number of messages: BAD (RFC 9051 §9, seq-number)."""


def may_expunge(command: Command) -> bool:
    """Whether an expunge may be told before this command ends (RFC 9051 §7.5.1)."""
    return command.by_uid or not isinstance(command, Fetch | Store | Search | Sort | Thread)


def names_numbers(command: Command) -> bool:
    """Whether it rests on message numbers, which a client with UIDONLY does not have (RFC 9586 §3)."""
    match command:
        case Search(key=key) | Sort(key=key) | Thread(key=key):
            sets = (one for one in each_key(key) if isinstance(one, Messages))
            return not command.by_uid or any(not (one.by_uid or one.numbers.is_saved) for one in sets)
        case Fetch() | Store() | Copy() | Move() | Replace():
            return not command.by_uid
        case Select(qresync=Qresync(matches=(_, _))):
            return True
    return False


class Selected:
    """uids: of every message, ascending. modseq: position the snapshot shows."""

    def __init__(self, uids: Iterable[int], modseq: int) -> None:
        self._uids = array("I", uids)  # as the client counts them: the n-th is message n
        self._arrived = array("I")  # not told yet
        self._expunged: set[int] = set()  # not told yet, still in _uids
        self._flagged: dict[int, tuple[str | None, int]] = {}  # not told yet
        self.modseq = modseq
        self.saved: Ranges = ()

    @property
    def exists(self) -> int:
        """How many messages the client counts."""
        return len(self._uids)

    @property
    def owes_flags(self) -> bool:
        """Flags have changed that the client was not told of."""
        return bool(self._flagged)

    # --- numbers and UIDs -------------------------------------------------------------------------

    def uids_of(self, numbers: SequenceSet, *, by_uid: bool) -> list[tuple[int, int]]:
        """The UIDs of a set, of messages that the client knows; UIDs that are not there are left out.

        Raises NoSuchMessage when it has a number that no message has.
        """
        if not (by_uid or numbers.is_saved):
            resolved = numbers.resolve(self.exists)
            if resolved[0][0] < 1 or resolved[-1][1] > self.exists:
                raise NoSuchMessage("There are not that many messages")
        return self.matching(numbers, by_uid=by_uid)

    def matching(self, numbers: SequenceSet, *, by_uid: bool) -> list[tuple[int, int]]:
        """The same for a search, which a number that no message has does not hurt."""
        if not self._uids:
            return []
        if numbers.is_saved:
            return self.known(self.saved)
        if by_uid:
            return self.known(numbers.resolve(self._uids[-1]))
        found: list[tuple[int, int]] = []
        for first, last in numbers.resolve(self.exists):
            self._add_runs(found, first - 1, min(last, self.exists))
        return found

    def known(self, uids: Ranges) -> list[tuple[int, int]]:
        """Those of these UIDs that the client knows."""
        found: list[tuple[int, int]] = []
        for start, end in uids:
            self._add_runs(found, bisect_left(self._uids, start), bisect_right(self._uids, end))
        return found

    def _add_runs(self, found: list[tuple[int, int]], start: int, end: int) -> None:
        """Add the UIDs of messages [start, end), counted from 0, as ranges; a run is found by halving."""
        uids = self._uids
        while start < end:
            first, step = uids[start], 1
            while start + step < end and uids[start + step] == first + step:
                step *= 2
            low, high = start + step // 2, min(start + step, end)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if uids[middle] == first + middle - start else (low, middle)
            last = first + high - 1 - start
            if found and found[-1][1] + 1 == first:
                found[-1] = found[-1][0], last
            else:
                found.append((first, last))
            start = high

    def number_of(self, uid: int) -> int | None:
        """None: the client knows no such message."""
        index = self._index(uid)
        return None if index is None else index + 1

    def unmoved(self, numbers: Ranges, uids: Ranges) -> int:
        """The highest of these UIDs that has the number it had; up to it nothing has gone since. 0: none has.

        numbers, uids: as many of each, in order (RFC 7162 §3.2.5.2).
        """
        for number, uid, count in reversed(list(_pairs(numbers, uids))):
            # A UID has at least its old number's UID as long as messages only go, so what has stayed is at
            # the beginning of each run.
            there = range(max(0, min(count, self.exists - number + 1)))
            stayed = bisect_right(there, uid, key=lambda ahead: self._uids[number - 1 + ahead] - ahead)
            if stayed and self._uids[number - 2 + stayed] == uid + stayed - 1:
                return uid + stayed - 1
        return 0

    def _index(self, uid: int, hint: int = 0) -> int | None:
        """Where it is, from 0. hint: where it is if UIDs are asked for one after the other."""
        uids = self._uids
        if hint < len(uids) and uids[hint] == uid:
            return hint
        index = bisect_left(uids, uid)
        return index if index < len(uids) and uids[index] == uid else None

    def numbered(self, rows: Iterable[Row]) -> Iterator[tuple[int, Row]]:
        """Rows with their message numbers; those the client does not know are left out. rows: by UID."""
        uids, index, count = self._uids, 0, len(self._uids)
        for row in rows:
            uid = row.uid
            if index < count and uids[index] != uid:
                index = bisect_left(uids, uid, index)
            if index < count and uids[index] == uid:
                index += 1
                yield index, row

    def numbers_of(self, uids: Iterable[int]) -> Iterator[tuple[int, int]]:
        """The same for UIDs alone."""
        ours, index, count = self._uids, 0, len(self._uids)
        for uid in uids:
            if index < count and ours[index] != uid:
                index = bisect_left(ours, uid, index)
            if index < count and ours[index] == uid:
                index += 1
                yield index, uid

    # --- what changes -----------------------------------------------------------------------------

    def learn(self, changes: Iterable[Change], modseq: int) -> None:
        """Take what has changed since `self.modseq`, by UID, expunged messages among it.

        modseq: position up to which that is everything.
        """
        last = self._arrived[-1] if self._arrived else self._uids[-1] if self._uids else 0
        hint = 0
        for change in changes:
            uid = change.uid
            if uid > last:
                if not change.is_expunged:
                    self._arrived.append(uid)
                    last = uid
                continue
            index = self._index(uid, hint)
            if index is None:
                if change.is_expunged and uid in self._arrived:
                    self._arrived.remove(uid)
                continue
            hint = index + 1
            if change.is_expunged:
                self._expunged.add(uid)
                self._flagged.pop(uid, None)
            elif uid not in self._expunged:
                self._flagged[uid] = change.flags, change.modseq
        self.modseq = modseq

    def hush(self, uids: Ranges, modseq: int, *, tells_modseq: bool = False) -> None:
        """What the session has changed itself, by STORE .SILENT, is not told; what others have changed
        since is.

        modseq: of that change, which `learn` has brought. tells_modseq: the client has enabled CONDSTORE, and
        is told the new MODSEQ all the same (RFC 7162 §3.1.3).
        """
        hushed = [
            uid for uid, (_, changed) in self._flagged.items() if changed == modseq and contains(uids, uid)
        ]
        for uid in hushed:
            if tells_modseq:
                self._flagged[uid] = None, modseq
            else:
                del self._flagged[uid]

    @property
    def arrived(self) -> Ranges:
        """UIDs of messages that the client was not told of."""
        return ranges_of(self._arrived)

    def owed(self, *, may_expunge: bool, may_flag: bool = True) -> list[Owed]:
        """What the client is to be told, in this order; it counts as told from now on. may_flag: flags
        also."""
        owed: list[Owed] = []
        if may_expunge and self._expunged:
            # From the last to the first, so that none changes the number of one behind it.
            gone = sorted(((bisect_left(self._uids, uid) + 1, uid) for uid in self._expunged), reverse=True)
            owed += [Expunged(number, uid) for number, uid in gone]
            self._uids = array("I", [uid for uid in self._uids if uid not in self._expunged])
            self._expunged.clear()
        if self._arrived:
            self._uids.extend(self._arrived)
            self._arrived = array("I")
            owed.append(Exists(self.exists))
        if not may_flag:
            return owed
        number = 0
        for uid in sorted(self._flagged):
            index = self._index(uid, number)
            assert index is not None, "what is not known has no flags to tell"
            number = index + 1
            owed.append(Flagged(number, uid, *self._flagged[uid]))
        self._flagged.clear()
        return owed


def _pairs(numbers: Ranges, uids: Ranges) -> Iterator[tuple[int, int, int]]:
    """Runs in which both ascend by one: the first number, the first UID, and how many."""
    others = iter(uids)
    uid, last_uid = next(others)
    for number, last in numbers:
        while number <= last:
            if uid > last_uid:
                uid, last_uid = next(others)
            count = min(last - number, last_uid - uid) + 1
            yield number, uid, count
            number, uid = number + count, uid + count
