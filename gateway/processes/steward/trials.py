"""What falls due with trials is done: warned, ended, exported, closed, each an event of the agency, once.

What is due is decided on the agency's history, and the event guarded by where it ends: killed at any moment,
and run again, it goes on with the same step. Rows only say which agencies to look at.

Source: architecture §2.8 (the steward alone looks at the clock); ADR 0013.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Final, Protocol

from gateway.domain.agency import Agency
from gateway.domain.events import Actor, By, Fact, Stamp
from gateway.domain.trial import Close, Export, Files, Times, Trial, Warn, due
from gateway.domain.trial_steps import NO_FILES, take_step
from gateway.mail.ids import AgencyId
from gateway.ports import Clock, Conflict, EventLog, KeyStore, Lane, Leases, Position, Unavailable
from gateway.processes import maillog
from gateway.processes.registry.reading import Reading

LEASE: Final = "steward-trials"
LOOK_EVERY_S: Final = 15.0
# Who mends a store is not done within minutes, and each try reads what is lacking, on record.
TRY_AGAIN: Final = timedelta(hours=1)
STEWARD: Final = Actor("system", "steward")


class OnTrial(Protocol):
    """Raises Unavailable."""

    async def agencies(self) -> Sequence[AgencyId]:
        """Those whose trial is not over with."""


class Warnings(Protocol):
    async def warning(self, agency: Agency, stamp: Stamp) -> Sequence[Fact]:
        """The mail to those who answer for it, taken in but not yet appended. Raises Unavailable, Full."""


class Leaving(Protocol):
    """Both go on where they were when called again. Raise Unavailable, OSError."""

    async def export(self, agency_id: AgencyId) -> Files:
        """Everything in its mailboxes is in files, but what is lacking."""

    async def close_accounts(self, agency_id: AgencyId) -> None:
        """All that are open."""


async def run(
    trials: Callable[[Lane], "Trials"],
    open_lane: Callable[[], AbstractAsyncContextManager[Lane]],
    clock: Clock,
    leases: Leases,
) -> None:
    """Look again and again while the lease is ours, until cancelled. Raises Deposed, Unavailable."""
    async with leases.hold(LEASE), open_lane() as lane:
        looking = trials(lane)
        while True:
            await looking.look()
            await clock.sleep(LOOK_EVERY_S)


class Trials:
    """Makes the steps of all trials."""

    def __init__(
        self,
        *,
        on_trial: OnTrial,
        warnings: Warnings,
        leaving: Leaving,
        log: EventLog,
        keys: KeyStore,
        clock: Clock,
        by: By,
        times: Times,
    ) -> None:
        self._on_trial, self._warnings, self._leaving = on_trial, warnings, leaving
        self._log, self._reading, self._clock = log, Reading(log, keys), clock
        self._by, self._times = by, times
        self._try_at: dict[AgencyId, datetime] = {}  # the next export of those whose files lack messages

    async def look(self) -> None:
        """Make all that is due. An agency that cannot be seen to now does not keep the others waiting."""
        try:
            agencies = await self._on_trial.agencies()
        except Unavailable as error:
            self._cannot(error.service, error.reason)
            return
        for agency_id in agencies:
            try:
                while await self._step(agency_id):
                    pass
            except Unavailable as error:
                self._cannot(error.service, error.reason)
            except Conflict as error:
                self._cannot("log", str(error))
            except OSError as error:
                self._cannot("exports", error.strerror or str(error))

    async def _step(self, agency_id: AgencyId) -> bool:
        """Make the next step of one agency, if it is due. False: nothing is, for now."""
        found = await self._reading.agency(agency_id)
        trial, now = found.agency.trial, self._clock.now()
        if trial is None or found.agency.is_closed or self._waits(agency_id, trial, now):
            return False
        step = due(trial, now, self._times)
        if step is None:
            return False
        beside: Sequence[Fact] = ()
        files = NO_FILES
        if isinstance(step, Warn):
            beside = await self._warnings.warning(found.agency, self._stamp(now))
        elif isinstance(step, Export):
            files = await self._leaving.export(agency_id)
        elif isinstance(step, Close):
            await self._leaving.close_accounts(agency_id)
            files = await self._leaving.export(agency_id)  # what came in until then
        stamp = self._stamp(self._clock.now())
        is_held_back = trial.is_held_back_by(files.lack)
        if is_held_back:
            self._try_at[agency_id] = stamp.at + TRY_AGAIN
            maillog.export_lacks(agency_id=agency_id, files=files.messages, messages=files.lack.messages)
            if files.lack == trial.lack:
                return False
        made = take_step(found.agency, found.position, step, stamp, beside=beside, files=files)
        expected = {history: Position(at) for history, at in made.expected.items()}
        try:
            await self._log.append_guarded(made.facts, expected, made.versions)
        except Conflict:
            return True  # somebody extended the trial meanwhile, or made this step: look again
        return not is_held_back

    def _waits(self, agency_id: AgencyId, trial: Trial, now: datetime) -> bool:
        """True when its files lack messages and were looked after lately."""
        return trial.is_held_back_by(trial.lack) and now < self._try_at.get(agency_id, now)

    def _stamp(self, at: datetime) -> Stamp:
        return Stamp(at=at, actor=STEWARD, by=self._by)

    @staticmethod
    def _cannot(service: str, reason: str) -> None:
        maillog.service_unavailable(service=service, reason=reason, doing="see to trials")
