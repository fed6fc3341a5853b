"""The books after a storm: what the sender was told against what mailboxes and the next hop have.

Every mail that got `250` is in its mailbox exactly once and at the next hop at least once, twice only where
that hop had said `250` and something was killed before it could be recorded. A mail that got no answer is
there for all its recipients or for none; one that was refused is nowhere. What is there is octet for octet.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from tests.e2e.gateway import Gateway
from tests.e2e.load import Attempt, Load
from tests.e2e.messages import front_of
from tests.e2e.sink import Reception, Sink

MESSAGE_ID = re.compile(rb"^message-id: *(<[^>\r\n]+>)", re.IGNORECASE | re.MULTILINE)


@dataclass
class Books:
    """What was found wrong, by Message-ID; all lists are empty when nothing is."""

    acknowledged: int = 0
    delivered: int = 0  # to mailboxes
    relayed: int = 0  # at the next hop, doubles not counted
    unanswered: int = 0
    unanswered_but_there: int = 0
    doubles_at_next_hop: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    half: list[str] = field(default_factory=list)
    refused_but_there: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    unexplained_doubles: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, list[str]]:
        """The first few of each kind."""
        kinds = ("lost", "doubled", "half", "refused_but_there", "altered", "unexplained_doubles")
        return {kind: found[:5] for kind in kinds if (found := getattr(self, kind))}

    def __str__(self) -> str:
        return (
            f"{self.acknowledged} acknowledged, {self.delivered} in mailboxes, {self.relayed} at the next "
            f"hop ({self.doubles_at_next_hop} of them twice), {self.unanswered} unanswered "
            f"({self.unanswered_but_there} of them there), faults: {self.faults or 'none'}"
        )


def settle(
    gateway: Gateway, load: Load, sink: Sink | None, harms: Sequence[tuple[float, float]], folder: Path
) -> Books:
    """Count everything. The gateway must be idle. harms: time.monotonic() of each, begun and over."""
    books = Books()
    hosted, relayed = _recipients(load, sink)
    kept: dict[str, Counter[str]] = {}
    for address in hosted:
        exported = gateway.export_all(address, folder / address).values()
        kept[address] = Counter(_message_id(octets) for octets in exported)
        books.altered += _altered(load, exported)
    if sink is not None:
        kept |= dict.fromkeys(relayed, sink.times_received())
    for attempt in load.attempts:
        _enter(books, attempt, kept, relayed)
    if sink is not None:
        _enter_next_hop(books, load, sink, harms)
    return books


def _recipients(load: Load, sink: Sink | None) -> tuple[list[str], set[str]]:
    everyone = {address for route in load.plan.recipients for address in route}
    relayed = {address for address in everyone if sink is not None and address.endswith(f"@{sink.domain}")}
    return sorted(everyone - relayed), relayed


def _message_id(octets: bytes) -> str:
    found = MESSAGE_ID.search(octets.partition(b"\r\n\r\n")[0])
    return found.group(1).decode() if found else ""


def _altered(load: Load, exported: Iterable[bytes]) -> list[str]:
    altered = []
    ours = {attempt.message_id for attempt in load.attempts}
    for octets in exported:
        message_id = _message_id(octets)
        if message_id in ours:
            try:
                front_of(octets, load.message_of(message_id))
            except AssertionError:
                altered.append(message_id)
    return altered


def _enter(books: Books, attempt: Attempt, kept: dict[str, Counter[str]], relayed: set[str]) -> None:
    message_id = attempt.message_id
    times = {address: kept[address][message_id] for address in attempt.recipients}
    there = [address for address, count in times.items() if count]
    if any(kept[address][message_id] for address in attempt.refused):
        books.refused_but_there.append(message_id)
    if attempt.is_acknowledged:
        books.acknowledged += 1
        if len(there) < len(times):
            books.lost.append(message_id)
    elif attempt.code:
        if there:
            books.refused_but_there.append(message_id)
    else:
        books.unanswered += 1
        books.unanswered_but_there += bool(there)
        if there and len(there) < len(times):
            books.half.append(message_id)
    in_mailboxes = [count for address, count in times.items() if address not in relayed]
    books.delivered += sum(in_mailboxes)
    if max(in_mailboxes, default=0) > 1:
        books.doubled.append(message_id)


def _enter_next_hop(books: Books, load: Load, sink: Sink, harms: Sequence[tuple[float, float]]) -> None:
    sent = {attempt.message_id for attempt in load.attempts}
    for message_id, receptions in sink.by_message_id().items():
        if message_id not in sent:
            continue
        said = [reception for reception in receptions if reception.said_250]
        books.relayed += bool(said)
        books.doubles_at_next_hop += len(receptions) > 1 and bool(said)
        if not all(reception.message.endswith(load.message_of(message_id)) for reception in receptions):
            books.altered.append(message_id)
        if not _explained(said, harms):
            books.unexplained_doubles.append(message_id)


def _explained(said: Sequence[Reception], harms: Sequence[tuple[float, float]]) -> bool:
    """Something was amiss between each `250` of the hop and the next time it got the same mail."""
    return all(
        any(begun < again.at and first.at < over for begun, over in harms) for first, again in pairwise(said)
    )
