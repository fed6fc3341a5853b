"""What is not said yes to leaves nothing, and each no says whose turn it is (RFC 5321 §4.2.1)."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
import structlog

from gateway.ports import Deposed, Full, Unavailable
from gateway.processes import maillog
from tests.processes.doors import until
from tests.processes.edge.world import MESSAGE, EdgeWorld, WatchedSpool, away, stuffed

RECIPIENTS = [
    ("nobody@opm.go.th", b"550 5.1.1 "),
    ("ann@example.org", b"550 5.7.1 "),
    ("suda@opm.go.th.example", b"550 5.7.1 "),
    ("SUDA@OPM.GO.TH", b"250 2.1.5 "),
    ("anybody@dld.go.th", b"250 2.1.5 "),
]


@pytest.mark.parametrize(("address", "answer"), RECIPIENTS)
async def test_rcpt_says_whether_a_mail_may_go_there(world: EdgeWorld, address: str, answer: bytes) -> None:
    async with await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        await client.say(b"MAIL FROM:<ann@example.org>\r\n")
        assert (await client.say(f"RCPT TO:<{address}>\r\n".encode())).startswith(answer)


async def test_rows_that_are_away_make_rcpt_wait_and_are_asked_again(world: EdgeWorld) -> None:
    world.rows.fault = away()
    async with await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        await client.say(b"MAIL FROM:<ann@example.org>\r\n")
        assert (await client.say(b"RCPT TO:<suda@opm.go.th>\r\n")).startswith(b"451 4.3.0 ")
        world.rows.fault = None
        assert (await client.say(b"RCPT TO:<suda@opm.go.th>\r\n")).startswith(b"250 2.1.5 ")


async def test_an_answer_about_a_recipient_holds_for_a_second(world: EdgeWorld) -> None:
    for _ in range(3):
        await world.send()
    assert world.rows.asked == 1
    world.clock.move(1.0)
    await world.send()
    assert world.rows.asked == 2


FAULTS = [
    (Full("nats", "maximum bytes exceeded"), b"452 4.3.1 "),
    (Unavailable("nats", "no answer in time"), b"451 4.3.0 "),
]


@pytest.mark.parametrize(("fault", "answer"), FAULTS)
@pytest.mark.parametrize("service", ["write_ahead", "log"])
async def test_a_service_without_an_answer_is_a_no_for_now(
    world: EdgeWorld, service: str, fault: Exception, answer: bytes
) -> None:
    """Nothing is half accepted; the same connection brings the mail when the service is back."""
    async with await world.client() as client:
        await client.envelope("suda@opm.go.th")
        getattr(world, service).fault = fault
        assert (await client.message(MESSAGE)).startswith(answer)
        getattr(world, service).fault = None
        assert await world.accepted() == []
        await client.transaction("suda@opm.go.th")
        assert (await client.message(MESSAGE)).startswith(b"250 2.0.0 ")
    assert len(await world.accepted()) == 1


@pytest.mark.parametrize(("fault", "answer"), FAULTS)
async def test_an_object_store_without_an_answer_is_a_no_for_now(
    world: EdgeWorld, fault: Exception, answer: bytes
) -> None:
    world.objects.fault = fault
    attached = b"Content-Type: application/pdf\r\n\r\n" + b"%PDF\r\n" * 20_000
    assert (await world.send(attached)).startswith(answer)
    world.objects.fault = None
    assert await world.accepted() == []
    assert world.write_ahead.contents == {}
    assert (await world.send()).startswith(b"250 ")


async def test_a_mistake_of_ours_is_421_and_never_250(world: EdgeWorld) -> None:
    world.gate.error = AssertionError("a planted mistake")
    async with await world.client() as client:
        await client.envelope("suda@opm.go.th")
        said = await client.message(MESSAGE)
        assert said.startswith(b"421 4.3.0 ")
        assert await client.rest() == b""
    assert await world.accepted() == []
    world.gate.error = None
    assert (await world.send()).startswith(b"250 ")  # others are served


@pytest.mark.parametrize("error", [TimeoutError("planted"), ConnectionResetError("planted")])
async def test_an_error_that_looks_like_the_clients_is_ours_all_the_same(
    world: EdgeWorld, error: Exception
) -> None:
    world.gate.error = error
    async with await world.client() as client:
        await client.envelope("suda@opm.go.th")
        assert (await client.message(MESSAGE)).startswith(b"421 4.3.0 ")


async def test_an_edge_that_lost_its_lane_answers_nobody_and_ends(tmp_path: Path) -> None:
    world = EdgeWorld(tmp_path)
    async with world.serving() as serving, await world.client() as client:
        await client.envelope("suda@opm.go.th")
        async with world.lane():
            client.writer.write(stuffed(MESSAGE))
            assert await client.rest() == b""
        with pytest.raises(Deposed):
            await serving
    assert await world.accepted() == []


LARGE_HEADER = b"".join(b"X-Field-%d: %s\r\n" % (n, b"x" * 900) for n in range(160)) + b"\r\nHello.\r\n"
CLAIM = b"Authentication-Results: mail.saraban.example; spf=pass\r\n"
ROUND = b"Received: by mail.saraban.example\r\n" * 101 + b"\r\nHello.\r\n"
FORGED = b"".join(CLAIM + b"X-%d: x\r\n" % n for n in range(101)) + b"\r\nHello.\r\n"


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (LARGE_HEADER, b"552 5.3.4 "),
        (FORGED, b"554 5.6.0 "),
        (ROUND, b"554 5.4.6 "),
        (FORGED.replace(b"Authentication-", b"X-", 2), b"250 2.0.0 "),  # 99 and our own words
        (b"\r\n" + b"x" * 999_996 + b"\r\n", b"250 2.0.0 "),
        (b"\r\n" + b"x" * 999_997 + b"\r\n", b"552 5.3.4 "),
        (b"y\r\n" * 1_000_000, b"552 5.3.4 "),
    ],
    ids=["header", "forged", "round", "forged-less", "at-the-limit", "over-the-limit", "far-over"],
)
async def test_a_message_beyond_a_limit_is_refused_and_the_session_goes_on(
    world: EdgeWorld, message: bytes, answer: bytes
) -> None:
    """It is read to its end: nothing of it is taken for commands."""
    async with await world.client() as client:
        await client.envelope("suda@opm.go.th")
        assert (await client.message(message)).startswith(answer)
        assert (await client.say(b"NOOP\r\n")).startswith(b"250 ")
    assert len(await world.accepted()) == answer.startswith(b"250")
    assert len(world.write_ahead.contents) == answer.startswith(b"250")


async def test_size_beyond_the_limit_is_refused_at_mail(world: EdgeWorld) -> None:
    async with await world.client() as client:
        assert b"SIZE 1000000" in await client.say(b"EHLO client.example\r\n")
        assert (await client.say(b"MAIL FROM:<a@example.org> SIZE=1000001\r\n")).startswith(b"552 5.3.4 ")


class FullSpool(WatchedSpool):
    """A disk that has room for 100 octets."""

    fault: type[Unavailable] = Full

    def write(self, octets: bytes) -> None:
        if self.octets + len(octets) > 100:
            raise self.fault("spool", "a planted fault")
        super().write(octets)


@pytest.mark.parametrize(("fault", "answer"), [(Full, b"452 4.3.1 "), (Unavailable, b"451 4.3.0 ")])
async def test_a_disk_without_room_refuses_the_message_at_its_end(
    tmp_path: Path, fault: type[Unavailable], answer: bytes
) -> None:
    spool = type("Spool", (FullSpool,), {"fault": fault})
    async with EdgeWorld(tmp_path, new_spool=spool).running() as world, await world.client() as client:
        await client.envelope("suda@opm.go.th")
        assert (await client.message(b"x" * 70 + b"\r\n" + b"QUIT\r\n" * 50_000)).startswith(answer)
        await client.transaction("suda@opm.go.th")
        assert (await client.message(b"\r\nsmall\r\n")).startswith(b"250 2.0.0 ")
        assert len(await world.accepted()) == 1


@pytest.mark.parametrize("message", [b"a\nb\r\n.\r\n", b"a\rb\r\n.\r\n", b"a\n.\r\nMAIL FROM:<>\r\n"])
async def test_a_bare_line_break_in_a_message_ends_the_session(world: EdgeWorld, message: bytes) -> None:
    """SMTP smuggling: what follows is neither message nor command (RFC 5321 §2.3.8)."""
    async with await world.client() as client:
        await client.envelope("suda@opm.go.th")
        client.writer.write(message)
        assert (await client.rest()).startswith(b"550 5.6.0 ")
    assert await world.accepted() == []


async def test_a_client_that_vanishes_in_the_middle_of_a_message_leaves_nothing(world: EdgeWorld) -> None:
    client = await world.client()
    await client.envelope("suda@opm.go.th")
    client.writer.write(b"Subject: half\r\n" + b"x" * 700_000)
    await until(lambda: bool(world.spools and world.spools[0].octets > 600_000))
    client.vanish()
    await until(lambda: not world.edge.listening._guests)
    assert await world.accepted() == []
    assert world.write_ahead.contents == {}
    assert world.has_forgotten_spools


@pytest.mark.parametrize("is_half", [False, True])
async def test_a_silent_client_is_told_421_after_the_time_out(tmp_path: Path, is_half: bool) -> None:
    async with EdgeWorld(tmp_path, idle_timeout_s=0.2).running() as world, await world.client() as client:
        if is_half:
            await client.envelope("suda@opm.go.th")
            client.writer.write(b"Subject: half\r\n")
            await until(lambda: bool(world.spools and world.spools[0].octets))
        world.clock.move(0.2)
        assert (await client.reply()).startswith(b"421 4.4.2 ")
        assert await client.rest() == b""
        await until(lambda: not world.edge.listening._guests)
        assert await world.accepted() == []


async def test_a_mail_in_hand_is_no_silence(tmp_path: Path) -> None:
    async with EdgeWorld(tmp_path, idle_timeout_s=0.2).running() as world, await world.client() as client:
        world.gate.open.clear()
        await client.envelope("suda@opm.go.th")
        client.writer.write(stuffed(MESSAGE))
        await world.gate.reached.wait()
        world.clock.move(1_000.0)
        world.gate.open.set()
        assert (await client.reply()).startswith(b"250 2.0.0 ")


async def test_a_client_that_never_reads_is_not_read_either(world: EdgeWorld) -> None:
    """What it sends ahead waits in its own buffers, and what we hold for it stays small."""
    async with await world.client() as client:
        (connection,) = world.edge.listening._guests
        await client.flood(lambda: connection._is_unread)
        transport = connection._transport
        assert transport is not None
        assert not transport.is_reading()
        assert transport.get_write_buffer_size() < 4_000_000
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        client.writer.write(b"QUIT\r\n")
        assert (await client.rest()).endswith(b"221 2.0.0 Goodbye\r\n")


async def test_a_client_that_never_reads_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.processes.edge.connection.FAREWELL_S", 0.01)
    async with EdgeWorld(tmp_path, idle_timeout_s=0.2).running() as world:
        client = await world.client()
        (connection,) = world.edge.listening._guests
        await client.flood(lambda: connection._is_unread)
        world.clock.move(0.2)
        await until(lambda: not world.edge.listening._guests)
        client.vanish()


async def test_one_connection_too_many_is_told_421(tmp_path: Path) -> None:
    async with EdgeWorld(tmp_path, connections_max=2).running() as world:
        async with await world.client(), await world.client(), await world.connect() as third:
            assert await third.rest() == b"421 4.7.0 Too many connections, try again later\r\n"
        await until(lambda: not world.edge.listening._guests)
        assert (await world.send()).startswith(b"250 ")


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Log as a role does; the fixture gives what was logged so far."""
    output = io.BytesIO()
    writer = io.TextIOWrapper(output)  # closes `output` when nobody holds it any more
    monkeypatch.setattr(maillog, "_log", structlog.get_logger())
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", writer)
        maillog.configure("edge", "debug")
        yield lambda: output.getvalue().decode()
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


async def test_nothing_of_a_mail_stands_in_the_log_lines(
    log_lines: Callable[[], str], world: EdgeWorld
) -> None:
    await world.send(b"Subject: MARKER\r\nFrom: ann@example.org\r\n\r\nMARKER\r\n")
    async with await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        await client.say(b"MAIL FROM:<ann@example.org>\r\n")
        await client.say(b"RCPT TO:<nobody@opm.go.th>\r\n")
        await client.say(b"MARKER\r\n")
        world.rows.fault = away()
        await client.say(b"RCPT TO:<somchai@opm.go.th>\r\n")
        world.rows.fault = None
        await client.say(b"RSET\r\n")
        await client.transaction("suda@opm.go.th")
        world.gate.error = AssertionError("a planted mistake")
        await client.message(b"Subject: MARKER\r\n\r\nMARKER\r\n")
    await until(lambda: not world.edge.listening._guests)
    lines = log_lines()
    found = {orjson.loads(line)["event"] for line in lines.splitlines()}
    assert found == {"role_ready", "mail_accepted", "service_unavailable", "session_failed", "session_ended"}
    for marker in ("MARKER", "ann@", "suda", "nobody", "somchai", "client.example"):
        assert marker not in lines
