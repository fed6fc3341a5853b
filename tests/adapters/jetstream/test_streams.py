"""Streams are exactly as they must be, or nothing starts."""

from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from gateway.adapters.jetstream import Link, Misconfigured, check_server, connect, open_log, prepare, streams
from gateway.ports import Unavailable
from tests.conftest import RunningNats

MIB = 1024 * 1024


@pytest.fixture
async def admin(own_nats_server: RunningNats) -> AsyncIterator[Link]:
    async with connect(own_nats_server.url(), name="admin") as link:
        yield link


async def test_streams_are_made_once_and_found_again(admin: Link) -> None:
    with pytest.raises(Misconfigured, match="EV_1 does not exist"):
        await open_log(admin)
    for _ in range(2):
        await prepare(admin, MIB)
    for wanted in streams.configurations(MIB):
        found = await streams.check(admin, wanted)
        assert found["name"] == wanted["name"]
    assert await (await open_log(admin)).last() == 0


async def test_the_size_of_the_write_ahead_follows_its_setting(admin: Link) -> None:
    await prepare(admin, MIB)
    await prepare(admin, 2 * MIB)
    assert (await streams.check(admin, streams.content_configuration(2 * MIB)))["max_bytes"] == 2 * MIB


async def test_keys_come_in_sets_where_they_came_one_by_one(admin: Link) -> None:
    await streams.change(admin, "CREATE", {**streams.keys_configuration(), "allow_atomic": False})
    await prepare(admin, MIB)
    assert (await streams.check(admin, streams.keys_configuration()))["allow_atomic"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"max_age": 3_600_000_000_000}, "max_age is 3600000000000, expected 0"),
        ({"max_msgs": 10}, "max_msgs is 10, expected -1"),
        ({"allow_msg_ttl": True}, "allow_msg_ttl is True, expected False"),
        ({"deny_delete": False}, "deny_delete is False, expected True"),
        ({"allow_atomic": False}, "allow_atomic is None, expected True"),
        ({"subject_transform": None, "subjects": ["in.e1.>"]}, "subject_transform is None"),
        ({"subjects": ["fenced.onsite"]}, r"takes no writers: its subjects are \['fenced.onsite'\]"),
    ],
)
async def test_a_log_that_could_lose_events_is_not_opened(
    admin: Link, changed: dict[str, object], said: str
) -> None:
    configuration = {**streams.log_configuration(), **changed}
    await streams.change(admin, "CREATE", {k: v for k, v in configuration.items() if v is not None})
    with pytest.raises(Misconfigured, match=said):
        await open_log(admin)


async def test_writers_publish_under_the_epoch_of_the_log(admin: Link) -> None:
    await streams.change(admin, "CREATE", streams.log_configuration(epoch=7))
    assert (await open_log(admin)).into == "in.e7."


async def test_our_own_server_is_fit_for_a_log(own_nats_server: RunningNats) -> None:
    await check_server(own_nats_server.monitor_url)


@pytest.mark.parametrize(
    ("varz", "said"),
    [
        (b'{"version": "2.14.9", "jetstream": {"config": {"sync_always": true}}}', "2.15.0 is the oldest"),
        (b'{"version": "2.15.1", "jetstream": {"config": {}}}', "acknowledges before fsync"),
        (b'{"version": "2.15.1"}', "acknowledges before fsync"),
    ],
)
async def test_a_server_that_is_not_fit_is_refused(varz: bytes, said: str) -> None:
    class Monitor(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(varz)

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Monitor) as monitor:
        Thread(target=monitor.handle_request).start()
        with pytest.raises(Misconfigured, match=said):
            await check_server(f"http://127.0.0.1:{monitor.server_port}")


async def test_no_server_is_unavailable(unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.adapters.jetstream.link.CONNECT_TIMEOUT_S", 0.5)
    with pytest.raises(Unavailable):
        await check_server(f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(Unavailable):
        async with connect(f"nats://127.0.0.1:{unused_tcp_port}", name="nobody"):
            pass
