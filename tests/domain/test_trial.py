"""What falls due with a trial, by its history and the time alone."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.agencies import order_close
from gateway.domain.agency import Agency
from gateway.domain.events import Actor, By, Stamp
from gateway.domain.registration import Refused
from gateway.domain.trial import (
    AgencyClosed,
    AgencyExported,
    AgencyTrialEnded,
    AgencyTrialExtended,
    AgencyTrialWarned,
    Close,
    End,
    Export,
    Files,
    Lack,
    Step,
    Times,
    Trial,
    Warn,
    due,
)
from gateway.domain.trial_steps import take_step
from gateway.mail.ids import AgencyId

AT = datetime(2026, 11, 1, tzinfo=UTC)
TIMES = Times()
OPM = AgencyId("ag_" + "0" * 26)


def after(days: float) -> datetime:
    return AT + timedelta(days=days)


def stamp(at: datetime) -> Stamp:
    return Stamp(at=at, actor=Actor("system", "steward"), by=By("steward", "0", ""))


def on_trial(days: int = 30) -> Agency:
    return Agency.create(OPM, stamp(AT), name="OPM", relay_to=None, trial_ends_at=after(days))


def trial(agency: Agency) -> Trial:
    assert agency.trial is not None
    return agency.trial


def take(agency: Agency, step: Step, at: datetime) -> None:
    """What the steward makes of a step."""
    match step:
        case Warn(days):
            agency.trigger(AgencyTrialWarned, stamp(at), days=days, ends_at=trial(agency).ends_at)
        case End(closes_at):
            agency.trigger(AgencyTrialEnded, stamp(at), closes_at=closes_at)
        case Export():
            agency.trigger(AgencyExported, stamp(at), accounts=2, messages=3)
        case Close():
            agency.trigger(AgencyClosed, stamp(at), messages=3)


def steps_on(agency: Agency, day: float) -> list[Step]:
    """All that is due on a day, taken."""
    taken: list[Step] = []
    while not agency.is_closed and (step := due(trial(agency), after(day), TIMES)):
        take(agency, step, after(day))
        taken.append(step)
    return taken


def test_the_life_of_a_trial_day_by_day() -> None:
    agency = on_trial()
    told = {day: steps for day in range(100) if (steps := steps_on(agency, day))}
    assert told == {23: [Warn(7)], 29: [Warn(1)], 30: [End(after(60))], 60: [Export(), Close()]}
    assert agency.status == "closed"


def test_each_step_is_due_to_the_second() -> None:
    agency, second = on_trial(), timedelta(seconds=1)
    for day, step in ((23, Warn(7)), (29, Warn(1)), (30, End(after(60)))):
        assert due(trial(agency), after(day) - second, TIMES) is None
        assert due(trial(agency), after(day), TIMES) == step
        take(agency, step, after(day))
    assert due(trial(agency), after(60) - second, TIMES) is None
    assert due(trial(agency), after(60), TIMES) == Export()


@pytest.mark.parametrize("day", [30, 45, 400])
def test_missed_days_are_made_up_in_order_and_no_day_of_grace_is_taken_away(day: int) -> None:
    agency = on_trial()
    assert steps_on(agency, day) == [Warn(7), Warn(1), End(after(day + 30))]
    assert agency.status == "expired"
    assert steps_on(agency, day + 29) == []
    assert steps_on(agency, day + 300) == [Export(), Close()]


def test_status_says_how_far_it_is() -> None:
    agency = on_trial()
    seen = [agency.status]
    for day in (23, 30):
        steps_on(agency, day)
        seen.append(agency.status)
    take(agency, Export(), after(60))
    seen.append(agency.status)
    take(agency, Close(), after(60))
    assert [*seen, agency.status] == ["trial", "trial", "expired", "closing", "closed"]


def test_an_agency_whose_files_lack_messages_is_closing_until_an_operator_does_without() -> None:
    agency, lost = on_trial(), Lack(1, ("acc_1/mbx_1/00000001-mail_1.eml",))
    steps_on(agency, 30)
    for step in (Export(), Export()):
        take_step(agency, 1, step, stamp(after(60)), files=Files(2, 3, lost))
        assert (agency.status, trial(agency).lack) == ("closing", lost)
        assert due(trial(agency), after(60), TIMES) == Export()
    order_close(agency, 1, stamp(after(61)), reason=b"")
    for step in (Export(), Close()):
        assert due(trial(agency), after(61), TIMES) == step
        take_step(agency, 1, step, stamp(after(61)), files=Files(2, 3, lost))
    assert agency.status == "closed"


def test_an_agency_is_closed_by_hand_only_where_its_files_lack_messages() -> None:
    agency = on_trial()
    with pytest.raises(Refused, match="OPM is trial: only an agency that is closing and whose files lack"):
        order_close(agency, 1, stamp(AT), reason=b"")
    steps_on(agency, 30)
    take(agency, Export(), after(60))
    with pytest.raises(Refused, match="OPM is being closed already"):
        order_close(agency, 1, stamp(after(60)), reason=b"")


def test_what_is_lacking_is_counted_and_the_first_of_it_named() -> None:
    lack = sum((Lack(1, (f"{number}.eml",)) for number in range(1_000)), Lack())
    assert (lack.messages, lack.named) == (1_000, tuple(f"{number}.eml" for number in range(20)))


def test_an_extended_trial_is_warned_again() -> None:
    agency = on_trial()
    steps_on(agency, 31)
    agency.trigger(AgencyTrialExtended, stamp(after(31)), ends_at=after(45), sealed=b"")
    assert agency.status == "trial"
    told = {day: steps for day in range(31, 60) if (steps := steps_on(agency, day))}
    assert told == {38: [Warn(7)], 44: [Warn(1)], 45: [End(after(75))]}


def test_a_trial_shorter_than_a_warning_goes_without_it() -> None:
    agency = on_trial(days=7)
    assert steps_on(agency, 0) == []
    assert steps_on(agency, 6) == [Warn(1)]
    assert steps_on(agency, 7) == [End(after(37))]
