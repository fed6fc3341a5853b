"""Mails with a deadline (RFC 2852), at the next hop."""

from datetime import timedelta
from typing import Literal

import pytest

from gateway.domain.events import MailBounced, MailDeferred, MailRelayed
from gateway.mail.dsn_options import DsnOptions
from tests.processes.relay.host import Host
from tests.processes.relay.setting import Setting

Mode = Literal["R", "N", "RT", "NT"]
PATIENCE_S = 5  # that a slow machine may need until the relay has the mail


@pytest.fixture
async def setting() -> Setting:
    return Setting()


async def queue(setting: Setting, seconds: int, mode: Mode, dsn: DsnOptions | None = None) -> None:
    by = setting.clock.now() + timedelta(seconds=seconds)
    await setting.queued(dsn=dsn or DsnOptions(), deliver_by=by, deliver_by_mode=mode)


def seconds_and_mode(command: str) -> tuple[int, str]:
    seconds, _, mode = command.partition(" BY=")[2].partition(";")
    return int(seconds), mode


@pytest.mark.parametrize("mode", ["R", "N"])
async def test_a_host_that_offers_it_gets_what_is_left_of_the_time(setting: Setting, mode: Mode) -> None:
    await queue(setting, 600, mode)
    async with Host(extensions=("DELIVERBY 500",)).listening() as host, setting.relay(host):
        setting.clock.move(60)
        (relayed,) = await setting.outcomes(1)
    (taken,) = host.taken
    seconds, said = seconds_and_mode(taken.commands[0])
    assert 540 - PATIENCE_S <= seconds <= 540
    assert said == mode
    assert isinstance(relayed, MailRelayed)
    assert relayed.report_success == ()


async def test_each_relay_is_told_to_who_asks_for_a_trace(setting: Setting) -> None:
    await queue(setting, 600, "RT")
    async with Host(extensions=("DELIVERBY", "DSN")).listening() as host, setting.relay(host):
        (relayed,) = await setting.outcomes(1)
    assert isinstance(relayed, MailRelayed)
    assert (relayed.report_success, seconds_and_mode(host.taken[0].commands[0])[1]) == ((0,), "RT")


async def test_what_is_to_be_returned_does_not_go_to_a_host_that_promises_nothing(setting: Setting) -> None:
    await queue(setting, 600, "R")
    async with Host().listening() as host, setting.relay(host):
        (bounced,) = await setting.outcomes(1)
    assert isinstance(bounced, MailBounced)
    assert (bounced.status, host.taken) == ("5.3.3", [])


async def test_nor_to_one_that_takes_longer(setting: Setting) -> None:
    await queue(setting, 600, "R")
    async with Host(extensions=("DELIVERBY 601",)).listening() as host, setting.relay(host):
        (bounced,) = await setting.outcomes(1)
    assert isinstance(bounced, MailBounced)
    assert (bounced.status, bounced.reason, host.taken) == ("5.4.7", "expired", [])


async def test_at_its_deadline_a_mail_is_returned(setting: Setting) -> None:
    await queue(setting, 600, "R")
    says = {"MAIL": "451 4.3.0 later"}
    async with Host(says=says, extensions=("DELIVERBY",)).listening() as host, setting.relay(host):
        (deferred,) = await setting.outcomes(1)
        setting.clock.move(600)
        *_, bounced = await setting.outcomes(2)
    assert isinstance(deferred, MailDeferred)
    assert isinstance(bounced, MailBounced)
    assert (bounced.status, bounced.reason, host.taken) == ("5.4.7", "expired", [])


async def test_or_goes_on_and_its_sender_is_told_once(setting: Setting) -> None:
    await queue(setting, 600, "N")
    async with Host(says={"MAIL": "451 4.3.0 later"}).listening() as host, setting.relay(host):
        for attempt, seconds in enumerate((60, 600, 14400), 1):
            await setting.outcomes(attempt)
            setting.clock.move(seconds)
        outcomes = await setting.outcomes(4)
    deferred = [outcome for outcome in outcomes if isinstance(outcome, MailDeferred)]
    assert [event.report_delay for event in deferred] == [(), (), (0,), ()]
