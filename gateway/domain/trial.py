"""A trial: an agency that is here for some days, and what falls due with it.

It is warned, then ended (nobody signs in or sends, mail still comes in), then exported, then closed. What has
happened is in the agency's own history; what is next follows from that and the time alone.

Source: issue 2/9 (agency); architecture §2.8 (the steward alone looks at the clock).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from msgspec import Struct

from gateway.domain.aggregate import AggregateEvent
from gateway.domain.events import Instant

if TYPE_CHECKING:
    from gateway.domain.agency import Agency

TRIAL_DAYS_MAX: Final = 366
LACKING_NAMED_MAX: Final = 20  # an event is small (architecture §4)


class Lack(Struct, frozen=True):
    """Messages that an export could not open: the store has lost or damaged them. Erased ones are none."""

    messages: int = 0
    named: tuple[str, ...] = ()  # the first of the files that are not there, by their paths in its folder

    def __add__(self, other: "Lack") -> "Lack":
        return Lack(self.messages + other.messages, (self.named + other.named)[:LACKING_NAMED_MAX])


NO_LACK: Final = Lack()


class Trial(Struct, frozen=True):
    """How far a trial has come. warned: so many days before its end, each once."""

    began_at: datetime  # or was extended
    ends_at: datetime
    warned: tuple[int, ...] = ()
    closes_at: datetime | None = None  # it has ended, and mail comes in until then
    is_exported: bool = False
    lack: Lack = NO_LACK  # of its export, when one was last told of
    may_lack: bool = False  # an operator has said so

    @property
    def is_closing(self) -> bool:
        """It was exported, and there is no way back."""
        return self.is_exported or self.lack.messages > 0

    def is_held_back_by(self, lack: Lack) -> bool:
        """True when its next step waits until the messages are there, or an operator does without them."""
        return lack.messages > 0 and not self.may_lack


@dataclass(frozen=True, slots=True)
class Files:
    """What an export has put into files."""

    accounts: int = 0
    messages: int = 0
    lack: Lack = NO_LACK

    def __add__(self, other: "Files") -> "Files":
        return Files(self.accounts + other.accounts, self.messages + other.messages, self.lack + other.lack)


@dataclass(frozen=True, slots=True)
class Times:
    """When a trial's steps are due. warn_days: before its end."""

    warn_days: tuple[int, ...] = (7, 1)
    grace: timedelta = timedelta(days=30)  # from its end until it is closed


@dataclass(frozen=True, slots=True)
class Warn:
    days: int  # which of the warnings


@dataclass(frozen=True, slots=True)
class End:
    closes_at: datetime


@dataclass(frozen=True, slots=True)
class Export:
    """Everything in its mailboxes goes into files."""


@dataclass(frozen=True, slots=True)
class Close:
    """Its accounts are closed, and so is itself."""


Step = Warn | End | Export | Close


def due(trial: Trial, now: datetime, times: Times) -> Step | None:
    """The next step, if its time has come. However late somebody looks, no step is left out.

    The grace time runs from when the trial is ended in fact: who looks late takes no day of it away. A
    warning that would have been before the trial began is none.
    """
    if trial.is_exported:
        return Close()
    if trial.closes_at is not None:
        return Export() if now >= trial.closes_at else None
    for days in sorted(times.warn_days, reverse=True):
        warn_at = trial.ends_at - timedelta(days=days)
        if days not in trial.warned and trial.began_at < warn_at <= now:
            return Warn(days)
    return End(now + times.grace) if now >= trial.ends_at else None


# --- events -------------------------------------------------------------------------------------------------


class AgencyTrialExtended(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: its trial ends later; one that had ended goes on, its people are let in."""

    TOPIC: ClassVar[str] = "agency.trial_extended/1"

    ends_at: Instant
    sealed: bytes  # ReasonSecret, under `agency.<agency_id>`

    def apply(self, aggregate: "Agency") -> None:
        aggregate.trial = Trial(began_at=self.at, ends_at=self.ends_at)


class AgencyTrialWarned(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: those who answer for it were told that its trial ends; beside the mails that do."""

    TOPIC: ClassVar[str] = "agency.trial_warned/1"

    days: int  # before the end, when it was due
    ends_at: Instant

    def apply(self, aggregate: "Agency") -> None:
        trial = _trial(aggregate)
        aggregate.trial = msgspec.structs.replace(trial, warned=(*trial.warned, self.days))


class AgencyTrialEnded(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: none of its accounts signs in or sends; mail still comes in until closes_at."""

    TOPIC: ClassVar[str] = "agency.trial_ended/1"

    closes_at: Instant

    def apply(self, aggregate: "Agency") -> None:
        aggregate.trial = msgspec.structs.replace(_trial(aggregate), closes_at=self.closes_at)


class AgencyExportLacked(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: its files lack messages, so it is not closed; another export may find them.

    Said again when something else is lacking than before.
    """

    TOPIC: ClassVar[str] = "agency.export_lacked/1"

    messages: int  # in files
    lack: Lack

    def apply(self, aggregate: "Agency") -> None:
        aggregate.trial = msgspec.structs.replace(_trial(aggregate), lack=self.lack)


class AgencyCloseOrdered(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: it is to be closed although its files lack messages."""

    TOPIC: ClassVar[str] = "agency.close_ordered/1"

    sealed: bytes  # ReasonSecret, under `agency.<agency_id>`

    def apply(self, aggregate: "Agency") -> None:
        aggregate.trial = msgspec.structs.replace(_trial(aggregate), may_lack=True)


class AgencyExported(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: what was in its mailboxes is in files; from here on it is being closed."""

    TOPIC: ClassVar[str] = "agency.exported/1"

    accounts: int
    messages: int
    lack: Lack = NO_LACK  # an operator does without these

    def apply(self, aggregate: "Agency") -> None:
        aggregate.trial = msgspec.structs.replace(_trial(aggregate), is_exported=True, lack=self.lack)


class AgencyClosed(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: its accounts are closed, and nothing comes in for its domains any more."""

    TOPIC: ClassVar[str] = "agency.closed/1"

    messages: int  # in files, with those that came in while it was closed
    lack: Lack = NO_LACK  # an operator does without these

    def apply(self, aggregate: "Agency") -> None:
        aggregate.is_closed = True


def _trial(agency: "Agency") -> Trial:
    assert agency.trial is not None, agency.id
    return agency.trial
