"""How a router goes through the log: in steps, each small enough for one append.

A step is facts and how far the router is once they are in. Nearly always it is one mail; a mail whose facts
are more than one append takes is several, which name the recipients that have had their outcome.

Source: architecture §2.2 (checkpoint and facts are one write).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.events import Fact, MailAccepted, MailBounced, MailDelivered, MailQueued
from gateway.domain.forwarding import MailForwarded
from gateway.domain.group import GROUP_FACTS_MAX, GROUP_OCTETS_MAX, encode_group
from gateway.domain.maillist import ListExpanded

# Room for router.decided in the same group: it names 1,000 recipients at most.
STEP_FACTS_MAX: Final = GROUP_FACTS_MAX - 1
STEP_OCTETS_MAX: Final = GROUP_OCTETS_MAX - 8_000


@dataclass(frozen=True, slots=True)
class Step:
    """up_to, ended, aside: as in router.decided, once these facts are in the log."""

    up_to: int
    ended: tuple[int, ...] = ()
    facts: tuple[Fact, ...] = ()
    octets: int = 0  # as the facts count towards the limit of a group
    aside: tuple[int, ...] = ()


def steps(position: int, facts: Sequence[Fact], ended: Sequence[int] = ()) -> Iterator[Step]:
    """The steps by which the facts decided on the event at `position` are appended.

    ended: recipients whose facts are in the log already; of a list that was expanded, its parts. Facts that
    name neither stay together.
    """
    part, octets, had = list[Fact](), 0, list(ended)
    for together in _together(facts):
        size = sum(encoded.octets for encoded in encode_group(together))
        if part and (len(part) + len(together) > STEP_FACTS_MAX or octets + size > STEP_OCTETS_MAX):
            had += [recipient for earlier in part for recipient in _ends(earlier)]
            yield Step(position - 1, tuple(sorted(had)), tuple(part), octets)
            part, octets = [], 0
        part += together
        octets += size
    yield Step(position, (), tuple(part), octets)


def _together(facts: Sequence[Fact]) -> Iterator[list[Fact]]:
    """One by one, but a mail that goes on with the copy of it that is kept: both end the same recipients."""
    rest = iter(facts)
    for fact in rest:
        is_copied = isinstance(fact.event, MailForwarded) and fact.event.keeps_copy
        yield [fact, next(rest)] if is_copied else [fact]


class Joined:
    """Steps one after another, for one append."""

    def __init__(self, first: Step) -> None:
        self.parts = [first]
        self._facts, self._octets = len(first.facts), first.octets

    def take(self, step: Step) -> bool:
        """Add one more; False when it does not fit."""
        facts, octets = self._facts + len(step.facts), self._octets + step.octets
        if facts > STEP_FACTS_MAX or octets > STEP_OCTETS_MAX:
            return False
        self.parts.append(step)
        self._facts, self._octets = facts, octets
        return True

    def step(self) -> Step:
        """All of them as one."""
        last = self.parts[-1]
        facts = tuple(fact for part in self.parts for fact in part.facts)
        return replace(last, facts=facts, octets=self._octets)


def _ends(fact: Fact) -> tuple[int, ...]:
    match fact.event:
        case MailDelivered(recipients=recipients) | MailQueued(recipients=recipients):
            return recipients
        case MailBounced(recipients=recipients) | ListExpanded(recipients=recipients):
            return recipients
        case MailForwarded(recipients=recipients, keeps_copy=keeps_copy):
            return () if keeps_copy else recipients
        case MailAccepted(expands=expanded, part=part) if expanded is not None:
            return (part,)
        case event:
            raise AssertionError(f"{event.TOPIC} cannot be split from its neighbours")
