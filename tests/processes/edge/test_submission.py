"""Submission: people sign in inside TLS, speak for themselves alone, and may send anywhere.

Source: RFC 6409, RFC 4954, RFC 8314.
"""

import asyncio
import base64
import smtplib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from gateway.domain.agency import Limits
from gateway.domain.sealing import unseal
from gateway.domain.sessions import SessionEnded, SessionSecret
from gateway.domain.signin import SignInAccepted, SignInRefused, SignInSecret
from gateway.mail.ids import slot_of
from gateway.ports import ServerContext
from gateway.processes.signin.signin import STILL_S
from gateway.processes.signin.throttle import PATIENCE
from projections.directory.query import EffectiveStatus
from tests.processes.doors import HOSTNAME, PASSWORD, SUDA, until
from tests.processes.edge.world import Client, EdgeWorld, away


@pytest.fixture
async def world(tmp_path: Path, tls: ServerContext, cheap_hashes: None) -> AsyncIterator[EdgeWorld]:
    async with EdgeWorld(tmp_path, tls=tls).running() as world:
        await world.give_password(SUDA, PASSWORD)
        yield world


async def inside_tls(world: EdgeWorld, trust: ssl.SSLContext) -> Client:
    """A client of the submissions port, that has said EHLO (RFC 8314 §3.3)."""
    streams = await asyncio.open_connection(
        "127.0.0.1", world.submissions_port, ssl=trust, server_hostname=HOSTNAME
    )
    client = Client(*streams)
    assert (await client.reply()).startswith(b"220 ")
    assert b"AUTH PLAIN LOGIN" in await client.say(b"EHLO client.example\r\n")
    return client


def plain(username: str, password: str, acts_as: str = "") -> bytes:
    return b"AUTH PLAIN " + base64.b64encode(f"{acts_as}\0{username}\0{password}".encode()) + b"\r\n"


def message(author: str = SUDA) -> EmailMessage:
    written = EmailMessage()
    written["From"], written["To"], written["Subject"] = author, "ann@example.org", "ขอเชิญประชุม"
    written.set_content("วันจันทร์\n")
    return written


def submitted(port: int, trust: ssl.SSLContext) -> None:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example") as smtp:
        smtp._host = HOSTNAME  # type: ignore[attr-defined]  # the name the certificate is held against
        smtp.starttls(context=trust)
        smtp.login(SUDA, PASSWORD)
        smtp.send_message(message())


def submitted_implicitly(port: int, trust: ssl.SSLContext) -> None:
    class Named(smtplib.SMTP_SSL):
        def _get_socket(self, host: str, port: int, timeout: float) -> ssl.SSLSocket:
            plain_socket = smtplib.SMTP._get_socket(self, host, port, timeout)  # type: ignore[attr-defined]
            return trust.wrap_socket(plain_socket, server_hostname=HOSTNAME)

    with Named("127.0.0.1", port, local_hostname="client.example", context=trust) as smtp:
        smtp.login(SUDA, PASSWORD)
        smtp.send_message(message())


@pytest.mark.parametrize("send", [submitted, submitted_implicitly])
async def test_smtplib_signs_in_and_sends_anywhere(
    world: EdgeWorld, trust: ssl.SSLContext, send: Callable[[int, ssl.SSLContext], None]
) -> None:
    port = world.submission_port if send is submitted else world.submissions_port
    await asyncio.to_thread(send, port, trust)
    (event,) = await world.accepted()
    assert (event.actor.kind, event.actor.id) == ("account", f"acc_{SUDA}")
    assert event.sender_account_id == f"acc_{SUDA}"
    assert event.agency_id == "ag_opm", "the author's, who signed in"
    assert [recipient.agency_id for recipient in event.recipients] == [None]
    front = (await world.open(event)).secret.front
    assert b"with ESMTPSA" in front
    assert b"\r\nDate: " in front
    assert f"\r\nMessage-ID: <{event.mail_id}@{HOSTNAME}>\r\n".encode() in front
    assert (await world.presented(event)) == front + message().as_bytes(
        policy=message().policy.clone(linesep="\r\n")
    )


