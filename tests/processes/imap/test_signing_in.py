"""A client comes in by IMAP, or does not, and each session leaves a fact.

Source: RFC 9051 §6.1, §6.2, §11.1, §11.2; RFC 4959 (SASL-IR), RFC 5530 (codes), RFC 2971 (ID).
"""

import asyncio
import base64
import imaplib
import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.domain.signin import SignInAccepted, SignInRefused
from gateway.ports import ServerContext, Unavailable
from gateway.protocols.sasl.mechanisms import EVERY
from tests.processes.imap.world import ImapWorld

FULL = "listener_connections_max"
SUDA, PASSWORD = "suda@opm.go.th", "correct horse battery"
RIGHT = base64.b64encode(f"\0{SUDA}\0{PASSWORD}".encode())
WRONG = base64.b64encode(f"\0{SUDA}\0wrong".encode())


@pytest.fixture(autouse=True)
async def password(world: ImapWorld) -> None:
    await world.give_password(SUDA, PASSWORD)


async def test_in_the_clear_nobody_is_asked_for_a_password(world: ImapWorld) -> None:
    async with await world.connect() as client:
        greeting = await client.line()
        assert b" STARTTLS LOGINDISABLED" in greeting
        assert b"AUTH=" not in greeting
        for command in (b"a LOGIN %s x" % SUDA.encode(), b"a AUTHENTICATE PLAIN " + RIGHT):
            (said,) = await client.say(command)
            assert said.startswith(b"a NO [PRIVACYREQUIRED] ")
    assert await world.events(SignInAccepted, SignInRefused) == []


async def test_inside_tls_every_mechanism_of_the_edge_is_offered(
    world: ImapWorld, trust: ssl.SSLContext
) -> None:
    async with await world.client() as client:
        await client.start_tls(trust)
        offered, _ = await client.say(b"a CAPABILITY")
        for name in EVERY:
            assert f" AUTH={name}".encode() in offered
        assert b"STARTTLS" not in offered
        assert b"LOGINDISABLED" not in offered
        assert (await client.say(b"b AUTHENTICATE PLAIN " + RIGHT))[-1].startswith(b"b OK [CAPABILITY ")
    (event,) = await world.events(SignInAccepted)
    assert (event.protocol, event.mechanism) == ("imap", "PLAIN")


async def test_authenticate_without_an_initial_response_asks_for_it(
    world: ImapWorld, trust: ssl.SSLContext
) -> None:
    async with await world.client(trust) as client:
        assert await client.say(b"a AUTHENTICATE PLAIN") == [b"+ \r\n"]
        client.writer.write(RIGHT + b"\r\n")
        assert (await client.line()).startswith(b"a OK ")


async def test_an_exchange_may_be_cancelled(world: ImapWorld, trust: ssl.SSLContext) -> None:
    async with await world.client(trust) as client:
        await client.say(b"a AUTHENTICATE PLAIN")
        client.writer.write(b"*\r\n")
        assert (await client.line()).startswith(b"a BAD ")
        assert (await client.say(b"b AUTHENTICATE PLAIN ====="))[0].startswith(b"b BAD ")
        assert (await client.say(b"c AUTHENTICATE KERBEROS_V4"))[0].startswith(b"c NO [CANNOT] ")
        assert (await client.say(b"d AUTHENTICATE PLAIN " + RIGHT))[0].startswith(b"d OK ")


async def test_login_takes_literals_and_quoted_strings(world: ImapWorld, trust: ssl.SSLContext) -> None:
    for sent in (
        b'a LOGIN "%s" "%s"' % (SUDA.encode(), PASSWORD.encode()),
        b"a LOGIN {%d+}\r\n%s {%d+}\r\n%s" % (len(SUDA), SUDA.encode(), len(PASSWORD), PASSWORD.encode()),
    ):
        async with await world.client(trust) as client:
            assert (await client.say(sent))[0].startswith(b"a OK [CAPABILITY ")
            assert (await client.say(b"b LOGIN a b"))[0].startswith(b"b BAD ")


