"""Aggregates: the few things with invariants, by the `eventsourcing` library's domain model.

Ours differs from the library's in two ways: events are structs on our own Event base, declared beside the
aggregate, and time and ids come in as arguments, never from a clock or `uuid4`.

Source: architecture §4, "Two ways in, one wire format".
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self, TypeVar, cast

from eventsourcing.domain import BaseAggregate, CanInitAggregate, CanMutateAggregate
from eventsourcing.utils import get_topic

from gateway.domain.events import Event, Fact, Stamp
from gateway.domain.histories import history_of


class AggregateEvent(Event, CanMutateAggregate[str], frozen=True, kw_only=True):
    """An event of an aggregate. originator_version counts them from 1 (header Es-Version)."""

    originator_id: str
    originator_version: int

    @property
    def timestamp(self) -> datetime:  # type: ignore[override]
        """`at`, by the library's name."""
        return self.at

    def _as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in (*self.__struct_fields__, "timestamp")}


class CreatedEvent(AggregateEvent, CanInitAggregate[str], frozen=True, kw_only=True):
    """The first event of an aggregate. originator_topic: TOPIC of the aggregate's class."""

    originator_topic: str


class Aggregate(BaseAggregate[str]):
    """Base of Agency, Account and MailboxTree; their `create` and commands take a Stamp."""

    Event = AggregateEvent  # the library wants a base event by this name

    @classmethod
    def create_as(
        cls, event_type: type[CreatedEvent], identifier: str, stamp: Stamp, /, **fields: Any
    ) -> Self:
        created = event_type(
            originator_topic=get_topic(cls),
            originator_id=identifier,
            originator_version=cls.INITIAL_VERSION,
            **stamp.fields(),
            **fields,
        )
        aggregate = cast(Self, created.mutate(None))
        aggregate.pending_events.append(created)
        return aggregate

    def trigger(self, event_type: type[AggregateEvent], stamp: Stamp, /, **fields: Any) -> None:
        """Decide the next event: it changes the aggregate now and waits to be appended."""
        event = event_type(
            originator_id=self.id, originator_version=self.version + 1, **stamp.fields(), **fields
        )
        event.mutate(self)
        self.pending_events.append(event)

    def collect_facts(self) -> tuple[Fact, ...]:
        """The events that wait to be appended, taken out."""
        events = cast("list[AggregateEvent]", self.collect_events())
        return tuple(Fact(history_of(self.id), event) for event in events)


A = TypeVar("A", bound=Aggregate)


def replay(kind: type[A], events: Iterable[Event]) -> A | None:
    """The aggregate its history tells of; None when there is no history."""
    aggregate: A | None = None
    for event in events:
        assert isinstance(event, AggregateEvent), event
        aggregate = event.mutate(aggregate)
    assert aggregate is None or isinstance(aggregate, kind), aggregate
    return aggregate