async def test_a_sign_in_is_a_fact_and_says_who_from_where(world: EdgeWorld, trust: ssl.SSLContext) -> None:
    async with await inside_tls(world, trust) as client:
        assert (await client.say(plain(SUDA, PASSWORD))).startswith(b"235 2.7.0 ")
        (event,) = await world.events(SignInAccepted)
    assert (event.account_id, event.protocol, event.mechanism) == (f"acc_{SUDA}", "smtp", "PLAIN")
    assert event.sealed_key == "traffic.ag_opm.202611"
    key = await world.keys.get(event.sealed_key)
    secret = unseal(SignInSecret, event.sealed, key, label="signin")
    assert secret == SignInSecret(SUDA, "127.0.0.1", "client.example")
    stored = await world.log.history("access.ag_opm")
    assert [recorded.event for recorded in stored] == [event]
    assert b"suda" not in stored[0].state.replace(f"acc_{SUDA}".encode(), b""), "names are sealed"


async def test_a_thai_password_is_one_however_it_is_typed(world: EdgeWorld, trust: ssl.SSLContext) -> None:
    await world.give_password(SUDA, "น้ำ ใจ")
    async with await inside_tls(world, trust) as client:
        assert (await client.say(plain(SUDA, "น้ำ\u00a0ใจ"))).startswith(b"235 ")


REFUSED = [
    (SUDA, "wrong", "", "password", "access.ag_opm"),
    ("nobody@opm.go.th", PASSWORD, "", "unknown", "access.none"),
    ("not an address", PASSWORD, "", "unknown", "access.none"),
    ("malee@opdc.go.th", PASSWORD, "", "password", "access.ag_opdc"),  # has no password yet
    (SUDA, PASSWORD, "malee@opdc.go.th", "acts-as", "access.ag_opm"),
]


@pytest.mark.parametrize(("username", "password", "acts_as", "reason", "history"), REFUSED)
async def test_a_refusal_is_a_fact_and_says_the_same_to_everybody(
    world: EdgeWorld,
    trust: ssl.SSLContext,
    username: str,
    password: str,
    acts_as: str,
    reason: str,
    history: str,
) -> None:
    async with await inside_tls(world, trust) as client:
        said = await client.say(plain(username, password, acts_as))
        assert said == b"535 5.7.8 User name or password is not valid\r\n"
        assert (await client.say(b"MAIL FROM:<>\r\n")).startswith(b"530 5.7.0 ")
    (event,) = await world.events(SignInRefused)
    assert (event.reason, event.actor.kind) == (reason, "remote")
    assert [recorded.event for recorded in await world.log.history(history)] == [event]


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        ("suspended", b"525 5.7.13 ", "suspended"),
        ("agency-suspended", b"525 5.7.13 ", "suspended"),
        ("trial-ended", b"525 5.7.13 The trial of your agency has ended", "trial-ended"),
        ("closed", b"535 5.7.8 ", "closed"),
    ],
)
async def test_who_is_shut_out_hears_so_after_the_right_password_alone(
    world: EdgeWorld, trust: ssl.SSLContext, status: EffectiveStatus, said: bytes, reason: str
) -> None:
    world.people.status = status
    async with await inside_tls(world, trust) as client:
        assert (await client.say(plain(SUDA, "wrong"))).startswith(b"535 5.7.8 ")
        assert (await client.say(plain(SUDA, PASSWORD))).startswith(said)
        assert (await client.say(b"MAIL FROM:<>\r\n")).startswith(b"530 5.7.0 ")
    assert [event.reason for event in await world.events(SignInRefused)] == ["password", reason]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("suspended", b"421 4.7.0 The account is suspended"),
        ("trial-ended", b"421 4.7.0 The trial of your agency has ended"),
    ],
)
async def test_who_is_shut_out_while_signed_in_sends_no_more(
    world: EdgeWorld, trust: ssl.SSLContext, status: EffectiveStatus, said: bytes
) -> None:
    async with await inside_tls(world, trust) as client:
        assert (await client.say(plain(SUDA, PASSWORD))).startswith(b"235 ")
        assert (await client.say(f"MAIL FROM:<{SUDA}>\r\n".encode())).startswith(b"250 ")
        await client.say(b"RSET\r\n")
        world.people.status = status
        await world.clock.sleep(STILL_S)
        assert (await client.say(f"MAIL FROM:<{SUDA}>\r\n".encode())).startswith(said)
        assert await client.rest() == b""


