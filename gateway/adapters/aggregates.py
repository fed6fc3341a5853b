"""Aggregates over any event log: the domain model is the library's, only the waiting is ours.

Source: architecture §4 ("Two ways in, one wire format"); eventsourcing 9.5, application.py.
"""

from collections.abc import Callable, Mapping, Sequence

from gateway.domain.aggregate import A, Aggregate, AggregateEvent, replay
from gateway.domain.histories import history_of
from gateway.ports import START, Conflict, EventLog, Fact, Position

DECISIONS_MAX = 10  # style.md §6


class LoggedAggregates:
    """The port Aggregates."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def get(self, kind: type[A], identifier: str) -> A:
        history = await self._log.history(history_of(identifier))
        aggregate = replay(kind, (recorded.event for recorded in history))
        if aggregate is None:
            raise KeyError(identifier)
        return aggregate

    async def save(
        self,
        *aggregates: Aggregate,
        facts: Sequence[Fact] = (),
        expected: Mapping[str, Position] | None = None,
    ) -> Position:
        decided = [fact for aggregate in aggregates for fact in aggregate.collect_facts()]
        versions: dict[str, int] = {}
        for fact in decided:
            assert isinstance(fact.event, AggregateEvent), fact
            versions.setdefault(fact.subject, fact.event.originator_version)
        guards = {subject: await self._guard(subject, version) for subject, version in versions.items()}
        return await self._log.append_guarded([*decided, *facts], {**guards, **(expected or {})}, versions)

    async def command(self, kind: type[A], identifier: str, decide: Callable[[A], None]) -> Position:
        for _ in range(DECISIONS_MAX):
            aggregate = await self.get(kind, identifier)
            decide(aggregate)
            try:
                return await self.save(aggregate)
            except Conflict:
                continue
        raise Conflict(f"{identifier} has moved on each of {DECISIONS_MAX} times")

    async def _guard(self, subject: str, version: int) -> Position:
        """The position of the event before this version. Raises Conflict when the version is taken."""
        last = await self._log.latest(subject) if version > 1 else None
        if version > 1 and (last is None or last.version != version - 1):
            raise Conflict(
                f"{subject} is at version {last.version if last else 0}, {version} does not follow"
            )
        return last.position if last else START.position