async def test_a_wrong_password_and_an_unknown_name_get_one_answer_and_the_third_ends_it(
    world: ImapWorld, trust: ssl.SSLContext
) -> None:
    async with await world.client(trust) as client:
        (wrong,) = await client.say(b"a AUTHENTICATE PLAIN " + WRONG)
        (unknown,) = await client.say(b"a LOGIN nobody@opm.go.th x")
        assert wrong == unknown
        assert wrong.startswith(b"a NO [AUTHENTICATIONFAILED] ")
        client.writer.write(b"a LOGIN nobody@opm.go.th x\r\n")
        assert b"* BYE Too many failed sign-ins\r\n" in await client.rest()
    (event,) = await world.ended()
    assert (event.listener, event.ended, event.limit) == ("imaps", "limit", "failed_sign_ins_max")
    assert [refused.reason for refused in await world.events(SignInRefused)] == [
        "password",
        "unknown",
        "unknown",
    ]


async def test_who_is_shut_out_is_told_so_after_the_right_password(
    world: ImapWorld, trust: ssl.SSLContext
) -> None:
    world.people.status = "suspended"
    async with await world.client(trust) as client:
        assert (await client.say(b"a AUTHENTICATE PLAIN " + WRONG))[0].startswith(b"a NO [AUTHENTICATIONF")
        assert (await client.say(b"b AUTHENTICATE PLAIN " + RIGHT))[0].startswith(b"b NO [CONTACTADMIN] ")


async def test_what_nobody_can_check_now_is_put_off(world: ImapWorld, trust: ssl.SSLContext) -> None:
    async with await world.client(trust) as client:
        world.people.fault = Unavailable("postgres", "it is away")
        assert (await client.say(b"a AUTHENTICATE PLAIN " + RIGHT))[0].startswith(b"a NO [UNAVAILABLE] ")
        world.people.fault = None
        assert (await client.say(b"b AUTHENTICATE PLAIN " + RIGHT))[0].startswith(b"b OK ")


async def test_a_session_is_a_fact_with_the_clients_own_name(world: ImapWorld, trust: ssl.SSLContext) -> None:
    async with await world.client(trust) as client:
        assert (await client.say(b'a ID ("name" "Thunderbird" "version" "140.0")'))[0].startswith(b"* ID (")
        await client.say(b"b AUTHENTICATE PLAIN " + RIGHT)
        assert (await client.say(b"c NOOP"))[0].startswith(b"c OK ")
        assert await client.say(b"d LOGOUT") == [b"* BYE Logging out\r\n", b"d OK Good-bye\r\n"]
        assert await client.rest() == b""
    (event,) = await world.ended()
    assert (event.listener, event.ended, event.mechanism) == ("imaps", "quit", "PLAIN")
    assert event.account_id == f"acc_{SUDA}"


async def test_commands_sent_ahead_of_tls_end_the_connection(world: ImapWorld) -> None:
    """RFC 9051 §11.1: they would count as said inside."""
    async with await world.client() as client:
        client.writer.write(b"a STARTTLS\r\nb LOGIN x y\r\n")
        assert await client.rest() == b""
    (event,) = await world.ended()
    assert event.ended == "protocol"


async def test_a_client_that_talks_nonsense_is_sent_away(world: ImapWorld) -> None:
    async with await world.client() as client:
        client.writer.write(b"GET / HTTP/1.1\r\n" * 25)
        assert (await client.rest()).endswith(b"* BYE Too many bad commands\r\n")
    (event,) = await world.ended()
    assert event.limit == "bad_commands_max"


async def test_a_client_whose_lines_are_none_is_sent_away(world: ImapWorld) -> None:
    """What is refused as no command at all is counted too, and never piles up unread."""
    async with await world.client() as client:
        client.writer.write(b"a\n" * 1_000)
        said = await client.rest()
    assert said.count(b" BAD ") <= 22
    (event,) = await world.ended()
    assert event.ended == "protocol"


async def test_an_endless_line_ends_the_connection(world: ImapWorld) -> None:
    async with await world.client() as client:
        client.writer.write(b"a LOGIN " + b"x" * 100_000)
        assert (await client.rest()).startswith(b"* BYE ")
    (event,) = await world.ended()
    assert event.ended == "protocol"


# --- limits ---------------------------------------------------------------------------------------------