async def test_guessing_has_to_wait_and_is_counted(world: EdgeWorld, trust: ssl.SSLContext) -> None:
    failures = PATIENCE["person and network"]
    while failures:
        async with await inside_tls(world, trust) as client:
            for _ in range(min(2, failures)):
                assert (await client.say(plain(SUDA, "wrong"))).startswith(b"535 ")
                failures -= 1
    async with await inside_tls(world, trust) as client:
        for _ in range(2):
            assert (await client.say(plain(SUDA, PASSWORD))).startswith(b"454 4.7.0 Too many failed")
        assert len(await world.events(SignInRefused)) == PATIENCE["person and network"]
        await world.clock.sleep(2.0)
        assert (await client.say(plain(SUDA, "wrong"))).startswith(b"535 ")
        await world.clock.sleep(4.0)
        assert (await client.say(plain(SUDA, PASSWORD))).startswith(b"235 ")
    assert [event.unrecorded for event in await world.events(SignInRefused)][-2:] == [0, 2]


async def test_nobody_signs_in_while_the_rows_or_the_log_are_away(
    world: EdgeWorld, trust: ssl.SSLContext
) -> None:
    async with await inside_tls(world, trust) as client:
        world.people.fault = away()
        assert (await client.say(plain(SUDA, PASSWORD))).startswith(b"454 4.7.0 ")
        world.people.fault = None
        world.gate.error = away()
        assert (await client.say(plain(SUDA, PASSWORD))).startswith(b"454 4.7.0 ")
        world.gate.error = None
        assert (await client.say(plain(SUDA, PASSWORD))).startswith(b"235 ")


async def test_an_author_speaks_for_itself_alone(world: EdgeWorld, trust: ssl.SSLContext) -> None:
    async with await inside_tls(world, trust) as client:
        assert (await client.say(plain(SUDA, PASSWORD))).startswith(b"235 ")
        refused = await client.say(b"MAIL FROM:<malee@opdc.go.th>\r\n")
        assert refused.startswith(b"550 5.7.1 ")
        for author, code in ((b"malee@opdc.go.th", b"550 5.7.1 "), (b"Suda@OPM.go.th", b"250 2.0.0 ")):
            await client.transaction("somchai@opm.go.th", mail=f"MAIL FROM:<{SUDA}>")
            assert (await client.message(b"From: " + author + b"\r\n\r\nHello\r\n")).startswith(code)
        await client.transaction("somchai@opm.go.th", mail="MAIL FROM:<>")  # RFC 6409 §5.2: a notification
        assert (await client.message(b"From: suda@opm.go.th\r\n\r\nRead.\r\n")).startswith(b"250 2.0.0 ")
    assert len(await world.accepted()) == 2


async def test_a_recipient_nobody_has_here_is_refused_to_people_too(
    world: EdgeWorld, trust: ssl.SSLContext
) -> None:
    async with await inside_tls(world, trust) as client:
        await client.say(plain(SUDA, PASSWORD))
        await client.say(f"MAIL FROM:<{SUDA}>\r\n".encode())
        assert (await client.say(b"RCPT TO:<nobody@opm.go.th>\r\n")).startswith(b"550 5.1.1 ")
        assert (await client.say(b"RCPT TO:<ann@example.org>\r\n")).startswith(b"250 2.1.5 ")


async def test_without_a_way_out_people_are_told_so_at_once(
    tmp_path: Path, tls: ServerContext, trust: ssl.SSLContext
) -> None:
    async with EdgeWorld(tmp_path, tls=tls, people_send_out=False).running() as world:
        await world.give_password(SUDA, PASSWORD)
        async with await inside_tls(world, trust) as client:
            await client.say(plain(SUDA, PASSWORD))
            await client.say(f"MAIL FROM:<{SUDA}>\r\n".encode())
            assert (await client.say(b"RCPT TO:<ann@example.org>\r\n")).startswith(b"550 5.4.4 ")
            assert (await client.say(b"RCPT TO:<bob@dld.go.th>\r\n")).startswith(b"250 2.1.5 ")


