"""A group: facts that are appended all or none, as they stand in the log.

Source: architecture §4 (an event is small; at most 500 events and 1 MB in one write).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.domain import codec
from gateway.domain.events import Fact

GROUP_FACTS_MAX: Final = 500
GROUP_OCTETS_MAX: Final = 1_000_000
HEADER_OCTETS: Final = 128  # what topic, guard and mark come to, at most


@dataclass(frozen=True, slots=True)
class Encoded:
    """A fact as octets. subject: without `ev.`; version: of an aggregate's event, else 0."""

    subject: str
    topic: str
    state: bytes
    version: int

    @property
    def octets(self) -> int:
        """Its share of the limit of a group."""
        return len(self.state) + len(self.subject) + HEADER_OCTETS


def encode_group(facts: Sequence[Fact], versions: Mapping[str, int] | None = None) -> list[Encoded]:
    """versions: of the first event of each aggregate's subject, counted up from there.

    Raises ValueError for no facts, for an event over its limit, and for more than one write takes.
    """
    count = dict(versions or {})
    group = []
    for fact in facts:
        state = codec.encode(fact.event)
        if len(state) > codec.EVENT_OCTETS_MAX:
            limit = f"an event has at most {codec.EVENT_OCTETS_MAX}"
            raise ValueError(f"{fact.event.TOPIC} has {len(state)} octets, {limit}")
        version = count.get(fact.subject, 0)
        if version:
            count[fact.subject] += 1
        group.append(Encoded(fact.subject, fact.event.TOPIC, state, version))
    octets = sum(encoded.octets for encoded in group)
    if not group:
        raise ValueError("there is nothing to append")
    if len(group) > GROUP_FACTS_MAX or octets > GROUP_OCTETS_MAX:
        limit = f"at most {GROUP_FACTS_MAX} of {GROUP_OCTETS_MAX} octets are"
        raise ValueError(f"{len(group)} facts of {octets} octets are no group, {limit}")
    return group


def parts(facts: Sequence[Fact]) -> Iterator[list[Fact]]:
    """Facts that need not be appended together, in order, in as few groups as there may be."""
    part, octets = list[Fact](), 0
    for fact in facts:
        (encoded,) = encode_group([fact])
        if part and (len(part) == GROUP_FACTS_MAX or octets + encoded.octets > GROUP_OCTETS_MAX):
            yield part
            part, octets = [], 0
        part.append(fact)
        octets += encoded.octets
    if part:
        yield part


def carriers(subjects: Sequence[str], expected: Mapping[str, int]) -> list[str | None]:
    """Which guard each fact of a group carries: the first of a history its own, a free one another's.

    A message carries one guard, and only a guard on what is written keeps a late copy of a lost append out.
    Raises ValueError when nothing written is guarded, or when a guard finds no free fact.
    """
    if not expected.keys() & set(subjects):
        raise ValueError("a guarded append writes to one of the histories it guards")
    own = expected.keys() & set(subjects)
    others = [subject for subject in expected if subject not in own]
    carried: list[str | None] = []
    for subject in subjects:
        if subject in own:
            own.discard(subject)
            carried.append(subject)
        else:
            carried.append(others.pop(0) if others else None)
    if others:
        raise ValueError(f"no fact of the group is free to carry the guard of {', '.join(others)}")
    return carried
