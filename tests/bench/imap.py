"""Open mailboxes, ours and Dovecot's, side by side in one run: `./just bench imap`.

Both are filled with the same messages by the same client over TLS and asked the same, A B A B; a client that
does nothing with what it reads, so that what is measured is the server. What is asked is what mail programs
ask: to open a mailbox, to list all of it, to read, to mark a thousand messages, to search, to append; and how
soon sessions that are idle hear of a mail, and what each of them costs in memory.

    python -m tests.bench.bench imap --messages 1000 10000 100000
"""

import argparse
import os
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.e2e.gateway import ROOT, Gateway

PAIR: Final = Path(__file__).parent / "pair"
OUT: Final = Path(__file__).parent / "out"
DOVECOT_PORT: Final = 2644
APPENDED_AT_ONCE: Final = 50
STORED: Final = 1_000
READ: Final = 1_000
APPENDS: Final = 50
WORDS: Final = "งบประมาณ ประชุม น้ำท่วม หนังสือ ราชการ report budget meeting flood letter".split()  # noqa: SIM905
NEEDLE: Final = "เข็มในมหาสมุทร"  # one message in a thousand has it
PATIENCE_S: Final = 600.0


class Client:
    """One connection, as bare as can be: what is read is counted and looked at for its end alone."""

    def __init__(self, port: int, username: str, password: str) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = (
            False,
            ssl.CERT_NONE,
        )  # loopback: nobody to be told apart
        plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(plain)
        self._read_until(b"\r\n")
        self._tags = 0
        self.ask(f'LOGIN "{username}" "{password}"')

    def ask(self, command: str, *literals: bytes) -> int:
        """Octets of the answer; a NO or BAD ends the bench."""
        self._tags += 1
        tag = f"x{self._tags} ".encode()
        parts = command.encode().split(b"{}")
        octets = tag + parts[0]
        for literal, part in zip(literals, parts[1:], strict=True):
            octets += b"{%d+}\r\n" % len(literal) + literal + part
        self._socket.sendall(octets + b"\r\n")
        count, last = self._read_until(b"\r\n" + tag)
        if not last.startswith(tag + b"OK"):
            raise SystemExit(f"{command[:80]}: {last[:200]!r}")
        return count

    def idle(self) -> None:
        self._socket.sendall(b"i IDLE\r\n")
        self._read_until(b"+ ")

    def wait(self) -> None:
        """Until anything is said."""
        self._socket.recv(65536)

    def close(self) -> None:
        self._socket.close()

    def _read_until(self, mark: bytes) -> tuple[int, bytes]:
        """How many octets there were, and the line that began with the mark."""
        count, tail = 0, b"\r\n"
        while True:
            octets = self._socket.recv(262144)
            if not octets:
                raise SystemExit("the server closed the connection")
            count += len(octets)
            tail += octets
            at = tail.rfind(mark)
            if at >= 0 and tail.endswith(b"\r\n"):
                return count, tail[at:].removeprefix(b"\r\n")
            tail = tail[-4096:]


@dataclass
class Contender:
    name: str
    port: int
    username: str
    password: str
    memory: Callable[[], int]  # octets of all its processes that serve sessions

    def client(self) -> Client:
        return Client(self.port, self.username, self.password)


