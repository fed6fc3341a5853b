"""Our gateway and the pair (Postfix + Dovecot), side by side in one run: `./just bench inbound|relay`.

`./just bench admin` measures administration instead (admin.py), `./just bench queue` a full queue (queue.py),
`./just bench imap` open mailboxes, beside Dovecot (imap.py).

Both get the same load from the same tool (smtp-source of Debian's `postfix`), A B A B on one machine, so
that what else the machine does hits both. "visible" is a committed mailbox row with a UID here, a message
that Dovecot counts there; "relayed" is a queue that is empty again, with smtp-sink as next hop on both sides.

    python -m tests.bench.bench inbound --mails 2000 --connections 100 --rounds 3
"""

import argparse
import asyncio
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import admin, imap, queue
from tests.e2e.gateway import ROOT, Gateway
from tests.e2e.rows import Rows

HERE = Path(__file__).parent
OUT = HERE / "out"
PAIR = HERE / "pair"
NEEDED = ("smtp-source", "smtp-sink")
PAIR_NEEDED = (*NEEDED, "postfix", "dovecot", "doveadm")
FINISHES = {"inbound": "visible", "relay": "relayed"}
FINISH_PATIENCE_S = 600.0
POLL_S = 0.05
NEXT_HOP_DOMAIN = "nexthop.example"


@dataclass(frozen=True, slots=True)
class Work:
    """One round's load."""

    kind: str  # "inbound" or "relay"
    mails: int
    connections: int
    octets: int


@dataclass(frozen=True, slots=True)
class Round:
    """What one contender did with it, in mails a second. cpu_us: per mail, by role, where we can look."""

    who: str
    accepted: float
    finished: float  # visible or relayed
    cpu_us: dict[str, int] = field(default_factory=dict)


class Contender(ABC):
    name: str

    @abstractmethod
    def up(self) -> None: ...

    @abstractmethod
    def down(self) -> None: ...

    @abstractmethod
    def run(self, work: Work) -> Round: ...


class Pair(Contender):
    """Postfix and Dovecot, as tests/bench/pair starts and times them."""

    name = "pair"

    def __init__(self, folder: Path) -> None:
        self._env = os.environ | {"PAIR_DIR": str(folder / "pair")}

    def up(self) -> None:
        self._call("up")

    def down(self) -> None:
        self._call("down")

    def run(self, work: Work) -> Round:
        said = self._call(work.kind, str(work.mails), str(work.connections), str(work.octets))
        rates = {name: float(rate) for name, rate in re.findall(r"(\w+)/s=(\d+)", said)}
        visible = re.search(r" visible=(\d+)", said)
        assert visible is None or int(visible.group(1)) == work.mails, f"the pair shows too few: {said}"
        return Round(self.name, rates["accepted"], rates[FINISHES[work.kind]])

    def _call(self, *arguments: str) -> str:
        with tempfile.TemporaryFile("w+") as said:  # a pipe would stay open as long as its daemons
            code = subprocess.call(
                [str(PAIR), *arguments], env=self._env, stdout=said, stderr=said, timeout=900
            )
            said.seek(0)
            if code:
                raise SystemExit(f"pair {' '.join(arguments)} failed: {said.read().strip()}")
            return said.read()


class Saraban(Contender):
    """`saraban up --demo`, and an agency whose next hop is smtp-sink."""

    name = "saraban"

    def __init__(self, folder: Path, next_hop_port: int, edges: int) -> None:
        self._gateway = Gateway(folder / "data", env={"SARABAN_EDGES": str(edges)})
        self._next_hop = f"127.0.0.1:{next_hop_port}"

    def up(self) -> None:
        self._gateway.start()
        self._gateway.cli("agency", "add", "Bench", "--domain", NEXT_HOP_DOMAIN, "--relay-to", self._next_hop)
        self._mailbox = self._gateway.ready["demo_accounts"][0]["address"]

    def down(self) -> None:
        self._gateway.stop()

    def run(self, work: Work) -> Round:
        with smtp_sink(self._next_hop):
            return asyncio.run(self._run(work))

    async def _run(self, work: Work) -> Round:
        to = self._mailbox if work.kind == "inbound" else f"u@{NEXT_HOP_DOMAIN}"
        count = _messages if work.kind == "inbound" else _relayed
        async with Rows.connected(self._gateway.ready["postgres"]) as rows:
            before, cpu_before = await count(rows), cpu_seconds(self._gateway)
            begun = time.monotonic()
            await asyncio.to_thread(smtp_source, self._gateway.address("smtp"), to, work)
            accepted_s = time.monotonic() - begun
            while (done := await count(rows) - before) < work.mails:
                if time.monotonic() - begun > FINISH_PATIENCE_S:
                    raise SystemExit(f"saraban finished {done} of {work.mails}:\n{self._gateway.log_tail()}")
                await asyncio.sleep(POLL_S)
            finished_s = time.monotonic() - begun
        cpu_after = cpu_seconds(self._gateway)
        cpu = {
            role: round(1e6 * (seconds - cpu_before.get(role, 0.0)) / work.mails)
            for role, seconds in cpu_after.items()
        }
        return Round(self.name, work.mails / accepted_s, work.mails / finished_s, cpu)


