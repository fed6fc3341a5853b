"""A queue that is full: `./just bench queue`.

For each size a gateway of its own: mails go to twenty domains whose host does not answer, until every
recipient was tried once; then their next attempts are moved hours away in the rows, so that they are
deferred and stay so. What is asked is what a relay and a postmaster ask all day: a look for what is due
when nothing is, a set of 200 taken when all of it is (looked for, leased, looked at again, given back), the
queue in lists, proved, a domain of it held; and how soon a relay that was killed, and the whole gateway, is
back.

    python -m tests.bench.bench queue --sizes 2000 20000 200000
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gateway.mail.ids import MailId
from projections.queue import leases, listing, query, turns
from projections.queue.project import QueueModel
from projections.readmodel import Pool, Rows, open_pool, schema_of
from tests.e2e.gateway import Gateway, memory_octets, memory_peak_octets, running_gateway
from tests.e2e.load import Load, Plan

DOMAINS: Final = 20
CONNECTIONS: Final = 10
FILL_PATIENCE_S: Final = 1_200.0
LATER: Final = timedelta(hours=6)
SET: Final = 200  # what a relay takes at once
IDLE_S: Final = 10.0
# All from one address: what an ordinary network may send would end it.
UNLIMITED: Final = {"SARABAN_NETWORK_MESSAGES_PER_HOUR": "0", "SARABAN_NETWORK_RECIPIENTS_PER_HOUR": "0"}
HOLDING: Final = ("--domain", "away0.example", "--reason", "bench")


class RolledBack(Exception):
    """What was tried in the rows is taken back."""


def fill(gateway: Gateway, size: int, each: int, port: int) -> float:
    """Mails for `size` recipients, each tried once: the seconds until then."""
    domains = [f"away{number}.example" for number in range(DOMAINS)]
    named = [word for domain in domains for word in ("--domain", domain)]
    gateway.cli("agency", "add", "Away", *named, "--relay-to", f"127.0.0.1:{port}")
    host, _, smtp = gateway.address("smtp").rpartition(":")
    routes = [tuple(f"u{number}@{domain}" for number in range(each)) for domain in domains]
    plan = Plan(
        host,
        int(smtp),
        routes,
        mails=size // each,
        connections=CONNECTIONS,
        octets=1_024,
        seconds=3_600,
    )
    begun, load = time.monotonic(), Load(plan)
    asyncio.run(load.run())
    assert load.acknowledged == size // each, load.counts()
    gateway.wait(lambda: asyncio.run(_all_were_tried(gateway, size)), "each was tried", FILL_PATIENCE_S)
    return time.monotonic() - begun


async def _all_were_tried(gateway: Gateway, size: int) -> bool:
    count = (
        f"SELECT count(*) FROM {schema_of(QueueModel)}.recipient WHERE outcome = 'waiting' AND attempt > 0"
    )
    async with open_pool(gateway.ready["postgres"], size=1) as pool, pool.rows() as rows:
        return bool(await rows.fetchval(count) >= size)


async def defer(dsn: str) -> None:
    """Move every next attempt hours away, spread over one."""
    async with open_pool(dsn, size=1) as pool, pool.rows() as rows:
        await rows.execute(
            f"""UPDATE {schema_of(QueueModel)}.recipient
            SET next_attempt_at = next_attempt_at + $1 + (recipient + position) % 3600 * '1 s'::interval
            WHERE outcome = 'waiting'""",
            LATER,
        )


async def due(rows: Rows, at: datetime, limit: int) -> list[query.Due]:
    """What a relay takes that has room for all of it."""
    waiting, _ = await turns.of_whom_waits(rows, at)
    return await query.due(rows, at, dict.fromkeys(waiting, limit), limit=limit)


async def idle_round(rows: Rows) -> None:
    """What a relay asks five times a second: nothing is due."""
    assert not await due(rows, datetime.now(UTC), SET)


async def full_round(rows: Rows) -> None:
    """A set of those that are due when all are: looked for, leased, looked at again, given back."""
    found = await due(rows, datetime.now(UTC) + 2 * LATER, SET)
    wanted: dict[MailId, tuple[int, ...]] = {one.mail_id: one.recipients for one in found}
    taken = await leases.take(rows, wanted, holder="bench", seconds=60, now_s=0.0)
    unchanged = await query.unchanged(rows, found)
    await leases.release(rows, taken)
    assert len(unchanged) == SET, len(unchanged)


async def timed(pool: Pool, ask: Callable[[Rows], Awaitable[object]], rounds: int) -> str:
    """Milliseconds, median and slowest, each in a transaction that is taken back."""
    took = list[float]()
    for _ in range(rounds):
        try:
            async with pool.transaction() as rows:
                begun = time.perf_counter()
                await ask(rows)
                took.append(1e3 * (time.perf_counter() - begun))
                raise RolledBack
        except RolledBack:
            pass
    return f"{statistics.median(took):.1f}, {max(took):.1f} ms"


async def measure_rows(dsn: str, rounds: int) -> dict[str, str]:
    async with open_pool(dsn, size=2) as pool:
        choice = listing.Choice(domain="away0.example")
        return {
            "round, nothing due": await timed(pool, idle_round, rounds),
            f"round, {SET} of all": await timed(pool, full_round, rounds),
            "rows: destinations": await timed(
                pool, lambda rows: listing.destinations(rows, listing.EVERYTHING, limit=50), rounds
            ),
            "rows: 100 recipients": await timed(
                pool, lambda rows: listing.list_waiting(rows, limit=100), rounds
            ),
            "rows: 100 of a domain": await timed(
                pool, lambda rows: listing.list_waiting(rows, choice, limit=100), rounds
            ),
            "rows: count": await timed(pool, lambda rows: query.waiting(rows), rounds),
        }


def measure(gateway: Gateway, rounds: int) -> dict[str, str]:
    asyncio.run(defer(gateway.ready["postgres"]))
    pid = gateway.pid("relay")
    begun_s = _cpu_s(pid)
    time.sleep(IDLE_S)
    cpu = f"{100 * (_cpu_s(pid) - begun_s) / IDLE_S:.1f} %"
    found = {"relay: CPU, all deferred": cpu, **asyncio.run(measure_rows(gateway.ready["postgres"], rounds))}
    found["relay: memory, peak"] = f"{_mib(memory_octets(pid))}, {_mib(memory_peak_octets(pid))} MiB"
    for what, words in (
        ("saraban queue list --count", ("list", "--count")),
        ("saraban queue list", ("list",)),
        ("saraban queue list --recipients", ("list", "--recipients")),
        ("saraban queue check", ("check",)),
        ("saraban queue hold --domain", ("hold", *HOLDING)),
        ("saraban queue release --domain", ("release", *HOLDING)),
    ):
        begun = time.monotonic()
        told, peak = _command(gateway, "queue", *words)
        number = f" ({told['changed']} changed)" if "changed" in told else ""
        found[what] = f"{time.monotonic() - begun:.1f} s, {_mib(peak)} MiB{number}"
        assert not (isinstance(told, dict) and told.get("faults")), told["faults"][:3]
    found["a relay that was killed is back"] = f"{_back_after(gateway, 'relay'):.1f} s"
    gateway.stop()
    begun = time.monotonic()
    gateway.start()
    found["the gateway is back"] = f"{time.monotonic() - begun:.1f} s"
    found["relay: memory after that"] = f"{_mib(memory_octets(gateway.pid('relay')))} MiB"
    return found


def _command(gateway: Gateway, *words: str) -> tuple[Any, int]:
    """What a command says, and the most memory it had."""
    read, write = os.pipe()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "gateway", "--data", str(gateway.data), "--json", *words],
        gateway.environment(),
        file_actions=[(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_CLOSE, read)],
    )
    os.close(write)
    with os.fdopen(read, "rb") as said:
        octets = said.read()
    _, code, used = os.wait4(pid, 0)
    assert code == 0, (words, octets[-400:])
    return json.loads(octets), used.ru_maxrss * 1024


def _back_after(gateway: Gateway, role: str) -> float:
    """Seconds from its SIGKILL until it says that it is ready."""
    before = gateway.log_of(role).count('"role_ready"')
    assert before, f"{role} never said that it is ready"
    begun = time.monotonic()
    gateway.kill(role, signal.SIGKILL)
    gateway.wait(lambda: gateway.log_of(role).count('"role_ready"') > before, f"{role} is back")
    return time.monotonic() - begun


def _cpu_s(pid: int) -> float:
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def _mib(octets: int) -> str:
    return f"{octets / 1024**2:.0f}"


@contextmanager
def closed_port() -> Iterator[int]:
    """A port of ours where nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def table(found: dict[int, dict[str, str]]) -> str:
    lines = [f"| recipients deferred | {' | '.join(f'{size:,}' for size in found)} |"]
    lines.append("|---" * (len(found) + 1) + "|")
    for what in next(iter(found.values())):
        lines.append(f"| {what} | {' | '.join(each[what] for each in found.values())} |")
    return "\n".join(lines)


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench queue", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[2_000, 20_000, 200_000])
    parser.add_argument("--each", type=int, default=10, help="recipients of a mail")
    parser.add_argument("--rounds", type=int, default=50)
    asked = parser.parse_args(words)
    found: dict[int, dict[str, str]] = {}
    for size in asked.sizes:
        with (
            tempfile.TemporaryDirectory(prefix="saraban-bench-") as folder,
            closed_port() as port,
            running_gateway(Path(folder), env=UNLIMITED) as gateway,
        ):
            took_s = fill(gateway, size, asked.each, port)
            print(f"{size} recipients were tried once after {took_s:.0f} s", flush=True)
            found[size] = {"filled in": f"{took_s:.0f} s", **measure(gateway, asked.rounds)}
            print(table({size: found[size]}), flush=True)
    print(table(found))
    return 0
