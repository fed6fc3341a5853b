"""A trial's next step as events of the agency, guarded by where its history ends: one of two makes it.

Source: architecture §4 (aggregates); `due` in trial.py says which step it is.
"""

from collections.abc import Sequence
from typing import assert_never

from gateway.domain.agency import Agency
from gateway.domain.events import Fact, Stamp
from gateway.domain.histories import history_of
from gateway.domain.registration import Registration
from gateway.domain.trial import (
    AgencyClosed,
    AgencyExported,
    AgencyTrialEnded,
    AgencyTrialWarned,
    Close,
    End,
    Export,
    Step,
    Warn,
)


def take_step(
    agency: Agency,
    position: int,
    step: Step,
    stamp: Stamp,
    *,
    beside: Sequence[Fact] = (),
    accounts: int = 0,
    messages: int = 0,
) -> Registration:
    """The step has been made. beside: the mail that warns; accounts, messages: what was exported."""
    assert agency.trial is not None, agency.id
    match step:
        case Warn(days):
            agency.trigger(AgencyTrialWarned, stamp, days=days, ends_at=agency.trial.ends_at)
        case End(closes_at):
            agency.trigger(AgencyTrialEnded, stamp, closes_at=closes_at)
        case Export():
            agency.trigger(AgencyExported, stamp, accounts=accounts, messages=messages)
        case Close():
            agency.trigger(AgencyClosed, stamp, messages=messages)
        case never:
            assert_never(never)
    history = history_of(agency.id)
    return Registration((*agency.collect_facts(), *beside), {history: position}, {history: agency.version})
