"""The supervisor starts a gateway, keeps it running, stops it in order, and resumes, however it ended."""

import json
import os
import signal
import smtplib
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.processes.up.orphans import Mark
from gateway.processes.up.supervisor import ending
from gateway.settings import load

PATIENCE_S = 90.0


class Up:
    """A dummy gateway on one data folder."""

    def __init__(self, data: Path, **environment: str) -> None:
        self.data = data
        self.output = data.parent / f"{data.name}.out"
        self.environment = {"SARABAN_DATA": str(data), "SARABAN_DEMO": "true", **environment}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.processes.up.dummy_gateway"],
                env={**os.environ, **self.environment},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_until_ready(self) -> dict[str, Any]:
        self.wait_for((self.data / "ready.json").exists)
        ready: dict[str, Any] = json.loads((self.data / "ready.json").read_bytes())
        return ready

    def wait_for(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.process is not None
            assert self.process.poll() is None, f"it ended: {self.said}"
            assert time.monotonic() < until, f"not within {PATIENCE_S} s: {self.said}"
            time.sleep(0.02)

    def ended(self) -> int:
        assert self.process is not None
        return self.process.wait(PATIENCE_S)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.ended()

    @property
    def said(self) -> str:
        return self.output.read_text()

    def pids(self) -> dict[str, int]:
        written = json.loads((self.data / "run" / "gateway.json").read_bytes())
        return {row["role"]: row["pid"] for row in written["announcement"]["processes"]}


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    gateway = Up(tmp_path / "home" / "data")
    gateway.data.parent.mkdir(mode=0o700)
    yield gateway
    if gateway.process is not None and gateway.process.poll() is None:
        gateway.stop()


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, f"not within {PATIENCE_S} s"
        time.sleep(0.02)


def title_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().strip("\0")


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[1])


def is_alive(pid: int) -> bool:
    return Mark.of("any", pid, signal.SIGTERM, 20.0).is_alive


def test_everything_starts_is_kept_running_stops_and_resumes(up: Up) -> None:
    up.environment["SARABAN_EDGES"] = "2"
    up.start()
    ready = up.wait_until_ready()
    roles = {row["role"]: row["pid"] for row in ready["processes"]}
    assert set(roles) == {"supervisor", "nats", "postgres", "s3", "dld", "router", "edge", "edge-2"}
    assert all(is_alive(pid) for pid in roles.values())
    assert roles["supervisor"] == ready["pid"]
    check_ready_file(up, ready)

    # The demonstration's next hop takes a mail and has it on disk by its 250.
    written = json.loads((up.data / "prepared.json").read_bytes())
    next_hop = json.loads((up.data / "edge.json").read_bytes())["SARABAN_DEMO_NEXT_HOP"]
    host, port = next_hop.split(":")
    with smtplib.SMTP(host, int(port)) as client:
        client.sendmail("a@opm.go.th", ["farm@dld.go.th"], "Subject: rain\r\n\r\n.dot first\r\n")
        refused = client.sendmail("a@opm.go.th", ["farm@dld.go.th", "b@example.org"], "x: y\r\n\r\n")
        assert refused["b@example.org"][0] == 550
    mails = [each.read_bytes() for each in (up.data / "dld.go.th" / "Maildir" / "new").iterdir()]
    assert len(mails) == 2
    assert any(b"\r\n\r\n.dot first\r\n" in mail for mail in mails)

    # Each role has its own NATS user; only the preparation had admin.
    users = {name: user_of(up.data / f"{name}.json") for name in ("edge", "edge-2", "router")}
    assert users == {"edge": "edge", "edge-2": "edge", "router": "router"}
    assert load(written).nats_url.startswith("nats://admin:")

    # A role and a server that crash come back, and it is said.
    for name in ("edge", "nats"):
        os.kill(roles[name], signal.SIGKILL)
        up.wait_for(lambda name=name: up.pids().get(name, roles[name]) != roles[name])  # type: ignore[misc]
        assert f"{name} was ended by SIGKILL" in up.said
    assert up.pids()["router"] == roles["router"]
    assert title_of(roles["router"]) == "saraban: router"

    # So do all roles when the process they come from is killed: they end with it, and another is made.
    os.kill(parent_of(roles["router"]), signal.SIGKILL)
    up.wait_for(lambda: not is_alive(roles["router"]))
    up.wait_for(
        lambda: all(is_alive(up.pids().get(role, roles["router"])) for role in ("router", "edge", "dld"))
    )

    running = [pid for name, pid in up.pids().items() if name != "supervisor"]
    assert up.stop(signal.SIGINT) == 0
    assert not any(is_alive(pid) for pid in running)
    assert up.said.rstrip().endswith("stopped")

    # SIGKILL of the supervisor alone: nothing goes on without it, and the next start resumes.
    up.start()
    (first, again) = (ready, up.wait_until_ready())
    assert (again["nats"], again["smtp"]) == (first["nats"], first["smtp"])
    up.stop(signal.SIGKILL)
    wait_until(lambda: not any(is_alive(row["pid"]) for row in again["processes"]))
    (up.data / "ready.json").unlink()
    up.start()
    up.wait_until_ready()
    assert up.stop() == 0


