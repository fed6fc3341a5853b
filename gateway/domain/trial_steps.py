"""A trial's next step as events of the agency, guarded by where its history ends: one of two makes it.

Source: architecture §4 (aggregates); `due` in trial.py says which step it is.
"""

from collections.abc import Sequence
from typing import Final, assert_never

from gateway.domain.agency import Agency
from gateway.domain.events import Fact, Stamp
from gateway.domain.histories import history_of
from gateway.domain.registration import Registration
from gateway.domain.trial import (
    AgencyClosed,
    AgencyExported,
    AgencyExportLacked,
    AgencyTrialEnded,
    AgencyTrialWarned,
    Close,
    End,
    Export,
    Files,
    Step,
    Warn,
)

NO_FILES: Final = Files()


def take_step(
    agency: Agency,
    position: int,
    step: Step,
    stamp: Stamp,
    *,
    beside: Sequence[Fact] = (),
    files: Files = NO_FILES,
) -> Registration:
    """The step has been made; or not, because files lack messages. beside: the mail that warns."""
    assert agency.trial is not None, agency.id
    match step:
        case Export() | Close() if agency.trial.is_held_back_by(files.lack):
            agency.trigger(AgencyExportLacked, stamp, messages=files.messages, lack=files.lack)
        case Warn(days):
            agency.trigger(AgencyTrialWarned, stamp, days=days, ends_at=agency.trial.ends_at)
        case End(closes_at):
            agency.trigger(AgencyTrialEnded, stamp, closes_at=closes_at)
        case Export():
            counts = {"accounts": files.accounts, "messages": files.messages}
            agency.trigger(AgencyExported, stamp, **counts, lack=files.lack)
        case Close():
            agency.trigger(AgencyClosed, stamp, messages=files.messages, lack=files.lack)
        case never:
            assert_never(never)
    history = history_of(agency.id)
    return Registration((*agency.collect_facts(), *beside), {history: position}, {history: agency.version})
