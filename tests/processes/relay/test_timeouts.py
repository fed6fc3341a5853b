"""How long a host may take: each step has its time, a reply has it as a whole, and a mail has an end."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.events import Attempted, MailDeferred, MailRelayed
from gateway.processes.relay.connection import READ_OCTETS, Timeouts
from gateway.settings import Settings
from gateway.wiring.relay import timeouts_of
from tests.misbehaving import Server, Silent, Slow, Unreading, listening
from tests.processes.relay.setting import Setting
from tests.processes.world import DLD, MESSAGE

SHORT_S = 0.1

# RFC 5321 §4.5.3.2: at least so many minutes.
ASKED = [
    ("reply", 5),  # .1 the greeting, .2 MAIL, .3 RCPT
    ("data", 2),  # .4
    ("block", 3),  # .5
    ("conclusion", 10),  # .6
]

# Where a host falls silent, and whose time is over then.
SILENCES = [("", "reply"), ("EHLO", "reply"), ("MAIL", "reply"), ("RCPT", "reply"), ("DATA", "data")]


@pytest.fixture
async def setting() -> Setting:
    return Setting()


async def attempt(
    setting: Setting, server: Server, timeouts: Timeouts, *, message: bytes = MESSAGE
) -> Attempted:
    """What becomes of a mail. timeouts: what is not the RFC's of them is what ends within a test."""
    setting.means = replace(setting.means, timeouts=timeouts)
    await setting.queued(message=message)
    async with listening(server):
        setting.queue.hops[DLD] = server.hop
        async with setting.relay():
            (outcome,) = await setting.outcomes(1)
    return outcome


@pytest.mark.parametrize(("step", "minutes"), ASKED)
def test_a_host_has_the_time_that_the_rfc_asks_for(step: str, minutes: int) -> None:
    assert getattr(Timeouts(), step) >= 60 * minutes
    assert timeouts_of(Settings()) == Timeouts()


@pytest.mark.parametrize("offers", [("PIPELINING",), ()], ids=["pipelined", "one by one"])
@pytest.mark.parametrize(("at", "step"), SILENCES)
async def test_a_host_that_falls_silent_is_left_and_the_mail_waits(
    setting: Setting, at: str, step: str, offers: tuple[str, ...]
) -> None:
    deferred = await attempt(setting, Silent(at=at, offers=offers), Timeouts(**{step: SHORT_S}))
    assert (type(deferred), deferred.code, deferred.status) == (MailDeferred, 0, "4.4.2")
    assert (await setting.said(deferred)).reply_text == "The host took too long"


async def test_a_host_silent_at_the_dot_may_have_the_mail_and_the_trace_says_so(setting: Setting) -> None:
    deferred = await attempt(setting, Silent(at="."), Timeouts(conclusion=SHORT_S))
    assert (type(deferred), deferred.code, deferred.status) == (MailDeferred, 0, "4.4.2")
    assert (await setting.said(deferred)).reply_text.startswith("The host may have the mail")


async def test_a_host_that_reads_nothing_is_left(setting: Setting) -> None:
    contents = setting.world.contents
    open_whole = contents.open

    async def in_pieces(*args: Any, **options: Any) -> AsyncIterator[bytes]:
        async for octets in open_whole(*args, **options):
            for at in range(0, len(octets), READ_OCTETS):
                yield octets[at : at + READ_OCTETS]

    contents.open = in_pieces  # type: ignore[method-assign]
    message = b"Subject: long\r\n\r\n" + 100_000 * (b"x" * 126 + b"\r\n")  # more than the kernel takes
    deferred = await attempt(setting, Unreading(), Timeouts(block=SHORT_S), message=message)
    assert (type(deferred), deferred.status) == (MailDeferred, "4.4.2")
    assert (await setting.said(deferred)).reply_text == "The host took too long"


async def test_a_host_that_answers_an_octet_at_a_time_gets_its_mail(setting: Setting) -> None:
    server = Slow(pause_s=0.002)
    assert isinstance(await attempt(setting, server, Timeouts()), MailRelayed)
    assert [mail.said_250 for mail in server.mails] == [True]


async def test_the_time_of_a_reply_is_for_all_of_its_octets(setting: Setting) -> None:
    """Each comes soon after the one before, and the line does not end."""
    deferred = await attempt(setting, Slow(pause_s=SHORT_S / 2, at=""), Timeouts(reply=SHORT_S))
    assert (type(deferred), deferred.status) == (MailDeferred, "4.4.2")


async def test_a_mail_has_an_end_although_each_reply_comes_in_time(setting: Setting) -> None:
    server = Slow(pause_s=SHORT_S / 2, at="RCPT")
    deferred = await attempt(setting, server, Timeouts(mail=SHORT_S))
    assert (type(deferred), deferred.status, server.mails) == (MailDeferred, "4.4.2", [])


async def test_behind_the_final_dot_only_the_time_for_its_answer_counts(setting: Setting) -> None:
    """RFC 5321 §4.5.3.2.6: who hangs up on a host that works on a mail has it twice."""
    server = Slow(pause_s=SHORT_S / 2, at=".")
    assert isinstance(await attempt(setting, server, Timeouts(mail=SHORT_S)), MailRelayed)
    assert [mail.said_250 for mail in server.mails] == [True]