async def test_a_banned_network_is_sent_away(world: ImapWorld, trust: ssl.SSLContext) -> None:
    world.kept_bans.impose(world.clock.now() + timedelta(hours=1), "127.0.0.0/8")
    world.kept_bans.change += 1
    await world.bans.look()
    async with await world.connect() as client:
        assert (await client.rest()).startswith(b"* BYE [UNAVAILABLE] Your network is banned")
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await world.connect(trust)
    assert {(event.listener, event.limit) for event in await world.ended(2)} == {
        ("imap", "ban"),
        ("imaps", "ban"),
    }


@pytest.mark.parametrize("limits", [{"network_connections_max": 1}, {"connections_max": 1}], ids=str)
async def test_one_connection_too_many_is_sent_away(
    tmp_path: Path, tls: ServerContext, limits: dict[str, int]
) -> None:
    async with ImapWorld(tmp_path, tls, **limits).running() as world:
        async with await world.client(), await world.connect() as second:
            assert (await second.rest()).startswith(b"* BYE [UNAVAILABLE] Too many connections")
        met = {event.limit for event in await world.ended(2)}
        async with await world.client():
            pass
    assert met == {"", "network_connections_max" if "network_connections_max" in limits else FULL}


async def test_an_account_has_so_many_sessions_at_once(
    tmp_path: Path, tls: ServerContext, trust: ssl.SSLContext, cheap_hashes: None
) -> None:
    async with ImapWorld(tmp_path, tls, account_sessions_max=1).running() as world:
        await world.give_password(SUDA, PASSWORD)
        async with await world.client(trust) as first:
            assert (await first.say(b"a AUTHENTICATE PLAIN " + RIGHT))[0].startswith(b"a OK ")
            async with await world.client(trust) as second:
                second.writer.write(b"a AUTHENTICATE PLAIN " + RIGHT + b"\r\n")
                no, bye = (await second.rest()).splitlines()
                assert no.startswith(b"a NO [UNAVAILABLE] Too many sessions")
                assert bye.startswith(b"* BYE ")
        await world.ended(2)
        async with await world.client(trust) as third:
            assert (await third.say(b"a AUTHENTICATE PLAIN " + RIGHT))[0].startswith(b"a OK ")


async def test_a_silent_client_is_logged_out(
    tmp_path: Path, tls: ServerContext, trust: ssl.SSLContext, cheap_hashes: None
) -> None:
    async with ImapWorld(tmp_path, tls, idle_timeout_s=0.01).running() as world:
        await world.give_password(SUDA, PASSWORD)
        async with await world.client(trust) as client:
            await client.say(b"a AUTHENTICATE PLAIN " + RIGHT)
            assert (await client.rest()).startswith(b"* BYE Autologout")
        (event,) = await world.ended()
        assert event.ended == "timeout"


async def test_a_stop_says_good_bye(tmp_path: Path, tls: ServerContext, trust: ssl.SSLContext) -> None:
    world = ImapWorld(tmp_path, tls)
    async with (
        world.serving() as serving,
        await world.client() as first,
        await world.client(trust) as second,
    ):
        serving.cancel()
        for client in (first, second):
            assert (await client.rest()).startswith(b"* BYE [UNAVAILABLE] Shutting down")
        await asyncio.wait([serving])
    assert [event.ended for event in await world.ended(2)] == ["stopped", "stopped"]


# --- real clients -----------------------------------------------------------------------------------------


async def test_imaplib_comes_in_by_both_ports(world: ImapWorld, trust: ssl.SSLContext) -> None:
    trust.check_hostname = False  # it is asked for by its address

    def come_in() -> list[str]:
        said = []
        with imaplib.IMAP4("127.0.0.1", world.port) as client:
            client.starttls(trust)
            said.append(client.login(SUDA, PASSWORD)[0])
        with imaplib.IMAP4_SSL("127.0.0.1", world.tls_port, ssl_context=trust) as client:
            said.append(client.authenticate("PLAIN", lambda challenge: f"\0{SUDA}\0{PASSWORD}".encode())[0])
            said.append(client.noop()[0])
        return said

    assert await asyncio.to_thread(come_in) == ["OK", "OK", "OK"]
    assert {event.ended for event in await world.ended(2)} == {"quit"}