def message(number: int) -> bytes:
    """About 4 KB, no two alike."""
    words = " ".join(WORDS[(number + n * n) % len(WORDS)] for n in range(120))
    needle = NEEDLE if number % 1000 == 7 else ""
    head = (
        f"From: Writer {number % 97} <writer{number % 97}@opm.go.th>\r\nTo: reader@opdc.go.th\r\n"
        f"Subject: letter {number} {WORDS[number % len(WORDS)]}\r\nMessage-ID: <{number}@bench.example>\r\n"
        f"Date: Mon, 2 Feb 2026 09:{number % 60:02d}:00 +0700\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    )
    lines = "".join(f"{number} {words[at : at + 60]}\r\n" for at in range(0, len(words), 60))
    return (head + lines + needle + "\r\n").encode()


def fill(contender: Contender, mailbox: str, messages: int) -> float:
    """Seconds until all of them are there."""
    client = contender.client()
    client.ask(f"CREATE {mailbox}")
    began = time.monotonic()
    for start in range(0, messages, APPENDED_AT_ONCE):
        some = [message(number) for number in range(start, min(start + APPENDED_AT_ONCE, messages))]
        client.ask(f"APPEND {mailbox} " + " ".join(["(\\Seen) {}"] * len(some)), *some)
    took = time.monotonic() - began
    client.close()
    return took


Work = Callable[[Client, str, int], None]


def _select(client: Client, mailbox: str, messages: int) -> None:
    client.ask(f"SELECT {mailbox}")


def _search_body(client: Client, mailbox: str, messages: int) -> None:
    client.ask("UID SEARCH CHARSET UTF-8 BODY {}", NEEDLE.encode())


def _append(client: Client, mailbox: str, messages: int) -> None:
    for number in range(APPENDS):
        client.ask("APPEND Aside (\\Seen) {}", message(number))


def _asks(command: str) -> Work:
    def ask(client: Client, mailbox: str, messages: int) -> None:
        client.ask(command)

    return ask


WORKS: Final[dict[str, Work]] = {
    "SELECT": _select,
    "FETCH 1:* (FLAGS)": _asks("UID FETCH 1:* (FLAGS)"),
    "FETCH 1:* (UID FLAGS RFC822.SIZE INTERNALDATE)": _asks("FETCH 1:* (UID FLAGS RFC822.SIZE INTERNALDATE)"),
    "FETCH 1:* (ENVELOPE)": _asks("FETCH 1:* (ENVELOPE)"),
    f"FETCH 1:{READ} (BODY.PEEK[])": _asks(f"FETCH 1:{READ} (BODY.PEEK[])"),
    f"STORE 1:{STORED} +FLAGS.SILENT": _asks(f"STORE 1:{STORED} +FLAGS.SILENT (\\Flagged)"),
    f"STORE 1:{STORED} -FLAGS.SILENT": _asks(f"STORE 1:{STORED} -FLAGS.SILENT (\\Flagged)"),
    "STORE of one": _asks("STORE 5 +FLAGS.SILENT (\\Answered)"),
    "SEARCH UNSEEN": _asks("UID SEARCH UNSEEN"),
    "SEARCH SUBJECT": _asks("UID SEARCH SUBJECT flood"),
    "SEARCH BODY": _search_body,
    f"APPEND × {APPENDS}": _append,
}


def measure(contenders: Sequence[Contender], messages: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Milliseconds, by work and contender."""
    mailbox = f"M{messages}"
    for contender in contenders:
        took = fill(contender, mailbox, messages)
        print(f"{contender.name}: filled with {messages} in {took:.1f} s", flush=True)
    took_ms: dict[str, dict[str, list[float]]] = {work: {c.name: [] for c in contenders} for work in WORKS}
    clients = {contender.name: contender.client() for contender in contenders}
    for name, client in clients.items():
        with suppress(SystemExit):
            client.ask("CREATE Aside")
        client.ask(f"SELECT {mailbox}")
        print(f"{name}: warm", flush=True)
    for number in range(rounds):
        for work, run in WORKS.items():
            for name, client in clients.items():
                began = time.monotonic()
                run(client, mailbox, messages)
                took_ms[work][name].append(1000 * (time.monotonic() - began))
        print(f"round {number + 1}/{rounds}", flush=True)
    for client in clients.values():
        client.close()
    return took_ms


def idle(contender: Contender, sessions: int) -> tuple[float, list[float]]:
    """KiB of memory a session, and milliseconds from the answer to an APPEND until each has heard of it."""
    first = contender.client()
    first.ask("SELECT INBOX")
    before = contender.memory()
    clients = []
    for _ in range(sessions):
        client = contender.client()
        client.ask("SELECT INBOX")
        client.idle()
        clients.append(client)
    each = (contender.memory() - before) / sessions / 1024
    heard: list[float] = []
    for _ in range(5):
        told: list[float] = []
        waiting = [
            threading.Thread(target=_hear, args=(client, told))
            for client in clients[:: max(1, sessions // 20)]
        ]
        for thread in waiting:
            thread.start()
        first.ask("APPEND INBOX {}", message(1))
        answered = time.monotonic()
        for thread in waiting:
            thread.join()
        heard += [1000 * (at - answered) for at in told]
    for client in [first, *clients]:
        client.close()
    return each, heard


def _hear(client: Client, told: list[float]) -> None:
    client.wait()
    told.append(time.monotonic())


# --- the contenders ---------------------------------------------------------------------------------------


@contextmanager
def saraban(folder: Path) -> Iterator[Contender]:
    env = {"SARABAN_ACCESS_ACCOUNT_CONNECTIONS_MAX": "0", "SARABAN_ACCESS_NETWORK_CONNECTIONS_MAX": "0"}
    gateway = Gateway(folder / "data", env=env)
    gateway.start()
    try:
        account = gateway.ready["demo_accounts"][0]
        port = int(gateway.address("imaps").rsplit(":", 1)[1])
        yield Contender(
            "saraban", port, account["address"], account["password"], lambda: memory_of(gateway.pids("imap"))
        )
    finally:
        gateway.stop()


@contextmanager
def pair(folder: Path) -> Iterator[Contender]:
    env = os.environ | {"PAIR_DIR": str(folder / "pair")}
    quiet = {"env": env, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([str(PAIR), "up"], check=True, **quiet)  # type: ignore[call-overload]
    try:
        yield Contender(
            "pair", DOVECOT_PORT, "reader", "any", lambda: memory_of(_named("imap", "imap-login"))
        )
    finally:
        subprocess.run([str(PAIR), "down"], check=False, **quiet)  # type: ignore[call-overload]


def _named(*names: str) -> list[int]:
    """Processes of Dovecot by the name of their program."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "comm").read_text().strip() in names:
                found.append(int(folder.name))
    return found


def memory_of(pids: Sequence[int]) -> int:
    """What they hold, shared pages by their share (proc(5), smaps_rollup: Pss)."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


# --- telling ----------------------------------------------------------------------------------------------


def table(messages: int, took_ms: dict[str, dict[str, list[float]]]) -> str:
    """Markdown for docs/bench.md: medians, and how many times the pair's ours is."""
    names = list(next(iter(took_ms.values())))
    lines = [f"| {messages:,} messages | {' | '.join(f'{name} ms' for name in names)} | ours / pair |"]
    lines.append("|---|" + "---|" * (len(names) + 1))
    for work, by_name in took_ms.items():
        medians = {name: statistics.median(taken) for name, taken in by_name.items()}
        ratio = (
            f"{medians['saraban'] / medians['pair']:.2f}"
            if "pair" in medians and "saraban" in medians
            else ""
        )
        lines.append(f"| {work} | {' | '.join(f'{medians[name]:.1f}' for name in names)} | {ratio} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--idle", type=int, default=2_000)
    parser.add_argument("--only", choices=("saraban", "pair"))
    asked = parser.parse_args(arguments)
    missing = shutil.which("dovecot", path=f"{os.environ['PATH']}:/usr/sbin") is None
    with tempfile.TemporaryDirectory(prefix="saraban-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # Dovecot runs as a user of its own
        if asked.only == "saraban" or missing:
            with saraban(folder) as ours:
                said = report([ours], asked)
        elif asked.only == "pair":
            with pair(folder) as theirs:
                said = report([theirs], asked)
        else:
            with saraban(folder) as ours, pair(folder) as theirs:
                said = report([ours, theirs], asked)
    OUT.mkdir(exist_ok=True)
    (OUT / f"imap-{datetime.now(UTC):%Y%m%dT%H%M%S}.md").write_text(said)
    return 0


def report(contenders: Sequence[Contender], asked: argparse.Namespace) -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT)
    said = f"{commit.stdout.strip()}, {datetime.now(UTC):%Y-%m-%d %H:%M}\n\n"
    for messages in asked.messages:
        shown = table(messages, measure(contenders, messages, asked.rounds))
        print(shown, flush=True)
        said += shown + "\n"
    for contender in contenders if asked.idle else ():
        each, heard = idle(contender, asked.idle)
        line = (
            f"{contender.name}: {asked.idle} sessions idle, {each:.0f} KiB each; heard after "
            f"{statistics.median(heard):.1f} ms (median), {max(heard):.1f} ms at most\n"
        )
        print(line, end="", flush=True)
        said += line
    return said


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