def check_ready_file(up: Up, ready: dict[str, Any]) -> None:
    assert set(ready) == {
        "pid", "smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "http", "https",
        "nats", "postgres", "s3", "ca_file", "data", "demo_accounts", "processes",
    }  # fmt: skip
    assert set(ready["s3"]) == {"endpoint", "access_key", "secret_key", "secure"}
    assert ready["imap"].startswith("127.0.0.1:")
    assert ready["smtp"].startswith("127.0.0.1:")
    assert [account["address"] for account in ready["demo_accounts"]] == [
        "somchai@opm.go.th",
        "malee@opdc.go.th",
    ]
    assert Path(ready["ca_file"]).read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")
    up.wait_for(lambda: "somchai@opm.go.th" in up.said)  # told right behind the ready file
    assert stat.S_IMODE(up.data.parent.stat().st_mode) == 0o700
    private = ["secrets/credentials.json", "secrets/master.key", "secrets/server.key", "run/gateway.json"]
    for name in ["ready.json", *private]:
        assert stat.S_IMODE((up.data / name).stat().st_mode) == 0o600, name


def user_of(environment: Path) -> str:
    url = json.loads(environment.read_bytes())["SARABAN_NATS_URL"]
    return str(url.split("//")[1].split(":")[0])


def test_a_role_that_fails_at_first_is_started_again(up: Up) -> None:
    up.environment["SARABAN_DEMO"] = "false"
    up.data.parent.mkdir(exist_ok=True)
    (up.data.parent / "router.fails").touch()
    up.start()
    up.wait_until_ready()
    assert "router ended with code 1: router fails as it was told; starting it again in 0.5 s" in up.said
    up.wait_for(lambda: "saraban --data" in up.said)
    assert " init" in up.said

    # A second user of the folder is told who has it.
    second = Up(up.data)
    second.output = up.data.parent / "second.out"
    second.start()
    assert second.ended() == 1
    assert up.process is not None
    assert f"the data folder {up.data} is in use by process {up.process.pid}" in second.said


def test_a_taken_port_is_named(up: Up) -> None:
    from gateway.processes.up.children import StartFailed
    from gateway.processes.up.ports import Ports
    from gateway.settings import Settings

    with socket.create_server(("127.0.0.1", 0)) as taken, Ports(up.data.parent / "ports.json") as ports:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartFailed, match=f"cannot listen on {address}.*another SARABAN_LISTEN_SMTP"):
            ports.for_peers(Settings(listen_smtp=address), ephemeral=False)


def test_ends_are_said_in_words() -> None:
    assert ending(-9) == "was ended by SIGKILL"
    assert ending(3) == "ended with code 3"
