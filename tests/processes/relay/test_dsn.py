"""What senders asked to be told (RFC 3461), at the next hop."""

from typing import Final

import pytest

from gateway.domain.events import MailBounced, MailDeferred, MailRelayed
from gateway.mail.dsn_options import DsnOptions
from tests.processes.relay.host import Host
from tests.processes.relay.setting import Setting

DSN: Final = DsnOptions("FULL", "QQ314159", ("SUCCESS,FAILURE", "NEVER"), ("rfc822;b@opm.go.th", ""))


@pytest.fixture
async def setting() -> Setting:
    return Setting()


async def test_a_host_with_dsn_gets_all_of_it_and_reports_itself(setting: Setting) -> None:
    """RFC 3461 §5.2.1."""
    await setting.queued("bob@dld.go.th", "eve@dld.go.th", dsn=DSN)
    extensions = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN")
    async with Host(extensions=extensions).listening() as host, setting.relay(host):
        (relayed,) = await setting.outcomes(1)
    (taken,) = host.taken
    assert taken.commands == [
        "MAIL FROM:<ann@example.org> RET=FULL ENVID=QQ314159",
        "RCPT TO:<bob@dld.go.th> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@opm.go.th",
        "RCPT TO:<eve@dld.go.th> NOTIFY=NEVER",
    ]
    assert isinstance(relayed, MailRelayed)
    assert relayed.report_success == ()


async def test_a_host_without_dsn_gets_nothing_of_it_and_we_report(setting: Setting) -> None:
    """RFC 3461 §5.2.2."""
    await setting.queued("bob@dld.go.th", "eve@dld.go.th", dsn=DSN)
    async with Host().listening() as host, setting.relay(host):
        (relayed,) = await setting.outcomes(1)
    (taken,) = host.taken
    assert [command.partition(" SIZE=")[0] for command in taken.commands] == [
        "MAIL FROM:<ann@example.org>",
        "RCPT TO:<bob@dld.go.th>",
        "RCPT TO:<eve@dld.go.th>",
    ]
    assert isinstance(relayed, MailRelayed)
    assert (relayed.recipients, relayed.report_success) == ((0, 1), (0,))


async def test_each_recipient_keeps_its_options_when_some_are_tried_again(setting: Setting) -> None:
    await setting.queued("bob@dld.go.th", "eve@dld.go.th", dsn=DSN)
    says = {"RCPT TO:<bob@dld.go.th> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@opm.go.th": "550 5.1.1 unknown"}
    async with Host(says=says, extensions=("DSN",)).listening() as host, setting.relay(host):
        outcomes = await setting.outcomes(2)
    (taken,) = host.taken
    assert taken.commands[1:] == ["RCPT TO:<eve@dld.go.th> NOTIFY=NEVER"]
    assert sorted((type(outcome).__name__, outcome.recipients) for outcome in outcomes) == [
        (MailBounced.__name__, (0,)),
        (MailRelayed.__name__, (1,)),
    ]


async def test_a_delay_is_marked_once_by_the_first_attempt_that_is_late(setting: Setting) -> None:
    dsn = DsnOptions(notify=("DELAY", ""))
    await setting.queued("bob@dld.go.th", "eve@dld.go.th", dsn=dsn)
    async with Host(says={"MAIL": "451 4.3.0 later"}).listening() as host, setting.relay(host):
        for attempt, hours in enumerate((1, 1, 4, 4, 4), 1):
            await setting.outcomes(attempt)
            setting.clock.move(hours * 3600)
        outcomes = await setting.outcomes(6)
    deferred = [outcome for outcome in outcomes if isinstance(outcome, MailDeferred)]
    assert [event.recipients for event in deferred] == [(0, 1)] * 6
    assert [event.report_delay for event in deferred] == [(), (), (), (0,), (), ()]