async def test_other_hosts_are_offered_no_sign_in_and_do_not_relay(world: EdgeWorld) -> None:
    async with await world.client() as client:
        assert b"AUTH" not in await client.say(b"EHLO client.example\r\n")
        await client.say(b"MAIL FROM:<ann@example.org>\r\n")
        assert (await client.say(b"RCPT TO:<bob@example.net>\r\n")).startswith(b"550 5.7.1 ")


async def test_submission_wants_tls_before_a_password(world: EdgeWorld) -> None:
    async with await world.connect(world.submission_port) as client:
        await client.reply()
        assert b"AUTH" not in await client.say(b"EHLO client.example\r\n")
        assert (await client.say(plain(SUDA, PASSWORD))).startswith(b"530 5.7.0 Start TLS")
        assert (await client.say(b"MAIL FROM:<>\r\n")).startswith(b"530 5.7.0 Start TLS")
    assert await world.events(SignInAccepted, SignInRefused) == []


async def test_a_port_of_implicit_tls_takes_nothing_in_the_clear(
    world: EdgeWorld, trust: ssl.SSLContext
) -> None:
    async with await world.connect(world.submissions_port) as client:
        client.writer.write(b"EHLO client.example\r\n")
        assert b"220" not in await client.rest()
    async with await inside_tls(world, trust) as client:
        assert (await client.say(b"NOOP\r\n")).startswith(b"250 ")


async def test_one_connection_too_many_is_refused_on_a_port_of_implicit_tls_too(
    world: EdgeWorld, trust: ssl.SSLContext
) -> None:
    world.edge.listening._house = replace(world.edge.listening._house, connections_max=1)
    async with await inside_tls(world, trust), await world.connect(world.submissions_port) as second:
        assert await second.rest() == b""  # whoever waits for a handshake understands no 421
    async with await world.client() as elsewhere:
        assert (await elsewhere.say(b"NOOP\r\n")).startswith(b"250 ")


async def test_a_stop_does_not_wait_for_a_handshake(tmp_path: Path, tls: ServerContext) -> None:
    world = EdgeWorld(tmp_path, tls=tls)
    async with world.serving() as serving, await world.connect(world.submissions_port) as client:
        await until(lambda: len(world.edge.listening._guests) == 1)
        serving.cancel()
        assert await client.rest() == b""
        await asyncio.wait([serving])
        assert not world.edge.listening._guests


async def test_who_signed_in_sends_by_the_limits_of_their_own_agency(
    world: EdgeWorld, trust: ssl.SSLContext
) -> None:
    world.rows.limits = {
        "ag_opm": Limits(recipients_max=1, message_octets_max=5_000),
        "ag_opdc": Limits(message_octets_max=10),
    }
    async with await inside_tls(world, trust) as client:
        assert (await client.say(plain(SUDA, PASSWORD))).startswith(b"235")
        large = f"MAIL FROM:<{SUDA}> SIZE=5001\r\n".encode()
        assert (await client.say(large)).startswith(b"552 5.3.4 ")
        assert (await client.say(f"MAIL FROM:<{SUDA}> SIZE=5000\r\n".encode())).startswith(b"250 ")
        assert (await client.say(b"RCPT TO:<malee@opdc.go.th>\r\n")).startswith(b"250 ")
        assert (await client.say(b"RCPT TO:<ann@example.org>\r\n")).startswith(b"452 4.5.3 ")