class smtp_sink:  # noqa: N801  # named as the program it runs
    """Postfix's own black hole, as a context."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> None:
        user = ["-u", "postfix"] if os.geteuid() == 0 else []
        self._process = subprocess.Popen([_program("smtp-sink"), *user, self._address, "256"])

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()


def smtp_source(address: str, to: str, work: Work) -> None:
    """Send the load and wait until every mail is answered."""
    counts = ["-s", str(work.connections), "-m", str(work.mails), "-l", str(work.octets)]
    command = [_program("smtp-source"), *counts, "-f", "a@ext.example", "-t", to, address]
    subprocess.run(command, check=True, timeout=FINISH_PATIENCE_S)


async def _messages(rows: Rows) -> int:
    return await rows.number("mailbox", "SELECT coalesce(sum(messages), 0)::bigint FROM {}.mailbox")


async def _relayed(rows: Rows) -> int:
    return await rows.number("queue", "SELECT count(*) FROM {}.recipient WHERE outcome = 'relayed'")


def cpu_seconds(gateway: Gateway) -> dict[str, float]:
    """CPU used so far by each role and server, children included (proc(5): utime, stime, cutime, cstime)."""
    tick = os.sysconf("SC_CLK_TCK")
    used: dict[str, float] = {}
    for entry in gateway.cli("status")["processes"]:
        total = sum(sum(ticks_of(pid)) for pid in [entry["pid"], *children_of(entry["pid"], entry["role"])])
        used[entry["role"]] = used.get(entry["role"], 0.0) + total / tick
    return used


def ticks_of(pid: int) -> list[int]:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return [0]
    return [int(ticks) for ticks in fields[11:15]]


def children_of(pid: int, role: str) -> list[int]:
    """Processes below a server (PostgreSQL's backends); the supervisor's own children have roles."""
    if role == "supervisor":
        return []
    try:
        told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    direct = [int(child) for child in told.split()]
    return direct + [below for child in direct for below in children_of(child, role)]


def table(kind: str, work: Work, rounds: Sequence[Round]) -> str:
    """Markdown for docs/bench.md: min / median / max of each contender, and the ratio of the medians."""
    names = list(dict.fromkeys(each.who for each in rounds))
    finish = FINISHES[kind]
    head = f"{kind}, {work.connections} connections, {work.mails} mails of {work.octets} octets"
    lines = [f"| {head} | accepted/s min / median / max | {finish}/s min / median / max |", "|---|---|---|"]
    for name in names:
        own = [each for each in rounds if each.who == name]
        lines.append(
            f"| {name} | {_spread([r.accepted for r in own])} | {_spread([r.finished for r in own])} |"
        )
    if len(names) == 2:
        ratios = [_median(rounds, names[0], what) / _median(rounds, names[1], what) for what in WHAT]
        lines.append(f"| ratio of medians | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    return "\n".join(lines) + "\n"


WHAT = ("accepted", "finished")


def _median(rounds: Sequence[Round], name: str, what: str) -> float:
    return statistics.median(float(getattr(each, what)) for each in rounds if each.who == name)


def _spread(rates: Sequence[float]) -> str:
    return f"{min(rates):.0f} / {statistics.median(rates):.0f} / {max(rates):.0f}"


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        raise SystemExit(f"bench needs {name}: apt-get install --no-install-recommends postfix")
    return found


def _contenders(folder: Path, port: int, edges: int, only: str | None) -> list[Contender]:
    chosen: list[Contender] = []
    if only in (None, "saraban"):
        chosen.append(Saraban(folder, port, edges))
    missing = [name for name in PAIR_NEEDED if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")]
    if only in (None, "pair"):
        if missing or os.geteuid() != 0:
            why = f"not installed ({', '.join(missing)})" if missing else "needs root"
            print(f"pair: {why}; our own rates only", file=sys.stderr)
        else:
            chosen.append(Pair(folder))
    return chosen


def measure(work: Work, contenders: Sequence[Contender], rounds: int) -> list[Round]:
    """A B A B. A first small round of each warms up and is not counted."""
    warm_up = Work(work.kind, max(work.connections, work.mails // 10), work.connections, work.octets)
    for contender in contenders:
        contender.run(warm_up)
    done = []
    for number in range(rounds):
        for contender in contenders:
            each = contender.run(work)
            done.append(each)
            rates = f"accepted/s={each.accepted:.0f} {FINISHES[work.kind]}/s={each.finished:.0f}"
            cpu = f" cpu_us/mail={each.cpu_us}" if each.cpu_us else ""
            print(f"{number + 1}/{rounds} {each.who:8} {rates}{cpu}", flush=True)
    return done


def _write(kind: str, work: Work, done: Sequence[Round]) -> None:
    OUT.mkdir(exist_ok=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT)
    record = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}",
        "work": asdict(work),
        "rounds": [asdict(each) for each in done],
    }
    name = f"{kind}-{work.connections}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    (OUT / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
    (OUT / f"{name}.md").write_text(table(kind, work, done))


def main() -> int:
    if sys.argv[1:2] == ["admin"]:
        return admin.main(sys.argv[2:])
    if sys.argv[1:2] == ["queue"]:
        return queue.main(sys.argv[2:])
    if sys.argv[1:2] == ["imap"]:
        return imap.main(sys.argv[2:])
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", choices=sorted(FINISHES))
    parser.add_argument("--mails", type=int, default=2000)
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--edges", type=int, default=1)
    parser.add_argument("--only", choices=("saraban", "pair"))
    asked = parser.parse_args()
    for name in NEEDED:
        _program(name)
    work = Work(asked.kind, asked.mails, asked.connections, asked.octets)
    with tempfile.TemporaryDirectory(prefix="saraban-bench-") as folder:
        Path(folder).chmod(0o755)  # Postfix and Dovecot run as users of their own
        contenders = _contenders(Path(folder), _free_port(), asked.edges, asked.only)
        started: list[Contender] = []
        try:
            for contender in contenders:
                started.append(contender)
                contender.up()
            done = measure(work, contenders, asked.rounds)
        finally:
            for contender in started:
                contender.down()
    _write(asked.kind, work, done)
    print(table(asked.kind, work, done), end="")
    return 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
