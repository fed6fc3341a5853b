"""A whole gateway in processes of its own, as an operator would start it: the harness of the e2e tests.

It knows what the issue specifies (`up --ready-file`, `--json`) and nothing of the inside.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.commands import run_command

START_PATIENCE_S = 180.0
STOP_PATIENCE_S = 90.0
CONDITION_PATIENCE_S = 120.0
POLL_S = 0.1
NOTHING_FOUND = 3  # the command line's own exit code for it
REASON = "acceptance test"
ROOT = Path(__file__).resolve().parents[2]
SARABAN = (sys.executable, "-m", "gateway")


class CommandFailed(Exception):
    """A `saraban` command ended with another exit code than 0."""

    def __init__(self, arguments: Sequence[str], code: int, said: str) -> None:
        super().__init__(f"saraban {' '.join(arguments)}: exit code {code}: {said.strip()}")
        self.code, self.said = code, said


@dataclass
class Gateway:
    """One `saraban up` on a data folder. `ready` is the ready file of its latest start.

    env: settings for `up` alone; commands find them in the data folder.
    """

    data: Path
    demo: bool = True
    ports: str = "ephemeral"
    env: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        self.ready: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._log = self.data.parent / f"{self.data.name}.up.log"
        self._ready_file = self.data.parent / f"{self.data.name}.ready.json"

    # --- starting and stopping --------------------------------------------------------------------

    def start(self) -> None:
        """Start it and wait for the ready file. Fails with the end of its log."""
        self.launch()

        def is_ready() -> bool:
            if (code := self.exit_code) is not None:
                raise AssertionError(f"`saraban up` ended with {code}")
            return self._ready_file.exists()

        try:
            wait_until(is_ready, "`saraban up` is ready", START_PATIENCE_S)
        except AssertionError as error:
            self.kill_everything()
            raise AssertionError(f"{error}\n{self.log_tail()}") from None
        self.ready = json.loads(self._ready_file.read_bytes())

    def launch(self) -> None:
        """Start it and wait for nothing."""
        if self._process is not None:
            self._process.wait(STOP_PATIENCE_S)
        self._ready_file.unlink(missing_ok=True)
        demo = "--demo" if self.demo else "--no-demo"
        options = ("--ports", self.ports, "--ready-file", str(self._ready_file))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*SARABAN, "--data", str(self.data), "up", demo, *options],
                env=self.environment() | dict(self.env or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def is_launched(self) -> bool:
        """It was started, whether it still runs or not."""
        return self._process is not None

    @property
    def exit_code(self) -> int | None:
        """Of `saraban up`; None while it runs."""
        return self._process.poll() if self._process is not None else None

    def stop(self) -> int:
        """SIGTERM and wait: the exit code. Everything it started is gone then."""
        process = self._process
        assert process is not None, "it was never started"
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill_everything()
            raise AssertionError(f"SIGTERM did not end `saraban up`:\n{self.log_tail()}") from None

    def kill_everything(self) -> None:
        """SIGKILL the supervisor and all it started, as a power cut would; until none is left.

        Init collects orphans in its own time: a pid that it has not counts as left.
        """
        known = set[int]()

        def all_gone() -> bool:
            left = processes_of(self.data)
            known.update(left)
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.reap()
            return not left and not any(Path(f"/proc/{pid}").exists() for pid in known)

        wait_until(all_gone, f"no process of {self.data.name} is left", 30)

    def reap(self) -> None:
        """Take note of the end of `saraban up`, if it has ended."""
        if self._process is not None:
            self._process.poll()

    def log_tail(self, lines: int = 40) -> str:
        """The end of what `up` printed, and of every log file, for a failed test's report."""
        logs = [self._log, *sorted((self.data / "logs").glob("*.log"))]
        parts = []
        for log in logs:
            if log.exists():
                tail = log.read_text("utf-8", "replace").splitlines()[-lines:]
                parts.append(f"--- {log.name}\n" + "\n".join(line[:400] for line in tail))
        return "\n".join(parts)

    def log_of(self, role: str) -> str:
        """All that a role or server has logged."""
        file = self.data / "logs" / f"{role}.log"
        return file.read_text("utf-8", "replace") if file.exists() else ""

    def said(self) -> str:
        """All that `saraban up` has printed."""
        return self._log.read_text("utf-8", "replace")

    # --- asking ------------------------------------------------------------------------------------

    def cli(self, *arguments: str) -> Any:
        """`saraban --json …` on this data folder: its one JSON document."""
        return json.loads(self.cli_octets("--json", *arguments))

    def cli_octets(self, *arguments: str, stdin: bytes = b"", patience_s: float = 300) -> bytes:
        """A command's standard output as it is. Raises CommandFailed."""
        typed = ("--data", str(self.data), *arguments)
        done = run_command(typed, self.environment(), stdin, patience_s=patience_s)
        if done.returncode:
            raise CommandFailed(
                arguments, done.returncode, (done.stderr + done.stdout).decode("utf-8", "replace")
            )
        return done.stdout

    def events(self, topic: str) -> list[dict[str, Any]]:
        """Every event of the log whose topic begins so, in order: position, subject, topic, event."""
        told = self.cli_octets("--json", "events", "tail", "-n", "100000000", "--topic", topic)
        return [json.loads(line) for line in told.splitlines()]

    def found(self, *arguments: str) -> list[dict[str, Any]]:
        """The rows a command lists; none when it says "nothing found"."""
        try:
            return list(self.cli(*arguments))
        except CommandFailed as failed:
            if failed.code == NOTHING_FOUND:
                return []
            raise

    def address(self, service: str) -> str:
        """host:port of smtp, http, …"""
        return str(self.ready[service])

    def pids(self, role: str) -> list[int]:
        """Current process ids of a role, server or "supervisor"."""
        return [entry["pid"] for entry in self.cli("status")["processes"] if entry["role"] == role]

    def pid(self, role: str) -> int:
        found = self.pids(role)
        assert found, f"no process has the role {role!r}"
        return found[0]

    def kill(self, role: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to the first process of a role: its pid."""
        pid = self.pid(role)
        os.kill(pid, number)
        return pid

    def mailbox(self, address: str) -> list[dict[str, Any]]:
        """What is in INBOX."""
        return self.found("mailbox", "list", address, "--mailbox", "INBOX")

    def export(self, address: str, uid: int) -> bytes:
        """A message as its reader gets it, octet for octet."""
        return self.cli_octets("mailbox", "export", address, "--uid", str(uid), "--reason", REASON)

    def export_all(self, address: str, folder: Path) -> dict[str, bytes]:
        """Every message of an INBOX as its reader gets it, by mail_id."""
        output = ("--output", str(folder), "--reason", REASON)
        self.cli("mailbox", "export", address, *output)
        return {file.stem.partition("-")[2]: file.read_bytes() for file in sorted(folder.glob("*.eml"))}

    def trace(self, *criteria: str) -> list[dict[str, Any]]:
        return self.found("trace", *criteria)

    def agencies(self) -> list[dict[str, Any]]:
        return self.found("agency", "list")

    def figures(self) -> dict[str, float]:
        """`GET /metrics`, name with labels → number. Much cheaper than a command, for who asks often."""
        with urllib.request.urlopen(f"http://{self.address('http')}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {
            name: float(number)
            for name, _, number in (line.rpartition(" ") for line in lines if not line.startswith("#"))
        }

    def is_idle(self) -> bool:
        """Every mail is decided and in rows, and nothing waits for another host."""
        figures = self.figures()
        lags = [figure for name, figure in figures.items() if name.startswith("saraban_consumer_lag_events{")]
        assert lags, f"/metrics shows no lag: {figures}"
        return max(lags) == 0 and figures["saraban_queue_waiting_recipients"] == 0

    def wait_idle(self, patience_s: float = CONDITION_PATIENCE_S) -> None:
        self.wait(self.is_idle, "every mail is decided, in rows and relayed", patience_s)

    def wait(
        self, condition: Callable[[], bool], what: str, patience_s: float = CONDITION_PATIENCE_S
    ) -> None:
        """Wait for a condition; a failure shows the logs. Who cannot answer yet is asked again."""

        def holds() -> bool:
            try:
                return condition()
            except (CommandFailed, OSError):
                return False

        try:
            wait_until(holds, what, patience_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_tail(12)}") from None

    def environment(self) -> dict[str, str]:
        """What commands and roles of this gateway are started with."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SARABAN_")}
        return inherited | {"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}


@contextmanager
def running_gateway(
    tmp_path: Path,
    *,
    demo: bool = True,
    ports: str = "ephemeral",
    env: Mapping[str, str] | None = None,
    data: Path | None = None,
) -> Iterator[Gateway]:
    """A gateway that is ready; stopped, and if need be killed, at the end."""
    gateway = Gateway(data or tmp_path / "data", demo, ports, env)
    try:
        gateway.start()
        yield gateway
    finally:
        if gateway.is_launched:
            gateway.stop()


def wait_until(condition: Callable[[], bool], what: str, patience_s: float = CONDITION_PATIENCE_S) -> None:
    """Look again until the condition holds. patience_s only bounds a test that has already failed."""
    until = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"waited {patience_s:.0f} s for: {what}")
        time.sleep(POLL_S)


async def eventually(
    condition: Callable[[], bool], what: str, patience_s: float = CONDITION_PATIENCE_S
) -> None:
    """wait_until for a test whose event loop must go on; the condition runs in a thread."""
    await asyncio.to_thread(wait_until, condition, what, patience_s)


def processes_of(data: Path) -> list[int]:
    """Every live process that has this data folder in its command line or environment."""
    wanted = str(data).encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            told = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if wanted in told and state != "Z" and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def memory_octets(pid: int) -> int:
    """Resident memory of a process (proc(5), VmRSS)."""
    return _status_octets(pid, "VmRSS:")


def memory_peak_octets(pid: int) -> int:
    """The largest resident memory of a process so far (proc(5), VmHWM)."""
    return _status_octets(pid, "VmHWM:")


def _status_octets(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"/proc/{pid}/status has no {name}")
