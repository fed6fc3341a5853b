"""The relay against a host that says yes, no, later, or nothing: what the log says afterwards."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.domain.agency import NextHop
from gateway.domain.events import (
    Attempted,
    AttemptSecret,
    Fact,
    MailBounced,
    MailDeferred,
    MailRelayed,
)
from gateway.domain.group import GROUP_FACTS_MAX
from gateway.domain.pace import Bounds
from gateway.ports import Position, Unavailable
from gateway.processes.relay.connection import Timeouts
from tests.processes.relay.host import Host
from tests.processes.relay.setting import Setting
from tests.processes.world import DLD


@pytest.fixture
async def setting() -> Setting:
    return Setting()


# --- yes -------------------------------------------------------------------------------------------------


async def test_a_mail_reaches_the_next_hop_as_it_came_with_our_trace_and_no_return_path(
    setting: Setting,
) -> None:
    message = b"Subject: dots\r\n\r\n.\r\n..two\r\n" + "สวัสดี\r\n".encode()
    await setting.queued("bob@dld.go.th", "eve@dld.go.th", message=message)
    async with Host().listening() as host, setting.relay(host):
        (relayed,) = await setting.outcomes(1)
    (taken,) = host.taken
    assert taken.message == message
    assert (taken.mail_from, taken.rcpt_to) == ("ann@example.org", ["bob@dld.go.th", "eve@dld.go.th"])
    assert isinstance(relayed, MailRelayed)
    assert (relayed.recipients, relayed.attempt, relayed.code, relayed.status) == ((0, 1), 1, 250, "2.0.0")
    said = await setting.said(relayed)
    assert said == AttemptSecret(remote_host=str(host.hop), reply_text="taken")


async def test_many_mails_share_a_few_connections(setting: Setting) -> None:
    await setting.queued(mails=60)
    async with Host().listening() as host, setting.relay(host):
        outcomes = await setting.outcomes(60)
    assert all(isinstance(outcome, MailRelayed) for outcome in outcomes)
    assert len(host.taken) == 60
    assert host.connections <= setting.means.bounds.connections


async def test_a_host_that_takes_one_mail_a_connection_gets_them_all(setting: Setting) -> None:
    await setting.queued(mails=10)
    async with Host(mails_per_connection=1).listening() as host, setting.relay(host):
        outcomes = await setting.outcomes(10)
    assert [type(outcome) for outcome in outcomes] == [MailRelayed] * 10
    assert len(host.taken) == 10


async def test_a_host_that_refuses_a_third_connection_gets_all_mail_over_two(setting: Setting) -> None:
    await setting.queued(mails=30)
    async with Host(connections_max=2).listening() as host, setting.relay(host):
        outcomes = await setting.outcomes(30)
    assert [type(outcome) for outcome in outcomes] == [MailRelayed] * 30


async def test_contents_of_a_set_are_asked_for_at_once(setting: Setting) -> None:
    await setting.queued(mails=5)
    async with Host().listening() as host, setting.relay(host):
        await setting.outcomes(5)
    assert sorted(setting.world.contents.read_ahead_of) == sorted(setting.world.contents.messages)


async def test_leases_are_released_when_the_outcome_is_recorded(setting: Setting) -> None:
    await setting.queued()
    async with Host().listening() as host, setting.relay(host):
        await setting.outcomes(1)
        await setting.queue.released.wait()
    assert setting.queue.held == set()


# --- no, and later ---------------------------------------------------------------------------------------

ANSWERS = [
    # RFC 5321 §4.2.1: 5yz is permanent, 4yz is not. The status is kept, or made from the code.
    ("550 5.1.1 no such user", MailBounced, "5.1.1", "mailbox"),
    ("552 5.2.2 over quota", MailBounced, "5.2.2", "full"),
    ("554 5.7.1 we do not like you", MailBounced, "5.7.1", "policy"),
    ("550 gone", MailBounced, "5.0.0", "mailbox"),
    ("450 4.2.1 later", MailDeferred, "4.2.1", None),
    ("451 later", MailDeferred, "4.0.0", None),
    # A transient code with a permanent status is a transient reply (style.md, smell 9).
    ("450 5.7.1 greylisted", MailDeferred, "4.0.0", None),
]


@pytest.mark.parametrize(("said", "outcome", "status", "reason"), ANSWERS)
@pytest.mark.parametrize("where", ["RCPT TO:<bob@dld.go.th>", "MAIL", "DATA", "dot"])
async def test_what_a_host_says_to_a_mail_decides(
    setting: Setting, where: str, said: str, outcome: type[Attempted], status: str, reason: str | None
) -> None:
    await setting.queued()
    host = Host(dot=[said]) if where == "dot" else Host(says={where: said})
    async with host.listening(), setting.relay(host):
        (concluded,) = await setting.outcomes(1)
    assert type(concluded) is outcome
    assert (concluded.code, concluded.status) == (int(said[:3]), status)
    assert (await setting.said(concluded)).reply_text == said.split(" ", 1)[1].removeprefix(status + " ")
    if isinstance(concluded, MailBounced):
        assert concluded.reason == reason
    assert host.taken == []


@pytest.mark.parametrize(("where", "minutes"), [("RCPT", 1), ("DATA", 10)])
async def test_greylisting_is_told_from_a_rule_by_where_it_is_said(
    setting: Setting, where: str, minutes: int
) -> None:
    await setting.queued()
    async with Host(says={where: "451 4.7.1 come again"}).listening() as host, setting.relay(host):
        (deferred,) = await setting.outcomes(1)
    assert isinstance(deferred, MailDeferred)
    waits = deferred.next_attempt_at - deferred.at
    assert timedelta(minutes=0.8 * minutes) <= waits <= timedelta(minutes=1.2 * minutes)


async def test_each_recipient_has_its_own_fate(setting: Setting) -> None:
    await setting.queued("a@dld.go.th", "b@dld.go.th", "c@dld.go.th", "d@dld.go.th")
    says = {"RCPT TO:<b@dld.go.th>": "550 5.1.1 no", "RCPT TO:<c@dld.go.th>": "452 4.2.2 full"}
    async with Host(says=says).listening() as host, setting.relay(host):
        outcomes = await setting.outcomes(3)
    assert {type(outcome): outcome.recipients for outcome in outcomes} == {
        MailRelayed: (0, 3),
        MailBounced: (1,),
        MailDeferred: (2,),
    }


async def test_a_host_that_refuses_everybody_for_good_is_asked_again_later(setting: Setting) -> None:
    await setting.queued(mails=3)
    async with Host(greeting="554 5.7.1 no mail here").listening() as host, setting.relay(host):
        outcomes = await setting.outcomes(3)
    assert [(type(o), o.code, o.status) for o in outcomes] == [(MailDeferred, 554, "4.7.1")] * 3


async def test_a_host_that_does_not_answer_is_tried_again_with_growing_delays(setting: Setting) -> None:
    await setting.queued()
    setting.queue.hops[DLD] = NextHop("127.0.0.1", 1)
    delays = []
    async with setting.relay():
        for attempt in range(1, 5):
            deferred = (await setting.outcomes(attempt))[-1]
            assert isinstance(deferred, MailDeferred)
            assert (deferred.attempt, deferred.code, deferred.status) == (attempt, 0, "4.4.1")
            delays.append(deferred.next_attempt_at - deferred.at)
            setting.clock.move(delays[-1].total_seconds())
    for attempt, delay in enumerate(delays):
        minutes = 2**attempt
        assert timedelta(minutes=0.8 * minutes) <= delay <= timedelta(minutes=1.2 * minutes)


async def test_a_mail_is_given_up_when_its_time_is_over(setting: Setting) -> None:
    await setting.queued()
    setting.queue.hops[DLD] = NextHop("127.0.0.1", 1)
    setting.clock.move(timedelta(days=5, hours=1).total_seconds())
    async with setting.relay():
        (bounced,) = await setting.outcomes(1)
    assert isinstance(bounced, MailBounced)
    assert (bounced.reason, bounced.status) == ("expired", "5.4.7")


# --- connections that break ------------------------------------------------------------------------------


async def test_a_line_cut_at_the_dot_defers_and_the_next_attempt_delivers(setting: Setting) -> None:
    await setting.queued()
    async with Host(dot=[""]).listening() as host, setting.relay(host):
        (deferred,) = await setting.outcomes(1)
        assert isinstance(deferred, MailDeferred)
        assert (deferred.code, deferred.status) == (0, "4.4.2")
        setting.clock.move(120)
        _, relayed = await setting.outcomes(2)
    assert isinstance(relayed, MailRelayed)
    assert relayed.attempt == 2
    assert len(host.taken) == 1


async def test_a_host_that_falls_silent_at_the_dot_is_left(setting: Setting) -> None:
    await setting.queued()
    setting.means = replace(setting.means, timeouts=Timeouts(conclusion=0.05))
    async with Host(dot=["…"]).listening() as host, setting.relay(host):
        (deferred,) = await setting.outcomes(1)
    assert (type(deferred), deferred.status) == (MailDeferred, "4.4.2")


async def test_a_host_that_hangs_up_in_the_envelope_defers(setting: Setting) -> None:
    await setting.queued()
    async with Host(says={"RCPT": ""}).listening() as host, setting.relay(host):
        (deferred,) = await setting.outcomes(1)
    assert (type(deferred), deferred.code, deferred.status) == (MailDeferred, 0, "4.4.2")


async def test_the_final_dot_is_not_sent_when_the_lease_is_lost(setting: Setting) -> None:
    await setting.queued()
    reading = asyncio.Event()
    contents = setting.world.contents
    open_content = contents.open

    async def slow_open(*args: object, **options: object) -> AsyncIterator[bytes]:
        async for octets in open_content(*args, **options):  # type: ignore[arg-type]
            setting.clock.move(31)
            reading.set()
            yield octets

    contents.open = slow_open  # type: ignore[method-assign]
    async with Host().listening() as host, setting.relay(host):
        (deferred,) = await setting.outcomes(1)
    assert reading.is_set()
    assert (type(deferred), deferred.code, deferred.status) == (MailDeferred, 0, "4.4.2")
    assert host.taken == []


async def test_a_mail_whose_content_cannot_be_read_waits(setting: Setting) -> None:
    await setting.queued()
    setting.world.contents.messages.clear()
    async with Host().listening() as host, setting.relay(host):
        (deferred,) = await setting.outcomes(1)
    assert (type(deferred), deferred.status) == (MailDeferred, "4.3.0")
    assert host.taken == []


async def test_a_mail_whose_key_was_destroyed_ends(setting: Setting) -> None:
    await setting.queued()
    await setting.world.keys.forget("agency.ag_dld")
    async with Host().listening() as host, setting.relay(host):
        (bounced,) = await setting.outcomes(1)
    assert isinstance(bounced, MailBounced)
    assert host.taken == []


# --- the log away ----------------------------------------------------------------------------------------


async def test_what_a_host_said_is_recorded_when_the_log_comes_back(setting: Setting) -> None:
    await setting.queued()
    async with Host().listening() as host, setting.relay(host) as lane:
        append, refused = lane.append, asyncio.Event()

        async def away_once(facts: Sequence[Fact]) -> Position:
            if not refused.is_set():
                refused.set()
                raise Unavailable("log", "no leader")
            return await append(facts)

        lane.append = away_once  # type: ignore[method-assign]
        (relayed,) = await setting.outcomes(1)
    assert refused.is_set()
    assert isinstance(relayed, MailRelayed)
    assert len(host.taken) == 1


async def test_a_host_has_one_mail_a_connection_that_the_log_does_not_know(setting: Setting) -> None:
    """What nobody knows of would be sent twice by a crash: the dot of the next mail waits for the log."""
    mails, connections = 20, setting.means.bounds.connections
    await setting.queued(mails=mails)
    async with Host().listening() as host, setting.relay(host) as lane:
        append, is_back = lane.append, asyncio.Event()

        async def away(facts: Sequence[Fact]) -> Position:
            await is_back.wait()
            return await append(facts)

        lane.append = away  # type: ignore[method-assign]
        await host.has_taken(connections)
        for _ in range(1_000):  # whoever could run on would have by now
            await asyncio.sleep(0)
        assert len(host.taken) == connections
        is_back.set()
        await setting.outcomes(mails)
    assert len(host.taken) == mails


async def test_more_fates_than_one_write_takes_are_all_recorded(setting: Setting) -> None:
    """A host that says something else to each recipient: as many facts as recipients."""
    recipients = [f"r{number}@dld.go.th" for number in range(GROUP_FACTS_MAX + 100)]
    await setting.queued(*recipients)
    says = {f"RCPT TO:<{address}>": f"550 5.1.1 no {address} here" for address in recipients}
    async with Host(says=says).listening() as host, setting.relay(host):
        outcomes = await setting.outcomes(len(recipients))
    assert sorted(number for outcome in outcomes for number in outcome.recipients) == [
        *range(len(recipients))
    ]


async def test_what_a_host_said_is_recorded_by_a_relay_told_to_stop(setting: Setting) -> None:
    await setting.queued()
    appending, go_on = asyncio.Event(), asyncio.Event()
    async with Host().listening() as host:
        async with setting.relay(host) as lane:
            append = lane.append

            async def slow(facts: Sequence[Fact]) -> Position:
                appending.set()
                await go_on.wait()
                return await append(facts)

            lane.append = slow  # type: ignore[method-assign]
            await appending.wait()
            asyncio.get_running_loop().call_soon(go_on.set)
        (relayed,) = await setting.outcomes(1)
    assert isinstance(relayed, MailRelayed)


async def test_a_relay_told_to_stop_gives_back_what_it_has_not_begun(setting: Setting) -> None:
    await setting.queued(mails=5)
    setting.means = replace(setting.means, bounds=Bounds(1))
    async with Host(dot=["…"]).listening() as host, setting.relay(host):
        await host.at_dot.wait()
        assert len(setting.queue.held) == 5
    assert len(setting.queue.held) == 1


# --- where mail goes -------------------------------------------------------------------------------------


async def test_in_the_demo_mail_without_a_route_stays_here(setting: Setting) -> None:
    setting.means = replace(setting.means, demo=True)
    await setting.queued("someone@example.net")
    async with setting.relay():
        (deferred,) = await setting.outcomes(1)
    assert isinstance(deferred, MailDeferred)
    assert (await setting.said(deferred)).reply_text == "demo: mail does not leave this machine"


async def test_in_the_demo_no_host_but_this_one_is_connected_to(setting: Setting) -> None:
    setting.means = replace(setting.means, demo=True)
    await setting.queued()
    setting.queue.hops[DLD] = NextHop("192.0.2.25", 25)
    async with setting.relay():
        (deferred,) = await setting.outcomes(1)
    assert (await setting.said(deferred)).reply_text == "demo: mail does not leave this machine"


async def test_without_a_route_mail_waits_and_then_bounces(setting: Setting) -> None:
    await setting.queued("someone@example.net")
    async with setting.relay():
        (deferred,) = await setting.outcomes(1)
        assert (type(deferred), deferred.status) == (MailDeferred, "4.4.4")
        setting.clock.move(timedelta(days=6).total_seconds())
        _, bounced = await setting.outcomes(2)
    assert isinstance(bounced, MailBounced)
    assert (bounced.reason, bounced.status) == ("route", "5.4.4")


# --- TLS -------------------------------------------------------------------------------------------------


async def test_tls_is_used_when_offered_whatever_the_certificate(
    setting: Setting, self_made: ssl.SSLContext
) -> None:
    await setting.queued(mails=2)
    async with Host(tls=self_made).listening() as host, setting.relay(host):
        relayed, _ = await setting.outcomes(2)
    assert all(taken.was_tls for taken in host.taken)
    assert (await setting.said(relayed)).tls.startswith("TLSv1.")


async def test_a_host_whose_tls_fails_gets_the_mail_in_the_clear(setting: Setting) -> None:
    await setting.queued()
    nothing_to_show = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a certificate no handshake succeeds
    async with Host(tls=nothing_to_show).listening() as host, setting.relay(host):
        (relayed,) = await setting.outcomes(1)
    assert isinstance(relayed, MailRelayed)
    assert [taken.was_tls for taken in host.taken] == [False]


@pytest.fixture
def self_made(tmp_path: Path) -> ssl.SSLContext:
    """A server's context with a certificate nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.dld.go.th")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
