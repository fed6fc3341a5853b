"""/healthz and /metrics as a supervisor and a Prometheus read them, over HTTP."""

import asyncio
import re
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest

from gateway.ports import Unavailable
from gateway.processes.listening.sockets import hold
from gateway.processes.web import serving
from gateway.processes.web.figures import LAG_MAX, Figures
from tests.processes.web.gauges import SUSPENDED_AT, WELL, FakeGauge

# Prometheus' text format: a comment, or name, labels and a number.
LINE = re.compile(r"# TYPE \w+ (gauge|counter)|(\w+(?:\{\w+=\"[^{}]+\"\})?) (-?[0-9.]+)")


@dataclass
class Web:
    """A server on a port of loopback."""

    port: int
    gauge: FakeGauge

    async def get(self, path: str) -> tuple[int, str, bytes]:
        """Status, type and body."""
        return await asyncio.to_thread(self._get, path)

    def _get(self, path: str) -> tuple[int, str, bytes]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as answer:
                return answer.status, answer.headers["content-type"], answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["content-type"], error.read()


@asynccontextmanager
async def running() -> AsyncIterator[Web]:
    gauge, ready = FakeGauge(), asyncio.Event()
    with hold("127.0.0.1:0") as held:
        port = held.getsockname()[1]
        task = asyncio.create_task(serving.serve(gauge, f"127.0.0.1:{port}", ready.set))  # type: ignore[arg-type]
        await ready.wait()
        yield Web(port, gauge)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with running() as web:
        yield web


async def test_healthz_of_a_gateway_that_is_well(web: Web) -> None:
    status, kind, body = await web.get("/healthz")
    assert (status, kind) == (200, "application/json")
    found = orjson.loads(body)
    assert (found["is_well"], found["position"], found["lag"]) == (True, 42, 7)
    assert found["lags"] == {"mailbox": 0, "router-0": 7}


@pytest.mark.parametrize(
    "figures",
    [replace(WELL, lags={"mailbox": LAG_MAX}), replace(WELL, disk_free_octets=0)],
    ids=["far-behind", "disk-full"],
)
async def test_healthz_of_one_that_is_not_shows_the_figures_all_the_same(web: Web, figures: Figures) -> None:
    web.gauge.figures = figures
    status, _, body = await web.get("/healthz")
    assert status == 503
    found = orjson.loads(body)
    assert found["is_well"] is False
    assert found["position"] == 42


async def test_a_server_that_is_away_is_named(web: Web) -> None:
    web.gauge.fault = Unavailable("postgres", "connection refused")
    status, _, body = await web.get("/healthz")
    assert status == 503
    reason = "postgres cannot answer: connection refused"
    assert orjson.loads(body) == {"is_well": False, "reason": reason}
    status, _, body = await web.get("/metrics")
    assert (status, body) == (503, b"saraban_up 0\n")


async def test_a_server_that_never_answers_is_not_waited_for(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "TIMEOUT_S", 0.01)
    web.gauge.is_stuck = True
    status, _, body = await web.get("/healthz")
    assert (status, orjson.loads(body)["reason"]) == (503, "no answer in time")
    status, _, _ = await web.get("/metrics")
    assert status == 503


async def test_metrics_are_prometheus_text(web: Web) -> None:
    status, kind, body = await web.get("/metrics")
    assert status == 200
    assert kind.startswith("text/plain; version=0.0.4")
    matches = [LINE.fullmatch(line) for line in body.decode().splitlines()]
    assert all(matches), body
    samples = {found[2]: float(found[3]) for found in matches if found and found[2]}
    since_s = SUSPENDED_AT.timestamp()
    assert samples == {
        "saraban_up": 1,
        "saraban_log_position": 42,
        "saraban_queue_waiting_recipients": 3,
        "saraban_relay_possible_doubles_total": 1,
        "saraban_queue_standing_holds": 1,
        "saraban_relay_suspended_destinations": 1,
        'saraban_relay_destination_suspended_since_seconds{destination="away.example"}': since_s,
        'saraban_relay_destination_probe_seconds{destination="away.example"}': since_s + 420,
        "saraban_write_ahead_messages": 5,
        "saraban_agencies_on_backup": 1,
        'saraban_agency_on_backup{agency="ag_1"}': 1,
        "saraban_search_index_lag_events": 0,
        "saraban_disk_free_octets": 1000,
        "saraban_disk_octets": 2000,
        'saraban_consumer_lag_events{consumer="mailbox"}': 0,
        'saraban_consumer_lag_events{consumer="router-0"}': 7,
        'saraban_consumer_stuck{consumer="mailbox"}': 0,
        'saraban_consumer_stuck{consumer="router-0"}': 0,
        'saraban_relay_bounced_recipients_total{reason="mailbox"}': 4,
        'saraban_queue_destination_waiting_recipients{destination="dld.go.th"}': 3,
        'saraban_relay_destination_bounced_recipients_total{destination="a\\"b.example",reason="mailbox"}': 4,
    }
    types = [line.split()[2] for line in body.decode().splitlines() if line.startswith("# TYPE")]
    assert len(types) == len(set(types)), "a name has its type once"


async def ask(path: str, client: str) -> bytes:
    """What the application answers somebody at this address."""
    told = list[bytes]()

    async def send(message: Any) -> None:
        told.append(message.get("body", b""))

    async def receive() -> Any:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "client": (client, 1)}
    await serving.application(FakeGauge())(scope, receive, send)  # type: ignore[arg-type]
    return b"".join(told)


async def test_destinations_are_named_to_nobody_who_is_not_known() -> None:
    """Who asks from elsewhere than this machine."""
    for client, is_named in (("127.0.0.1", True), ("192.0.2.7", False)):
        for path in ("/healthz", "/metrics"):
            said = await ask(path, client)
            assert (b"dld.go.th" in said, b"away.example" in said) == (is_named, is_named)
    assert "dld.go.th" in WELL.metrics()
    assert "dld.go.th" not in WELL.metrics(names_destinations=False)
    assert "reason" in WELL.metrics(names_destinations=False)
    assert WELL.as_dict()["waiting_at"] == {"dld.go.th": 3}
    named = {"waiting_at", "bounced_at", "on_backup", "suspended", "held"}
    assert not named & WELL.as_dict(names_destinations=False).keys()


async def test_nothing_else_is_served(web: Web) -> None:
    assert (await web.get("/"))[0] == 404
    assert (await web.get("/healthz/../metrics"))[0] == 404


async def test_nobody_is_served_after_a_stop() -> None:
    async with running() as web:
        assert (await web.get("/healthz"))[0] == 200
    with pytest.raises(urllib.error.URLError):
        await web.get("/healthz")