async def test_a_session_tells_who_signed_in_and_over_which_tls(
    tmp_path: Path, tls: ServerContext, trust: ssl.SSLContext
) -> None:
    async with EdgeWorld(tmp_path, tls=tls, records_sessions=True).running() as world:
        await world.give_password(SUDA, PASSWORD)
        async with await inside_tls(world, trust) as client:
            await client.say(plain(SUDA, PASSWORD))
            await client.transaction("ann@example.org", mail=f"MAIL FROM:<{SUDA}>")
            assert (await client.message(bytes(message()).replace(b"\n", b"\r\n"))).startswith(b"250 ")
            await client.say(b"QUIT\r\n")
        while not (found := await world.events(SessionEnded)):  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        (event,) = found
        (mail,) = await world.accepted()
        envelope = await world.envelope(mail)
        sealed = unseal(SessionSecret, event.sealed, await world.keys.get(event.sealed_key), label="session")
    assert (event.listener, event.account_id, event.mechanism) == ("submissions", f"acc_{SUDA}", "PLAIN")
    assert sealed.tls.startswith("TLSv1.3 TLS_")
    assert (envelope.tls, envelope.identity, envelope.mechanism) == (sealed.tls, SUDA, "PLAIN")


async def test_a_handshake_that_fails_is_a_session_too(tmp_path: Path, tls: ServerContext) -> None:
    async with EdgeWorld(tmp_path, tls=tls, records_sessions=True).running() as world:
        async with await world.connect(world.submissions_port) as client:
            client.writer.write(b"EHLO client.example\r\n")
            await client.rest()
        while not (found := await world.events(SessionEnded)):  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    assert [(event.ended, event.listener) for event in found] == [("tls", "submissions")]


async def test_who_signed_in_may_say_how_urgent_the_message_is(
    world: EdgeWorld, trust: ssl.SSLContext
) -> None:
    """RFC 6758 §4; what MAIL says counts first (RFC 6710)."""
    written = f"X-Saraban-Urgency: ด่วนที่สุด\r\nFrom: {SUDA}\r\n\r\nHello.\r\n".encode()
    async with await inside_tls(world, trust) as client:
        await client.say(plain(SUDA, PASSWORD))
        for parameter in ("", " MT-PRIORITY=3", " MT-PRIORITY=0"):
            await client.transaction("ann@example.org", mail=f"MAIL FROM:<{SUDA}>{parameter}")
            assert (await client.message(written)).startswith(b"250 ")
    assert [accepted.priority for accepted in await world.accepted()] == [6, 3, 0]


async def test_a_mail_that_must_stay_inside_tls_is_marked(world: EdgeWorld, trust: ssl.SSLContext) -> None:
    """RFC 8689 §3."""
    async with await inside_tls(world, trust) as client:
        await client.say(plain(SUDA, PASSWORD))
        await client.transaction("ann@example.org", mail=f"MAIL FROM:<{SUDA}> REQUIRETLS")
        await client.message(f"From: {SUDA}\r\n\r\nHello.\r\n".encode())
    (accepted,) = await world.accepted()
    assert accepted.requiretls


async def test_a_person_may_have_a_mail_held(world: EdgeWorld, trust: ssl.SSLContext) -> None:
    """RFC 4865; other hosts may not."""
    async with await inside_tls(world, trust) as client:
        assert b"250-FUTURERELEASE 2592000 2026-12-23T04:" in await client.say(b"EHLO client.example\r\n")
        await client.say(plain(SUDA, PASSWORD))
        for hold in (
            "HOLDFOR=3600 BY=600;R",
            "HOLDUNTIL=2026-11-24T00:00:00Z",
            "HOLDUNTIL=2026-11-01T00:00:00Z",
        ):
            await client.transaction("ann@example.org", mail=f"MAIL FROM:<{SUDA}> {hold}")
            await client.message(f"From: {SUDA}\r\n\r\nHello.\r\n".encode())
    first, second, third = await world.accepted()
    assert first.hold_until == first.at + timedelta(hours=1)
    assert first.deliver_by == first.hold_until + timedelta(minutes=10)
    assert second.hold_until == datetime(2026, 11, 24, tzinfo=UTC)
    assert second.keys[0].key == "transit.ag_opm.20261124", "the key of the day on which it is decided on"
    assert third.hold_until is None, "its time has come already"
    slot = [recorded.event for recorded in await world.log.history("mail." + slot_of(first.mail_id))]
    told = [event for event in slot if getattr(event, "mail_id", "") == first.mail_id]  # others may share it
    assert [event.TOPIC for event in told] == ["mail.accepted/1", "mail.held/1"]
    async with await world.client() as client:
        assert b"FUTURERELEASE" not in await client.say(b"EHLO client.example\r\n")
